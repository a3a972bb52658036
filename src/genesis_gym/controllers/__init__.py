"""Controllers turn an action in [-1, 1] into targets for the robot's joints."""

from genesis_gym.controllers.cartesian import EndEffectorDeltaPose, EndEffectorDeltaPosition
from genesis_gym.controllers.gripper import WithGripper
from genesis_gym.controllers.joint import Controller, JointDelta, JointPosition, JointTorque, JointVelocity
from genesis_gym.errors import check_choice
from genesis_gym.robots import Robot

#: What `control_mode` may be.
CONTROLLERS: dict[str, type[Controller]] = {
    "joint_delta": JointDelta,
    "joint_position": JointPosition,
    "joint_velocity": JointVelocity,
    "joint_torque": JointTorque,
    "ee_delta_position": EndEffectorDeltaPosition,
    "ee_delta_pose": EndEffectorDeltaPose,
}


def make_controller(
    control_mode: str, robot: Robot, control_dt: float, *, with_gripper: bool = False
) -> Controller | WithGripper:
    """Make the controller of a robot.

    Args:
        control_mode: A name in `CONTROLLERS`.
        robot: The robot it drives.
        control_dt: Seconds between two commands.
        with_gripper: Let the last number of the action open and close the gripper, which the robot has.

    Returns:
        The controller.

    Raises:
        ArgumentError: `control_mode` is unknown.
    """
    check_choice("control_mode", control_mode, CONTROLLERS)
    arm = CONTROLLERS[control_mode](robot, control_dt)
    return WithGripper(arm, robot, control_dt) if with_gripper else arm


__all__ = [
    "CONTROLLERS",
    "Controller",
    "EndEffectorDeltaPose",
    "EndEffectorDeltaPosition",
    "JointDelta",
    "JointPosition",
    "JointTorque",
    "JointVelocity",
    "WithGripper",
    "make_controller",
]
