"""What a URDF or MJCF file says of a robot, read before any scene is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from genesis_gym.errors import ArgumentError, safe_repr

#: Kinds of joints that can be driven.
DRIVEN = ("revolute", "continuous", "prismatic")


@dataclass(frozen=True, kw_only=True)
class JointEntry:
    """A joint as a file declares it; angles in rad, lengths in metres.

    Attributes:
        name: Its name.
        kind: As URDF calls it; a `ball` of MJCF keeps its name.
        parent: Link that it is on.
        child: Link that it moves.
        low: Lower limit; -inf without one.
        high: Upper limit.
        velocity: Greatest speed per second; None if the file does not tell.
        force: Greatest force or torque, N or N·m; None if the file does not tell.
    """

    name: str
    kind: str
    parent: str
    child: str
    low: float = -math.inf
    high: float = math.inf
    velocity: float | None = None
    force: float | None = None


@dataclass(frozen=True, kw_only=True)
class RobotFile:
    """What a file declares.

    Attributes:
        path: The file.
        links: Names of the links.
        joints: Every joint, a parent's before a child's in MJCF, as written in URDF.
        home: Joint → its position in MJCF's keyframe `home`; empty without one.
        servos: Joints with a position servo of their own, whose gains Genesis takes over.
    """

    path: Path
    links: tuple[str, ...]
    joints: tuple[JointEntry, ...]
    home: dict[str, float] = field(default_factory=dict)
    servos: frozenset[str] = frozenset()

    def joints_to(self, link: str) -> list[JointEntry]:
        """The joints that move a link, from the base on; fixed ones are left out.

        Raises:
            ArgumentError: There is no such link.
        """
        check_has(self.path.name, "link", [link], self.links)
        chain: list[JointEntry] = []
        while above := [joint for joint in self.joints if joint.child == link]:
            if above[0] in chain:
                raise ArgumentError(f"{self.path.name} is no tree: link {safe_repr(link)} is above itself")
            chain.extend(reversed(above))
            link = above[0].parent
        return [joint for joint in reversed(chain) if joint.kind != "fixed"]

    def joints_named(self, names: Sequence[str]) -> list[JointEntry]:
        """Joints by their names.

        Raises:
            ArgumentError: A name is unknown.
        """
        by_name = {joint.name: joint for joint in self.joints if joint.kind != "fixed"}
        check_has(self.path.name, "joint", names, by_name)
        return [by_name[name] for name in names]


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
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            has = ", ".join(str(n)[:100] for n in names[:20])
            raise ArgumentError(f"no {what} {safe_repr(name)} in {where}; it has {has or 'none'}{more}")


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
        raise ArgumentError(f"robot file {safe_repr(str(asset))} is not allowed; it must end in .urdf or .xml (MJCF)")
    if path.is_file():
        return path.absolute()
    package = find_spec("genesis")
    if package is not None and package.origin:
        shipped = Path(package.origin).parent / "assets" / path
        if shipped.is_file():
            return shipped
    raise ArgumentError(f"robot file {safe_repr(str(asset))} does not exist, nor does Genesis ship it")


def read_robot_file(path: Path) -> RobotFile:
    """Read what a file declares.

    Args:
        path: URDF (`.urdf`) or MJCF (`.xml`).

    Returns:
        Its links and joints.

    Raises:
        ArgumentError: It cannot be read, or is no robot.
    """
    try:
        return _read_urdf(path) if path.suffix == ".urdf" else _read_mjcf(path)
    except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
        raise ArgumentError(f"{path.name} cannot be read as a robot: {error}") from error


def _read_urdf(path: Path) -> RobotFile:
    root = ElementTree.parse(path).getroot()
    if root.tag != "robot":
        raise ValueError(f"its root is <{root.tag}>, not <robot>")
    joints = []
    for joint in root.findall("joint"):
        ends = {end: joint.find(end) for end in ("parent", "child")}
        parent, child = ("" if end is None else end.attrib["link"] for end in ends.values())
        limit = joint.find("limit")
        bounds = {} if limit is None else {name: float(value) for name, value in limit.attrib.items()}
        kind = joint.attrib["type"]
        limited = kind in ("revolute", "prismatic")
        joints.append(
            JointEntry(
                name=joint.attrib["name"],
                kind=kind,
                parent=parent,
                child=child,
                low=bounds.get("lower", 0.0) if limited else -math.inf,
                high=bounds.get("upper", 0.0) if limited else math.inf,
                velocity=bounds.get("velocity"),
                force=bounds.get("effort"),
            )
        )
    return RobotFile(
        path=path, links=tuple(link.attrib["name"] for link in root.findall("link")), joints=tuple(joints)
    )


def _read_mjcf(path: Path) -> RobotFile:
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(path))
    bodies = [model.body(i).name for i in range(model.nbody)]
    kinds = {
        mujoco.mjtJoint.mjJNT_FREE: "floating",
        mujoco.mjtJoint.mjJNT_BALL: "ball",
        mujoco.mjtJoint.mjJNT_SLIDE: "prismatic",
        mujoco.mjtJoint.mjJNT_HINGE: "revolute",
    }
    joints, places = [], {}
    for body in range(1, model.nbody):
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        ends = {"parent": bodies[model.body_parentid[body]], "child": bodies[body]}
        for i in range(first, first + count):
            low, high = model.jnt_range[i] if model.jnt_limited[i] else (-math.inf, math.inf)
            kind = kinds[mujoco.mjtJoint(model.jnt_type[i])]
            name = model.joint(i).name
            joints.append(JointEntry(name=name, kind=kind, low=float(low), high=float(high), **ends))
            places[name] = int(model.jnt_qposadr[i])
        if not count:
            joints.append(JointEntry(name="", kind="fixed", **ends))
    keys = [model.key(i) for i in range(model.nkey) if model.key(i).name == "home"]
    servos = (
        model.joint(int(model.actuator_trnid[i, 0])).name
        for i in range(model.nu)
        if model.actuator_trntype[i] == mujoco.mjtTrn.mjTRN_JOINT and model.actuator_biasprm[i, 1] < 0
    )
    return RobotFile(
        path=path,
        links=tuple(bodies),
        joints=tuple(joints),
        home={name: float(keys[0].qpos[place]) for name, place in places.items()} if keys else {},
        servos=frozenset(servos),
    )
