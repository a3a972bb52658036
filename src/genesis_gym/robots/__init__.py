"""Robots: one small declaration each, and the live robot that a world holds."""

from genesis_gym.errors import check_choice
from genesis_gym.robots.cf2x import CF2X
from genesis_gym.robots.franka import FRANKA
from genesis_gym.robots.go2 import GO2
from genesis_gym.robots.kuka import KUKA_IIWA
from genesis_gym.robots.resolve import resolve
from genesis_gym.robots.robot import Robot
from genesis_gym.robots.spec import PD, Effort, Fixed, Floating, GripperSpec, Propellers, RobotSpec, ToolSpec
from genesis_gym.robots.ur5e import UR5E

#: Name → declaration of every robot that ships with the package.
ROBOTS: dict[str, RobotSpec] = {spec.name: spec for spec in (FRANKA, UR5E, KUKA_IIWA, GO2, CF2X)}


def find_robot(robot: str | RobotSpec) -> RobotSpec:
    """Look a robot up by name; a declaration passes through.

    Args:
        robot: A name in `ROBOTS` or a declaration of your own.

    Returns:
        The declaration.

    Raises:
        ArgumentError: The name is unknown, or the declaration does not fit its file.
    """
    if isinstance(robot, RobotSpec):
        if robot not in ROBOTS.values():
            resolve(robot)
        return robot
    check_choice("robot", robot, ROBOTS)
    return ROBOTS[robot]


__all__ = [
    "CF2X",
    "FRANKA",
    "GO2",
    "KUKA_IIWA",
    "PD",
    "ROBOTS",
    "UR5E",
    "Effort",
    "Fixed",
    "Floating",
    "GripperSpec",
    "Propellers",
    "Robot",
    "RobotSpec",
    "ToolSpec",
    "find_robot",
]
