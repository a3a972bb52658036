"""What a robot is, as a declaration: an arm, a dog and a drone differ in what is attached to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_gym.errors import ArgumentError, check_choice, is_number, safe_repr

if TYPE_CHECKING:
    from genesis_gym.robots.robot import Robot
    from genesis_gym.world import World

#: Speed limit of a joint whose file names none, as no MJCF file does, rad/s.
VELOCITY_LIMIT = 2.0
#: Natural frequency, rad/s, and damping ratio that the gains of a robot without its own are made of. The Franka's
#: own come to 32 to 130 rad/s and 2 to 6.5. Far less damped joints would overshoot their speed limits: with those
#: of the UR5e's file by 25 %, critically damped ones by 70 % (docs/robots.md). Nothing lags for it, since
#: controllers feed the velocity forward.
BANDWIDTH = 50.0
DAMPING_RATIO = 5.0

Point = tuple[float, float, float]

#: Name of a joint, or regular expression of joint names → position, rad or metres.
Pose = Mapping[str, float]


@dataclass(frozen=True)
class Fixed:
    """A base that is bolted down.

    Attributes:
        position: Where, world frame, metres.
    """

    position: Point = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Floating:
    """A base that moves freely.

    Attributes:
        height: Of the base's origin above the ground when placed, metres.
    """

    height: float


@dataclass(frozen=True)
class PD:
    """Joints driven by PD controllers: torque = kp (q* - q) + kd (v* - v).

    Attributes:
        joints: Regular expression of joint names, which keeps the file's order, or names in order.
        kp: N·m/rad or N/m; None for that of the file's position servos.
        kd: N·m·s/rad or N·s/m; None for the file's.
        bandwidth: Natural frequency ω, rad/s, from which kp = m ω² and kd = 2 ζ m ω are made, with m each joint's
            inertia in the default pose and ζ = `DAMPING_RATIO`; instead of `kp` and `kd`. With neither, it is
            `BANDWIDTH` if a joint has no position servo in the file, as in every URDF file.
        effort: Greatest torque or force, N·m or N; None for the file's.
        velocity: Greatest speed, rad/s or m/s, one for all joints or one for each; None for the file's, and
            `VELOCITY_LIMIT` where it names none.
        armature: Inertia of the rotor, kg·m²; None for the file's, which is Genesis's 0.1 where it tells none.
    """

    joints: str | tuple[str, ...]
    kp: float | None = None
    kd: float | None = None
    bandwidth: float | None = None
    effort: float | None = None
    velocity: float | tuple[float, ...] | None = None
    armature: float | None = None


@dataclass(frozen=True)
class Effort(PD):
    """Joints driven by torque, without gains: the motors of MuJoCo's own models."""

    kp: float | None = 0.0
    kd: float | None = 0.0


@dataclass(frozen=True)
class Propellers:
    """The propellers of a drone, as its URDF lists them.

    Attributes:
        count: How many.
        hover: Speed at which they carry the drone, rpm.
        span: Share of it by which an action of ±1 changes the speed.
    """

    count: int
    hover: float
    span: float = 0.2


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """What an arm works with.

    Attributes:
        link: Link that carries it.
        offset: Tool centre in that link's frame, metres.
        workspace: Lower and upper corner of a box that the tool centre reaches everywhere, relative to the base,
            metres; None for a box around its place in the default pose.
    """

    link: str
    offset: Point = (0.0, 0.0, 0.0)
    workspace: tuple[Point, Point] | None = None


@dataclass(frozen=True, kw_only=True)
class GripperSpec:
    """Two fingers that open and close.

    Attributes:
        joints: Finger joints: two, or one that drives both.
        open: Position of the open fingers, metres; closed is 0.
        fingers: Links of the two fingers; empty for those that the two joints move.
        speed: Of each finger, m/s.
        force: With which each finger presses on what is held, N.
        kp: Stiffness of the fingers under control, N/m: that of Isaac Lab's Franka. With 100 N/m a finger would
            press on a 4 cm cube with 2 N.
        kd: Damping, N·s/m.
    """

    joints: tuple[str, ...]
    open: float
    fingers: tuple[str, ...] = ()
    speed: float = 0.05
    force: float = 20.0
    kp: float = 2000.0
    kd: float = 100.0

    def __post_init__(self) -> None:
        """Refuse what cannot be, as `ArgumentError`."""
        links = self.fingers or self.joints
        if len(self.joints) not in (1, 2) or len(links) != 2:
            raise ArgumentError(
                f"a gripper with joints {safe_repr(self.joints)} and fingers {safe_repr(self.fingers)} is not "
                "allowed; it must have two finger joints, or one and the links of both fingers in fingers=(…, …)"
            )
        for name in ("open", "speed", "force"):
            value = getattr(self, name)
            if not is_number(value) or not value > 0:
                raise ArgumentError(
                    f"{name}={safe_repr(value)} of a gripper is not allowed; it must be a number above 0"
                )


