"""A declaration and its file put together, before any scene is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from genesis_gym.errors import ArgumentError, safe_repr
from genesis_gym.robots.files import JointEntry, RobotFile, check_gripper, check_has, find_file, read_robot_file
from genesis_gym.robots.spec import PD, VELOCITY_LIMIT, Floating, Propellers, RobotSpec, matching

#: How far a pose may be beyond a joint limit, rad or metres: files round.
LIMIT_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class ResolvedRobot:
    """What a declaration means in its file.

    Attributes:
        spec: The declaration.
        file: What the file declares.
        drives: Each PD actuator, with the joints that it drives.
        fingers: Joints of the gripper.
        base: The joint of a floating base; None for a fixed base, and where the file has no such joint.
        groups: Name of a group of links → the links.
    """

    spec: RobotSpec
    file: RobotFile
    drives: tuple[tuple[PD, tuple[JointEntry, ...]], ...]
    fingers: tuple[JointEntry, ...]
    base: JointEntry | None
    groups: dict[str, list[str]]

    @property
    def joints(self) -> tuple[JointEntry, ...]:
        """The driven joints."""
        return tuple(joint for _, joints in self.drives for joint in joints)

    @property
    def velocity_limits(self) -> list[float]:
        """Speed limit of each driven joint, rad/s or m/s."""
        limits: list[float] = []
        for drive, joints in self.drives:
            if isinstance(drive.velocity, tuple):
                limits += drive.velocity
            elif drive.velocity is not None:
                limits += [drive.velocity] * len(joints)
            else:
                limits += [joint.velocity or VELOCITY_LIMIT for joint in joints]
        return limits

    @property
    def named_links(self) -> list[str]:
        """Links that the declaration names, which must not be merged with those that they are fixed to."""
        tool = [] if self.spec.tool is None else [self.spec.tool.link]
        fingers = [] if self.spec.gripper is None else [*self.spec.gripper.fingers]
        return list(dict.fromkeys([*tool, *fingers, *(link for links in self.groups.values() for link in links)]))

    def positions(self, pose: str | None) -> dict[str, float]:
        """Joint → its position in a pose, rad or metres, of the joints that the pose names.

        Raises:
            ArgumentError: The pose is unknown, names no joint of the file, or is beyond the joint limits.
        """
        joints = {joint.name: joint for joint in self.file.joints if len(joint.initial) == 1}
        positions = self.spec.pose(pose, joints)
        for name, position in positions.items():
            low, high = joints[name].low, joints[name].high
            if joints[name].mimic is None and not low - LIMIT_TOLERANCE <= position <= high + LIMIT_TOLERANCE:
                raise ArgumentError(
                    f"{pose or 'default'}: {position:g} of joint {safe_repr(name)} is outside its limits in "
                    f"{self.file.path.name}, {low:g} to {high:g}"
                )
        return positions


def read_file(asset: str | Path) -> RobotFile:
    """Find and read a robot's file; a file that has not changed is read once.

    Raises:
        ArgumentError: It does not exist, cannot be read, or has something that Genesis cannot load.
    """
    path = find_file(asset)
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _read(path: Path, changed: int, size: int) -> RobotFile:
    return read_robot_file(path)


def resolve(spec: RobotSpec) -> ResolvedRobot:
    """Find what a declaration names in its file.

    Args:
        spec: The declaration.

    Returns:
        Its joints and links.

    Raises:
        ArgumentError: The file cannot be read, lacks what is named, or what is named cannot be what it shall be.
    """
    file = read_file(spec.asset)
    fingers = _fingers(spec, file)
    drives = tuple((drive, _driven(drive, file, fingers)) for drive in spec.actuators if isinstance(drive, PD))
    seen = {joint.name for joint in fingers}
    for joint in (joint for _, joints in drives for joint in joints):
        if joint.name in seen:
            raise ArgumentError(f"joint {safe_repr(joint.name)} of robot {safe_repr(spec.name)} is driven twice")
        seen.add(joint.name)
    if spec.tool is not None:
        where = f"{file.path.name} of robot {safe_repr(spec.name)}"
        check_has(where, "link", [spec.tool.link], filter(None, file.links))
    what = f"link of {file.path.name}"
    groups = {name: matching(pattern, [*file.links], what) for name, pattern in spec.links.items()}
    robot = ResolvedRobot(
        spec=spec, file=file, drives=drives, fingers=fingers, base=_base(spec, file, drives), groups=groups
    )
    for pose in (None, *spec.poses):
        robot.positions(pose)
    return robot


def _fingers(spec: RobotSpec, file: RobotFile) -> tuple[JointEntry, ...]:
    """Joints of the gripper."""
    if spec.gripper is None:
        return ()
    check_has(file.path.name, "link", spec.gripper.fingers, filter(None, file.links))
    if len(spec.gripper.joints) == 2:
        return tuple(check_gripper(file, spec.gripper.joints, spec.gripper.open))
    fingers = file.joints_named(spec.gripper.joints)
    file.check_driven(fingers)
    return tuple(fingers)


def _driven(drive: PD, file: RobotFile, fingers: tuple[JointEntry, ...]) -> tuple[JointEntry, ...]:
    """Joints of an actuator; those of the gripper have none of their own."""
    if isinstance(drive.joints, tuple):
        joints = file.joints_named(drive.joints)
    else:
        joints = [joint for joint in file.joints_matching(drive.joints) if joint not in fingers]
    names = [joint.name for joint in joints]
    file.check_driven(joints, force_limits=names if drive.effort is not None else ())
    if isinstance(drive.velocity, tuple) and len(drive.velocity) != len(joints):
        raise ArgumentError(
            f"velocity={safe_repr(drive.velocity)} is not allowed; it must have {len(joints)} numbers, one for "
            f"each of {', '.join(names)}"
        )
    return tuple(joints)


def _base(
    spec: RobotSpec, file: RobotFile, drives: tuple[tuple[PD, tuple[JointEntry, ...]], ...]
) -> JointEntry | None:
    """The floating joint that carries the robot, which must have one if and only if its base shall float."""
    first = next((joint for _, joints in drives for joint in joints), next(iter(file.joints), None))
    base = None if first is None else file.base_of(first)
    name = safe_repr(spec.name)
    if base is not None and not isinstance(spec.base, Floating):
        raise ArgumentError(
            f"joint {safe_repr(base.name)} of {file.path.name} is floating, and robot {name} is declared with a "
            "fixed base; declare base=Floating(height)"
        )
    if base is None and isinstance(spec.base, Floating) and file.path.suffix != ".urdf":
        raise ArgumentError(
            f"robot {name} is declared with a floating base, and {file.path.name} has it fixed; give its first "
            "body a <freejoint/>"
        )
    if any(isinstance(actuator, Propellers) for actuator in spec.actuators) and file.path.suffix != ".urdf":
        raise ArgumentError(
            f"robot {name} has propellers, which {file.path.name} cannot describe; it must be URDF"
        )
    return base
