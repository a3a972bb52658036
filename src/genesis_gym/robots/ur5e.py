"""Universal Robots UR5e, without a gripper."""

import math

from genesis_gym.robots.spec import BANDWIDTH, RobotSpec

UR5E = RobotSpec(
    name="ur5e",
    asset="xml/universal_robots_ur5e/ur5e.xml",
    joints=("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3"),
    home=(-1.5708, -1.5708, 1.5708, -1.5708, -1.5708, 0.0),  # keyframe "home" of the asset
    velocity_limits=(math.pi,) * 6,  # Universal Robots, UR5e technical specifications: 180°/s each
    end_effector="ee_virtual_link",
    bandwidth=BANDWIDTH,  # with the file's gains joints exceed their speed limits by up to 25 %
    workspace=((0.3, -0.3, 0.2), (0.7, 0.3, 0.5)),
)
