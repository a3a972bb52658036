"""Controllers turn an action in [-1, 1] into targets for the robot's joints."""

from genesis_gym.controllers.cartesian import EndEffectorDeltaPose, EndEffectorDeltaPosition
from genesis_gym.controllers.joint import Controller, JointDelta, JointPosition, JointVelocity
from genesis_gym.errors import check_choice
from genesis_gym.robots import Robot

#: What `control_mode` may be.
CONTROLLERS: dict[str, type[Controller]] = {
    "joint_delta": JointDelta,
    "joint_position": JointPosition,
    "joint_velocity": JointVelocity,
    "ee_delta_position": EndEffectorDeltaPosition,
    "ee_delta_pose": EndEffectorDeltaPose,
}


def make_controller(control_mode: str, robot: Robot, control_dt: float) -> Controller:
    """Make the controller of a robot.

    Args:
        control_mode: A name in `CONTROLLERS`.
        robot: The robot it drives.
        control_dt: Seconds between two actions.

    Returns:
        The controller.

    Raises:
        ArgumentError: `control_mode` is unknown.
    """
    check_choice("control_mode", control_mode, CONTROLLERS)
    return CONTROLLERS[control_mode](robot, control_dt)


__all__ = [
    "CONTROLLERS",
    "Controller",
    "EndEffectorDeltaPose",
    "EndEffectorDeltaPosition",
    "JointDelta",
    "JointPosition",
    "JointVelocity",
    "make_controller",
]
