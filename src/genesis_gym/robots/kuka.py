"""KUKA LBR iiwa 14 R820, without a gripper."""

import math

from genesis_gym.robots.spec import BANDWIDTH, RobotSpec

KUKA_IIWA = RobotSpec(
    name="kuka_iiwa",
    asset="urdf/kuka_iiwa/model.urdf",
    joints=tuple(f"lbr_iiwa_joint_{i}" for i in range(1, 8)),
    home=(0.0, 0.6, 0.0, -1.57, 0.0, 0.97, 0.0),  # the flange 0.57 m ahead, 0.4 m up, looking down
    # KUKA, LBR iiwa 14 R820 data sheet; the file has 10 rad/s for each, which no such arm does.
    velocity_limits=tuple(math.radians(limit) for limit in (85, 85, 100, 75, 130, 135, 135)),
    end_effector="lbr_iiwa_link_7",
    bandwidth=BANDWIDTH,
    workspace=((0.3, -0.3, 0.2), (0.7, 0.3, 0.5)),
)
