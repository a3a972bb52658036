"""Franka Emika Panda with its two-finger hand."""

from genesis_gym.robots.spec import PD, GripperSpec, RobotSpec, ToolSpec

FRANKA = RobotSpec(
    name="franka",
    # The variant whose fingers have plain PD actuators; in the other one a tendon drives them.
    asset="xml/franka_emika_panda/panda_no_tendon.xml",
    default={"joint4": -1.57, "joint6": 1.57, "joint7": -0.785, "finger_joint.": 0.04},  # keyframe "home"
    poses={  # ManiSkill's rest posture, the hand turned by 90°
        "ready": {
            "joint2": 0.3927,
            "joint4": -1.9635,
            "joint6": 2.3562,
            "joint7": -0.785,
            "finger_joint.": 0.04,
        }
    },
    # Franka Emika, "Robot and interface specifications", joint space limits.
    actuators=(PD("joint[1-7]", velocity=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)),),
    tool=ToolSpec(
        link="hand",
        offset=(
            0.0,
            0.0,
            0.1034,
        ),  # hand flange to the middle between the fingertips, franka_description's hand_tcp
        workspace=((0.3, -0.3, 0.2), (0.7, 0.3, 0.5)),
    ),
    # Franka Emika, "Franka Hand", product data: 50 mm/s for each finger, 70 N continuously, 140 N at most.
    gripper=GripperSpec(joints=("finger_joint1", "finger_joint2"), open=0.04, speed=0.05, force=20.0),
)
