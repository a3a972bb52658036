"""Universal Robots UR5e, without a gripper."""

import math

from genesis_gym.robots.spec import BANDWIDTH, PD, RobotSpec, ToolSpec

UR5E = RobotSpec(
    name="ur5e",
    asset="xml/universal_robots_ur5e/ur5e.xml",
    default={  # keyframe "home" of the asset
        "shoulder_pan|shoulder_lift|wrist_1|wrist_2": -1.5708,
        "elbow": 1.5708,
    },
    actuators=(
        PD(
            ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3"),
            bandwidth=BANDWIDTH,  # with the file's gains joints exceed their speed limits by up to 25 %
            velocity=math.pi,  # Universal Robots, UR5e technical specifications: 180°/s each
        ),
    ),
    tool=ToolSpec(link="ee_virtual_link", workspace=((0.3, -0.3, 0.2), (0.7, 0.3, 0.5))),
)
