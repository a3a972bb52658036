"""Controllers turn an action in [-1, 1] into targets for the robot's joints."""

from genesis_gym.controllers.cartesian import EndEffectorDeltaPose, EndEffectorDeltaPosition
from genesis_gym.controllers.gripper import WithGripper
from genesis_gym.controllers.joint import Controller, JointDelta, JointPosition, JointVelocity
from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.robots import Robot

#: What `control_mode` may be.
CONTROLLERS: dict[str, type[Controller]] = {
    "joint_delta": JointDelta,
    "joint_position": JointPosition,
    "joint_velocity": JointVelocity,
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
        control_dt: Seconds between two actions.
        with_gripper: Let the last number of the action open and close the gripper.

    Returns:
        The controller.

    Raises:
        ArgumentError: `control_mode` is unknown, or the robot has no gripper.
    """
    check_choice("control_mode", control_mode, CONTROLLERS)
    arm = CONTROLLERS[control_mode](robot, control_dt)
    if not with_gripper:
        return arm
    if not robot.spec.gripper_joints:
        raise ArgumentError(f"the task needs a gripper, and robot_type={robot.spec.name!r} has none")
    return WithGripper(arm, robot, control_dt)


__all__ = [
    "CONTROLLERS",
    "Controller",
    "EndEffectorDeltaPose",
    "EndEffectorDeltaPosition",
    "JointDelta",
    "JointPosition",
    "JointVelocity",
    "WithGripper",
    "make_controller",
]