@dataclass(frozen=True, kw_only=True)
class RobotSpec:
    """Declaration of a robot. Joint limits, and whatever is not declared, are those of the asset file.

    Attributes:
        name: What it is called.
        asset: MJCF or URDF file; a relative path is looked up in the working directory, then in Genesis's assets.
        base: Whether it is bolted down or moves freely.
        default: Joint positions at reset; joints that it does not name start where the file has them.
        poses: Further poses by name, such as `"ready"`; as `default`.
        actuators: What drives the joints. The joints of all of them, in this order, are `Robot.joints`.
        tool: Where an arm's tool is; None without one.
        gripper: The gripper; None without one.
        links: Name of a group of links → regular expression of link names, such as `{"feet": ".*_foot"}`.
    """

    name: str
    asset: str
    base: Fixed | Floating = Fixed()
    default: Pose = field(default_factory=dict)
    poses: Mapping[str, Pose] = field(default_factory=dict)
    actuators: tuple[PD | Propellers, ...] = ()
    tool: ToolSpec | None = None
    gripper: GripperSpec | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be, as `ArgumentError`."""
        if not self.actuators:
            raise ArgumentError(f"robot {safe_repr(self.name)} has no actuators; it must have at least one")
        for where, pose in {"default": self.default, **self.poses}.items():
            for joint, position in pose.items():
                if not is_number(position):
                    raise ArgumentError(
                        f"{where}: {joint}={safe_repr(position)} of robot {safe_repr(self.name)} is not allowed; "
                        "it must be a finite number"
                    )
        for actuator in self.actuators:
            if isinstance(actuator, PD):
                self._check_drive(actuator)

    def _check_drive(self, drive: PD) -> None:
        where = f"of robot {safe_repr(self.name)} is not allowed"
        speeds = drive.velocity if isinstance(drive.velocity, tuple) else (drive.velocity,)
        named = len(drive.joints) if isinstance(drive.joints, tuple) else None
        if not all(speed is None or (is_number(speed) and speed > 0) for speed in speeds) or (
            isinstance(drive.velocity, tuple) and named is not None and len(speeds) != named
        ):
            raise ArgumentError(
                f"velocity={safe_repr(drive.velocity)} {where}; it must be a number above 0, or one a joint"
            )
        for name in ("bandwidth", "effort"):
            value = getattr(drive, name)
            if value is not None and not (is_number(value) and value > 0):
                raise ArgumentError(f"{name}={safe_repr(value)} {where}; it must be a number above 0")
        if drive.bandwidth is not None and (drive.kp is not None or drive.kd is not None):
            raise ArgumentError(
                f"bandwidth={drive.bandwidth} with kp={drive.kp}, kd={drive.kd} {where}; it makes gains of its own"
            )
        for name in ("kp", "kd", "armature"):
            value = getattr(drive, name)
            if value is not None and not (is_number(value) and value >= 0):
                raise ArgumentError(f"{name}={safe_repr(value)} {where}; it must be a number of at least 0")

    @classmethod
    def from_file(cls, file: str | Path, **options: Any) -> RobotSpec:
        """Declare the robot of a URDF or MJCF file; see `genesis_gym.robots.from_file.robot_from_file`."""
        from genesis_gym.robots.from_file import robot_from_file

        return robot_from_file(file, **options)

    def pose(self, name: str | None, joints: Iterable[str]) -> dict[str, float]:
        """Joint positions of a named pose.

        Args:
            name: One of `poses`; None for `default`.
            joints: Names of the joints there are.

        Returns:
            Joint → position, of the joints that the pose names; the first expression that matches counts.

        Raises:
            ArgumentError: The pose is unknown, or an expression matches no joint.
        """
        if name is not None:
            check_choice("pose", name, self.poses)
        positions: dict[str, float] = {}
        there = list(joints)
        for expression, position in (self.default if name is None else self.poses[name]).items():
            what = f"joint of robot {safe_repr(self.name)}"
            for joint in [expression] if expression in there else matching(expression, there, what):
                positions.setdefault(joint, position)
        return positions

    def add_to(self, world: World, name: str, **placement: Any) -> Robot:
        """Add this robot to a scene that is not built yet; see `genesis_gym.robots.Robot`."""
        from genesis_gym.robots.robot import Robot

        return Robot(self, world, name, **placement)


def matching(pattern: str | tuple[str, ...], names: list[str], what: str) -> list[str]:
    """Names that a regular expression matches in full, in their order; or the names of a tuple, in its order.

    Raises:
        ArgumentError: The expression is none or matches nothing, or a name is unknown.
    """
    if isinstance(pattern, tuple):
        missing = [name for name in pattern if name not in names]
        found = [] if missing else list(pattern)
    else:
        missing = [pattern]
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise ArgumentError(f"{safe_repr(pattern)} is no regular expression: {error}") from error
        found = [name for name in names if expression.fullmatch(name)]
    if not found:
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        has = ", ".join(name[:100] for name in names[:20]) or "none"
        raise ArgumentError(f"no {what} is {safe_repr(missing[0])}; there are {has}{more}")
    return found
