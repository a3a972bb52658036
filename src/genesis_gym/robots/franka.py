"""Franka Emika Panda with its two-finger hand."""

from genesis_gym.robots.spec import RobotSpec

FRANKA = RobotSpec(
    name="franka",
    # The variant whose fingers have plain PD actuators; in the other one a tendon drives them.
    asset="xml/franka_emika_panda/panda_no_tendon.xml",
    joints=tuple(f"joint{i}" for i in range(1, 8)),
    home=(0.0, 0.0, 0.0, -1.57, 0.0, 1.57, -0.785),  # keyframe "home" of the asset
    poised=(0.0, 0.3927, 0.0, -1.9635, 0.0, 2.3562, -0.785),  # ManiSkill's rest posture, the hand turned by 90°
    # Franka Emika, "Robot and interface specifications", joint space limits.
    velocity_limits=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    gripper_joints=("finger_joint1", "finger_joint2"),
    gripper_open=0.04,
    workspace=((0.3, -0.3, 0.2), (0.7, 0.3, 0.5)),
    # Franka Emika, "Franka Hand", product data: 50 mm/s for each finger, 70 N continuously, 140 N at most.
    gripper_speed=0.05,
    gripper_force=20.0,
    end_effector="hand",
    tool_offset=(
        0.0,
        0.0,
        0.1034,
    ),  # hand flange to the middle between the fingertips, franka_description's hand_tcp
)
