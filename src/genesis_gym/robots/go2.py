"""Unitree Go2."""

from genesis_gym.robots.spec import PD, Floating, RobotSpec

GO2 = RobotSpec(
    name="go2",
    asset="urdf/go2/urdf/go2.urdf",
    base=Floating(height=0.32),  # feet on the ground in the default pose
    default={".*_hip_joint": 0.0, "F._thigh_joint": 0.8, "R._thigh_joint": 1.0, ".*_calf_joint": -1.5},
    # The gains of Genesis's and Unitree's own examples; the file's limits of torque. The rotors of the Go1, of the
    # same family, have 0.004 to 0.009 kg·m².
    actuators=(PD(".*_(hip|thigh|calf)_joint", kp=20.0, kd=0.5, armature=0.01),),
    links={"feet": ".*_foot", "trunk": "base|.*_thigh"},
)
