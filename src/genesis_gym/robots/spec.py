"""What a robot is, as a declaration of its own or read from its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis_gym.errors import ArgumentError, is_number, shown
from genesis_gym.robots.files import DRIVEN, check_has, find_file, read_robot_file
from genesis_gym.runtime import Simulation

#: Speed limit of a joint whose file names none, as no MJCF file does, rad/s.
VELOCITY_LIMIT = 2.0
#: Natural frequency, rad/s, and damping ratio that the gains of a robot without its own are made of. The Franka's
#: own come to 32 to 130 rad/s and 2 to 6.5. Far less damped joints would overshoot their speed limits: with those
#: of the UR5e's file by 25 %, critically damped ones by 70 % (docs/robots.md). Nothing lags for it, since
#: controllers feed the velocity forward.
BANDWIDTH = 50.0
DAMPING_RATIO = 5.0

Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class RobotSpec:
    """Declaration of a robot arm. Force limits and joint limits are those of the asset file.

    Attributes:
        name: What `robot_type` calls it.
        asset: MJCF or URDF file; a relative path is looked up in the working directory, then in Genesis's assets.
        joints: Actuated arm joints, in the order of the action.
        home: Position of `joints` at reset, in rad.
        poised: Position of `joints` with the tool low above the workspace, in rad; empty for home.
        velocity_limits: Greatest speed of `joints`, in rad/s.
        end_effector: Link that carries the tool.
        tool_offset: Tool centre in the end-effector's frame, in metres.
        gripper_joints: Finger joints; empty without a gripper.
        gripper_open: Position of the open fingers, in metres; closed is 0.
        gripper_speed: Speed of each finger, in m/s.
        gripper_force: Force with which each finger presses on what is held, in N.
        bandwidth: Natural frequency ω of the joints under control, in rad/s: their gains become kp = m ω² and
            kv = 2 ζ m ω, with m each joint's inertia at home and ζ = `DAMPING_RATIO`. None keeps the file's gains.
        workspace: Lower and upper corner of a box that the tool centre reaches everywhere, world frame, in metres;
            None for a box around its place at home.
    """

    name: str
    asset: str
    joints: tuple[str, ...]
    home: tuple[float, ...]
    velocity_limits: tuple[float, ...]
    end_effector: str
    tool_offset: Point = (0.0, 0.0, 0.0)
    poised: tuple[float, ...] = ()
    gripper_joints: tuple[str, ...] = ()
    gripper_open: float = 0.0
    gripper_speed: float = 0.05
    gripper_force: float = 20.0
    bandwidth: float | None = None
    workspace: tuple[Point, Point] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be, as `ArgumentError`."""
        if not self.joints:
            raise ArgumentError(f"robot {shown(self.name)} has no joints to drive")
        for name in ("home", "velocity_limits"):
            values = getattr(self, name)
            if len(values) != len(self.joints) or not all(map(is_number, values)):
                raise ArgumentError(
                    f"{name}={shown(values)} of robot {shown(self.name)} is not allowed; it must have "
                    f"{len(self.joints)} finite numbers, one for each of {', '.join(self.joints)}"
                )
        if not all(limit > 0 for limit in self.velocity_limits):
            raise ArgumentError(
                f"velocity_limits={shown(self.velocity_limits)} is not allowed; all must be above 0"
            )
        if self.bandwidth is not None and not (is_number(self.bandwidth) and self.bandwidth > 0):
            raise ArgumentError(f"bandwidth={shown(self.bandwidth)} is not allowed; it must be a number above 0")

    @classmethod
    def from_file(
        cls,
        file: str | Path,
        *,
        end_effector: str,
        home: Sequence[float] | None = None,
        joints: Sequence[str] | None = None,
        velocity_limits: Sequence[float] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> RobotSpec:
        """Declare the arm of a URDF or MJCF file, which stands with its base on the origin.

        The file is read now; its joint and force limits are taken over when a scene is made of it. Joints that are
        neither driven nor the gripper's stay limp.

        Args:
            file: Ends in `.urdf` or `.xml` (MJCF); a relative path is looked up as `asset` is.
            end_effector: Link that carries the tool.
            home: Position of `joints` at reset, rad; None for the keyframe `home` of an MJCF file.
            joints: Joints to drive; None for all that move the end-effector, from the base on.
            velocity_limits: Greatest speed of `joints`, rad/s; None for the file's, and `VELOCITY_LIMIT` where it
                names none, as no MJCF file does.
            name: What the robot is called; None for the file's name.
            **kwargs: Further fields of `RobotSpec`. Unless given, `bandwidth` is `BANDWIDTH` for a file without
                position servos, as every URDF file is.

        Returns:
            The declaration, for `robot_type`.

        Raises:
            ArgumentError: The file does not exist, cannot be read or lacks what is named, or a value is wrong.
        """
        path = find_file(file)
        told = read_robot_file(path)
        chain = told.joints_to(end_effector)
        driven = chain if joints is None else told.joints_named(joints)
        for joint in [*chain, *driven]:
            if joint.kind not in DRIVEN:
                raise ArgumentError(
                    f"joint {shown(joint.name)} of {path.name} is {joint.kind}; an arm stands on a fixed base and "
                    f"its joints are {', '.join(DRIVEN)}"
                )
        names = tuple(joint.name for joint in driven)
        told.joints_named(kwargs.get("gripper_joints", ()))
        for joint in driven:
            if joint.force == 0.0:
                raise ArgumentError(f"joint {shown(joint.name)} of {path.name} has effort 0 and could not move")
        if home is None:
            if not told.home:
                raise ArgumentError(
                    f"{path.name} names no home; pass home, one number for each of {', '.join(names)}"
                )
            home = [told.home[joint] for joint in names]
        if velocity_limits is None:
            velocity_limits = [joint.velocity or VELOCITY_LIMIT for joint in driven]
        if not told.servos.issuperset(names):
            kwargs = {"bandwidth": BANDWIDTH, **kwargs}
        spec = cls(
            name=path.stem if name is None else name,
            asset=str(path),
            joints=names,
            home=tuple(home),
            velocity_limits=tuple(velocity_limits),
            end_effector=end_effector,
            **kwargs,
        )
        for joint, position in zip(driven, spec.home, strict=True):
            if not joint.low - 1e-3 <= position <= joint.high + 1e-3:
                raise ArgumentError(
                    f"home={position:g} of joint {shown(joint.name)} is outside its limits in {path.name}, "
                    f"{joint.low:g} to {joint.high:g}"
                )
        return spec

    def add_to(self, simulation: Simulation) -> Any:
        """Add this robot to a scene that is not built yet.

        Args:
            simulation: The scene's owner.

        Returns:
            The Genesis entity.

        Raises:
            ArgumentError: The file lacks a joint or a link that is declared.
        """
        import genesis as gs

        file = str(find_file(self.asset))
        if file.endswith(".urdf"):
            # Links that are fixed to another are merged with it, which would lose the tool's.
            morph = gs.morphs.URDF(file=file, fixed=True, links_to_keep=(self.end_effector,))
        else:
            morph = gs.morphs.MJCF(file=file)
        entity = simulation.scene.add_entity(morph)
        where = f"{self.asset} of robot {shown(self.name)}"
        check_has(where, "joint", (*self.joints, *self.gripper_joints), [joint.name for joint in entity.joints])
        check_has(where, "link", [self.end_effector], [link.name for link in entity.links])
        return entity
