"""KUKA LBR iiwa 14 R820, without a gripper."""

import math

from genesis_gym.robots.spec import BANDWIDTH, PD, RobotSpec, ToolSpec

KUKA_IIWA = RobotSpec(
    name="kuka_iiwa",
    asset="urdf/kuka_iiwa/model.urdf",
    # The flange 0.57 m ahead, 0.4 m up, looking down.
    default={"lbr_iiwa_joint_2": 0.6, "lbr_iiwa_joint_4": -1.57, "lbr_iiwa_joint_6": 0.97},
    actuators=(
        PD(
            "lbr_iiwa_joint_.",
            bandwidth=BANDWIDTH,
            # KUKA, LBR iiwa 14 R820 data sheet; the file has 10 rad/s for each, which no such arm does.
            velocity=tuple(math.radians(limit) for limit in (85, 85, 100, 75, 130, 135, 135)),
        ),
    ),
    tool=ToolSpec(link="lbr_iiwa_link_7", workspace=((0.3, -0.3, 0.2), (0.7, 0.3, 0.5))),
)
