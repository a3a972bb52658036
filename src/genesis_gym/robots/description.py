"""What a robot's file declares: links, joints and where they start."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genesis_gym.errors import ArgumentError

#: Kinds of joints that can be driven.
DRIVEN = ("revolute", "continuous", "prismatic")
#: Most names that an error lists.
LISTED = 20


@dataclass(frozen=True)
class Mimic:
    """How a joint follows another, held to it by a constraint: a URDF `<mimic>`, an MJCF `<equality><joint>`.

    Attributes:
        joint: The joint that it follows, which follows none itself; None if it is held where it is.
        coefficients: c of position = Σ cᵢ · leader's positionⁱ, in rad or metres of the file.
    """

    joint: str | None
    coefficients: tuple[float, ...] = (0.0, 1.0)

    @property
    def offset(self) -> float:
        """Position while the leader is at 0, rad or m."""
        return self.coefficients[0]

    @property
    def multiplier(self) -> float:
        """What the follower moves for each rad or metre of the leader, at 0."""
        return self.coefficients[1] if len(self.coefficients) > 1 else 0.0

    def position(self, leader: Any) -> Any:
        """Position of the follower.

        Args:
            leader: Position of the leader, rad or m: a number, an array or a tensor of any shape.

        Returns:
            The follower's, of the same kind and shape.
        """
        result = 0.0 * leader
        for coefficient in reversed(self.coefficients):
            result = result * leader + coefficient
        return result


@dataclass(frozen=True, kw_only=True)
class JointEntry:
    """A joint as a file declares it; angles in rad, lengths in metres, positions as the file counts them.

    Attributes:
        name: As Genesis calls it: a nameless joint of MJCF has the name of its body, which may be empty too.
        kind: As URDF calls it, `"revolute"`, `"continuous"`, `"prismatic"` or `"floating"`, or `"ball"` of MJCF.
        parent: Name of the link that it is on.
        child: Name of the link that it moves.
        child_index: That link's place in `RobotFile.links`; names may be empty, places are unique.
        low: Lower limit; -inf without one.
        high: Upper limit; inf without one.
        velocity: Greatest speed per second; None if the file has none, as no MJCF file does.
        force: Greatest force or torque, N or N·m; None without a limit.
        mimic: The joint that it follows; None for one that moves by itself.
        initial: Position at the start, in the form of Genesis's `qpos`: one number; x, y, z and a quaternion w, x,
            y, z of a floating joint; a quaternion of a ball. MJCF: of the keyframe `home`, or `qpos0` without one.
            URDF: 0. Always within the limits.
        reference: Position at which the file draws the robot (`ref` of MJCF). Genesis counts positions of degrees
            of freedom from here, but `qpos` and limits as the file does.
        armature: Inertia of the rotor, kg·m² or kg; None if the file has none, so that Genesis takes its default.
        damping: N·m·s/rad or N·s/m; None if the file has none.
        drive: What drives it in an MJCF file: `"servo"` of position, `"motor"` for any other actuator, `"tendon"`;
            None for nothing, as in URDF, or for several actuators, which Genesis drops.
        flaw: Why it cannot be driven as it is declared, to be read after its name; empty if it can.
    """

    name: str
    kind: str
    parent: str
    child: str
    child_index: int
    low: float = -math.inf
    high: float = math.inf
    velocity: float | None = None
    force: float | None = None
    mimic: Mimic | None = None
    initial: tuple[float, ...] = (0.0,)
    reference: float = 0.0
    armature: float | None = None
    damping: float | None = None
    drive: str | None = None
    flaw: str = ""


@dataclass(frozen=True, kw_only=True)
class RobotFile:
    """What a file declares.

    Attributes:
        path: The file.
        links: Names of the links, in the order of the file; the first of MJCF is `world`.
        parents: For each link, the place of the link that it is on; -1 for a root.
        joints: Every joint that is not fixed, in the order of the file, which in MJCF is that of Genesis.
        home: Joint → its position in MJCF's keyframe `home`, of joints with one number; empty without a keyframe.
    """

    path: Path
    links: tuple[str, ...]
    parents: tuple[int, ...]
    joints: tuple[JointEntry, ...]
    home: dict[str, float] = field(default_factory=dict)

    @property
    def floating(self) -> bool:
        """Whether the base is free: the root of the tree with the most joints; other free bodies do not count."""
        trees: dict[int, list[JointEntry]] = {}
        for joint in self.joints:
            trees.setdefault(self._root(joint.child_index), []).append(joint)
        return bool(trees) and max(trees.values(), key=len)[0].kind == "floating"

    @property
    def servos(self) -> frozenset[str]:
        """Joints with a position servo of their own, whose gains Genesis takes over."""
        return frozenset(joint.name for joint in self.joints if joint.drive == "servo")

    def base_of(self, joint: JointEntry) -> JointEntry | None:
        """The floating joint that carries a joint, itself included; None if it stands on a fixed base."""
        index = joint.child_index
        while index >= 0:
            for entry in self.joints:
                if entry.child_index == index and entry.kind == "floating":
                    return entry
            index = self.parents[index]
        return None

    def joints_to(self, link: str) -> list[JointEntry]:
        """The joints that move a link, from the base on, a floating one included.

        A joint that follows another is replaced by the other.

        Raises:
            ArgumentError: There is no such link.
        """
        check_has(self.path.name, "link", [link], filter(None, self.links))
        index = self.links.index(link)
        chain: list[JointEntry] = []
        while index >= 0:
            chain[:0] = [joint for joint in self.joints if joint.child_index == index]
            index = self.parents[index]
        leaders = {joint.name: joint for joint in self.joints}
        moving = (leaders.get(joint.mimic.joint or "") if joint.mimic else joint for joint in chain)
        return list(dict.fromkeys(joint for joint in moving if joint is not None))

    def joints_named(self, names: Sequence[str]) -> list[JointEntry]:
        """Joints by their names, in the order of the names.

        Raises:
            ArgumentError: A name is unknown, or two joints have it.
        """
        by_name = {joint.name: joint for joint in self.joints if joint.name}
        check_has(self.path.name, "joint", names, by_name)
        for name in names:
            self._check_unique(by_name[name])
        return [by_name[name] for name in names]

    def joints_matching(self, pattern: str) -> list[JointEntry]:
        """Joints whose whole name a regular expression matches, in the order of the file.

        Floating and ball joints and those that follow another are left out.

        Raises:
            ArgumentError: The expression is none, or matches no joint.
        """
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise ArgumentError(f"{quoted(pattern)} is no regular expression: {error}") from error
        joints = [joint for joint in self.joints if joint.kind in DRIVEN and joint.mimic is None]
        found = [joint for joint in joints if expression.fullmatch(joint.name)]
        if not found:
            raise ArgumentError(
                f"no joint of {self.path.name} matches {quoted(pattern)}; it has {_listed(j.name for j in joints)}"
            )
        return found

    def check_driven(self, joints: Iterable[JointEntry], force_limits: Collection[str] = ()) -> None:
        """Refuse joints that cannot be driven.

        Args:
            joints: The joints.
            force_limits: Names of the joints whose force limit comes from elsewhere, so that the file's is of no
                account.

        Raises:
            ArgumentError: A joint has no name of its own, follows another, has several degrees of freedom or no
                force, or is declared in a way that Genesis takes for something else.
        """
        for joint in joints:
            self._check_unique(joint)
            what = f"joint {quoted(joint.name)} of {self.path.name}"
            if joint.kind not in DRIVEN:
                raise ArgumentError(f"{what} is {joint.kind}; joints that can be driven are {', '.join(DRIVEN)}")
            if joint.mimic is not None:
                leader = joint.mimic.joint
                how = "is held in place by a constraint" if leader is None else f"follows joint {quoted(leader)}"
                raise ArgumentError(f"{what} {how} and cannot be driven")
            if joint.flaw:
                raise ArgumentError(f"{what} {joint.flaw}")
            if joint.reference != 0.0:
                raise ArgumentError(
                    f"{what} has ref={joint.reference:g}, from which Genesis counts targets but not limits; "
                    "draw the file at 0 and leave ref out"
                )
            if joint.force == 0.0 and joint.name not in force_limits:
                raise ArgumentError(
                    f"{what} has effort 0 and could not move, which is also what a <limit> without effort means; "
                    "give it the greatest effort, or declare one by effort="
                )

    def check_force_limits(self, joints: Iterable[JointEntry], force_limits: Collection[str] = ()) -> None:
        """Refuse joints without a force limit, for control by torque, whose scale it is.

        Args:
            joints: The joints.
            force_limits: Names of the joints whose force limit comes from elsewhere.

        Raises:
            ArgumentError: A joint has none.
        """
        for joint in joints:
            if joint.force is None and joint.name not in force_limits:
                where = "actuatorfrcrange" if self.path.suffix == ".xml" else "<limit effort=...>"
                raise ArgumentError(
                    f"joint {quoted(joint.name)} of {self.path.name} has no force limit, which control by torque "
                    f"needs; give it {where}"
                )

    def start(self, positions: Mapping[str, float] | None = None) -> tuple[tuple[float, ...], ...]:
        """Where every joint starts.

        Args:
            positions: Joint → position, rad or m, where it differs from the file's.

        Returns:
            For each of `joints` its position, like `JointEntry.initial`; a joint that follows another is placed
            by its leader.
        """
        given = dict(positions or {})
        start = [(given[j.name],) if j.name in given and len(j.initial) == 1 else j.initial for j in self.joints]
        by_name = {joint.name: position[0] for joint, position in zip(self.joints, start, strict=True)}
        for index, joint in enumerate(self.joints):
            if joint.mimic is not None:
                start[index] = (float(joint.mimic.position(by_name.get(joint.mimic.joint or "", 0.0))),)
        return tuple(start)

    def align(self, names: Sequence[str]) -> list[JointEntry | None]:
        """Find the joints of a Genesis entity, whose names need not be unique.

        Args:
            names: Names of `entity.joints`, in order.

        Returns:
            For each the entry; None for one that the file lacks, as the base that Genesis lets float.

        Raises:
            ArgumentError: Genesis made other joints of the file.
        """
        if self.path.suffix == ".urdf":
            by_name = {joint.name: joint for joint in self.joints}
            found = [by_name.get(name) for name in names]
            complete = by_name.keys() <= set(names)
        else:
            found = [*self.joints]
            complete = [joint.name for joint in self.joints] == list(names)
        if not complete:
            raise ArgumentError(f"Genesis reads other joints in {self.path.name} than it has: {_listed(names)}")
        return found

    def _root(self, link: int) -> int:
        """Root of a link's tree: in MJCF the body right on the world."""
        top = 0 if self.path.suffix == ".xml" else -1
        while self.parents[link] > top:
            link = self.parents[link]
        return link

    def _check_unique(self, joint: JointEntry) -> None:
        """Refuse a joint that Genesis could not find by its name."""
        count = Counter(entry.name for entry in self.joints)[joint.name]
        if not joint.name:
            parent = f"link {quoted(joint.parent)}" if joint.parent else "a nameless body"
            raise ArgumentError(
                f"{self.path.name} has a joint without a name between {parent} and a nameless body; to drive it, "
                "name it"
            )
        if count > 1:
            raise ArgumentError(
                f"{self.path.name} has {count} joints that Genesis calls {quoted(joint.name)}, since it gives a "
                "nameless joint the name of its body; name each"
            )


def quoted(name: str) -> str:
    """A name from a file as an error quotes it, shortened where it is long."""
    return repr(name if len(name) <= 100 else f"{name[:97]}...")


def check_has(where: str, what: str, wanted: Iterable[str], present: Iterable[str]) -> None:
    """Refuse names that are not there.

    Args:
        where: The file or robot, for the error.
        what: `"link"` or `"joint"`.
        wanted: The names given.
        present: The names that there are.

    Raises:
        ArgumentError: A name is missing; the error tells those that there are.
    """
    names = list(present)
    for name in wanted:
        if name not in names:
            raise ArgumentError(f"no {what} {quoted(name)} in {where}; it has {_listed(names)}")


def _listed(names: Iterable[str]) -> str:
    """The first names, for an error."""
    names = list(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (", ".join(str(name)[:100] or "''" for name in names[:LISTED]) or "none") + more
