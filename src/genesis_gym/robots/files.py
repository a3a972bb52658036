"""A robot's file: where it is, and what it declares, read before any scene is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from genesis_gym.errors import ArgumentError, is_number
from genesis_gym.robots.description import DRIVEN, JointEntry, Mimic, RobotFile, check_has, quoted

__all__ = [
    "DRIVEN",
    "JointEntry",
    "Mimic",
    "RobotFile",
    "check_gripper",
    "check_has",
    "find_file",
    "genesis_reads",
    "read_robot_file",
]


def find_file(asset: str | Path) -> Path:
    """Find a robot's file.

    Args:
        asset: A path; a relative one is looked up in the working directory, then among Genesis's assets.

    Returns:
        The file.

    Raises:
        ArgumentError: There is no such file, or it is neither URDF nor MJCF.
    """
    path = Path(asset)
    if path.suffix not in (".urdf", ".xml"):
        raise ArgumentError(f"robot file {quoted(str(asset))} is not allowed; it must end in .urdf or .xml (MJCF)")
    if path.is_file():
        return path.absolute()
    package = find_spec("genesis")
    if package is not None and package.origin:
        shipped = Path(package.origin).parent / "assets" / path
        if shipped.is_file():
            return shipped
    raise ArgumentError(f"robot file {quoted(str(asset))} does not exist, nor does Genesis ship it")


def read_robot_file(path: Path) -> RobotFile:
    """Read what a file declares.

    Args:
        path: URDF (`.urdf`) or MJCF (`.xml`).

    Returns:
        Its links and joints.

    Raises:
        ArgumentError: It cannot be read, is no robot, or has something that Genesis cannot load.
    """
    from genesis_gym.robots import mjcf, urdf

    try:
        return urdf.read(path) if path.suffix == ".urdf" else mjcf.read(path)
    except KeyError as error:
        raise ArgumentError(f"{path.name} cannot be read as a robot: attribute {error} is missing") from error
    except (OSError, ElementTree.ParseError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{path.name} cannot be read as a robot: {_one_line(error)}") from error


@contextmanager
def genesis_reads(path: Path) -> Iterator[None]:
    """Turn any error of Genesis about a robot's file into an `ArgumentError` of one line.

    `read_robot_file` finds most faults before, but does not look into meshes, for instance.

    Args:
        path: The file. The block should hold no more than `scene.add_entity`.

    Raises:
        ArgumentError: Genesis cannot load the file.
    """
    try:
        yield
    except ArgumentError:
        raise
    except Exception as error:  # the parsers and mesh loaders below it raise all kinds
        raise ArgumentError(f"Genesis cannot load {path.name}: {_one_line(error)}") from error


def check_gripper(file: RobotFile, names: Sequence[str], opened: float) -> list[JointEntry]:
    """Refuse finger joints that cannot work as a gripper, which is closed at 0.

    Args:
        file: The robot's file.
        names: Joints of the two fingers; none without a gripper.
        opened: Position of each while open, m or rad.

    Returns:
        Their entries.

    Raises:
        ArgumentError: There are not two, one cannot be driven or not be opened that far, or no opening is given.
    """
    where = f"gripper_joints of {file.path.name}"
    if not names:
        return []
    fingers = file.joints_named(names)
    if len(fingers) != 2 or fingers[0] is fingers[1]:
        raise ArgumentError(f"{where} are {', '.join(map(quoted, names))}; a gripper has two, one for each finger")
    if not is_number(opened) or opened == 0:
        limits = ", ".join(f"{quoted(joint.name)} {joint.low:g} to {joint.high:g}" for joint in fingers)
        raise ArgumentError(
            f"gripper_open={opened!r:.100} is not allowed; it must be the position of the open fingers, and they "
            f"are closed at 0; limits in {file.path.name}: {limits}"
        )
    for joint, other in (fingers, fingers[::-1]):
        mimic = joint.mimic if joint.mimic is not None and joint.mimic.joint == other.name else None
        if joint.drive == "tendon":
            raise ArgumentError(
                f"joint {quoted(joint.name)} of {file.path.name} is driven by a tendon, which Genesis does not "
                "simulate; give each finger joint an actuator of its own"
            )
        if mimic is not None and any(abs(mimic.position(at) - at) > 1e-6 for at in (0.0, opened)):
            raise ArgumentError(
                f"joint {quoted(joint.name)} of {file.path.name} follows {quoted(other.name)} to another "
                "position; both fingers must open equally far"
            )
        if mimic is None:
            file.check_driven([joint])
        for position in (0.0, opened):
            if not joint.low - 1e-3 <= position <= joint.high + 1e-3:
                raise ArgumentError(
                    f"finger joint {quoted(joint.name)} cannot be at {position:g}; its limits in {file.path.name} "
                    f"are {joint.low:g} to {joint.high:g}, and fingers go from 0, closed, to gripper_open"
                )
    return fingers


def _one_line(error: Exception) -> str:
    """An error of another library without line breaks and colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return " ".join(text.split())[:300] or type(error).__name__
