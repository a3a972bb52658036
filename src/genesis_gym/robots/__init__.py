"""Robots: one small declaration each, and the live robot that a scene holds."""

from genesis_gym.errors import check_choice
from genesis_gym.robots.franka import FRANKA
from genesis_gym.robots.robot import Robot, RobotSpec

#: Name → declaration of every robot that ships with the package.
ROBOTS: dict[str, RobotSpec] = {FRANKA.name: FRANKA}


def find_robot(robot: str | RobotSpec) -> RobotSpec:
    """Look a robot up by name; a declaration passes through.

    Args:
        robot: A name in `ROBOTS` or a declaration of your own.

    Returns:
        The declaration.

    Raises:
        ArgumentError: The name is unknown.
    """
    if isinstance(robot, RobotSpec):
        return robot
    check_choice("robot_type", robot, ROBOTS)
    return ROBOTS[robot]


__all__ = ["FRANKA", "ROBOTS", "Robot", "RobotSpec", "find_robot"]
