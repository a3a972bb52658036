"""Bitcraze Crazyflie 2, propellers in an X."""

from genesis_gym.robots.spec import Floating, Propellers, RobotSpec

CF2X = RobotSpec(
    name="cf2x",
    asset="urdf/drones/cf2x.urdf",
    base=Floating(height=0.5),
    actuators=(Propellers(4, hover=14475.8),),  # sqrt(m g / 4 KF), with the file's m = 0.027 kg, KF = 3.16e-10
)
