"""Reader of URDF files; what Genesis cannot load is refused."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from genesis_gym.errors import ArgumentError
from genesis_gym.robots.description import JointEntry, Mimic, RobotFile, quoted
from genesis_gym.robots.parsing import check_asset, number, numbers, read_xml

#: Numbers of each shape's attributes.
_SHAPES = {
    "box": {"size": 3},
    "cylinder": {"radius": 1, "length": 1},
    "capsule": {"radius": 1, "length": 1},
    "sphere": {"radius": 1},
    "mesh": {},
}
_KINDS = ("fixed", "revolute", "continuous", "prismatic", "floating")
#: What Genesis forgives an inertia tensor, relative and kg·m².
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
_MOMENTS = ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")


def read(path: Path) -> RobotFile:
    """Read a URDF file.

    Args:
        path: The file.

    Returns:
        What it declares.

    Raises:
        KeyError: An attribute is missing.
        ValueError: It is no robot, or has something that Genesis cannot load.
    """
    root = read_xml(path)
    if root.tag != "robot":
        raise ValueError(f"its root is <{root.tag}>, not <robot>")
    if not root.get("name"):
        raise ValueError("its <robot> has no name")
    links = root.findall("link")
    names = _unique(links, "link")
    if not names:
        raise ValueError("it has no <link>")
    elements = root.findall("joint")
    _unique(elements, "joint")
    joints, parents = [], [-1] * len(names)
    for element in elements:
        joint = _read_joint(element, names)
        if parents[joint.child_index] >= 0:
            raise ValueError(f"link {quoted(joint.child)} is the child of two joints")
        parents[joint.child_index] = names.index(joint.parent)
        joints.append(joint)
    _check_tree(path, names, parents, joints)
    _unique(root.findall("material"), "material")
    for material in root.iter("material"):
        _check_material(path, material)
    held = {joint.child for joint in joints if joint.kind == "fixed"}
    bearing = {joint.parent for joint in joints if joint.kind == "fixed"}
    for link in links:
        # Genesis merges fixed links before it looks at the inertia of the sum.
        alone = link.attrib["name"] not in held | bearing
        _check_link(path, link, alone)
    _check_transmissions(root, {joint.name for joint in joints})
    return RobotFile(path=path, links=tuple(names), parents=tuple(parents), joints=_follow(joints))


def _unique(elements: Iterable[Element], what: str) -> list[str]:
    """Names of elements; each must have its own."""
    names = [element.attrib["name"] for element in elements]
    for name, count in Counter(names).items():
        if not name and what != "material":
            raise ValueError(f"a <{what}> has no name")
        if count > 1:
            raise ValueError(f"{count} of its {what}s are called {quoted(name)}")
    return names


def _read_joint(joint: Element, links: list[str]) -> JointEntry:
    """Read a joint, a fixed one included; the one that it follows is looked up by `_follow`."""
    name, kind = joint.attrib["name"], joint.attrib["type"]
    what = f"joint {quoted(name)}"
    if kind not in _KINDS:
        raise ValueError(f"{what} is {quoted(kind)}; Genesis knows {', '.join(_KINDS)}")
    ends = {}
    for end in ("parent", "child"):
        element = joint.find(end)
        if element is None:
            raise ValueError(f"{what} has no <{end}>")
        ends[end] = element.attrib["link"]
        if ends[end] not in links:
            raise ValueError(f"{what} has the {end} {quoted(ends[end])}, and there is no such link")
    axis = joint.find("axis")
    if axis is not None:
        _finite(axis, "xyz", 3)
    _check_origin(joint)
    entry = JointEntry(
        name=name,
        kind=kind,
        parent=ends["parent"],
        child=ends["child"],
        child_index=links.index(ends["child"]),
        damping=_positive(joint.find("dynamics"), "damping", what) or None,
        initial=(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0) if kind == "floating" else (0.0,),
    )
    _positive(joint.find("dynamics"), "friction", what)
    safety = joint.find("safety_controller")
    if safety is not None:
        numbers(safety, "k_velocity", 1)
    mimic = joint.find("mimic")
    if mimic is not None:
        values = [number(mimic, "offset"), number(mimic, "multiplier")]
        offset, multiplier = (float(i) if value is None else value for i, value in enumerate(values))
        entry = replace(entry, mimic=Mimic(mimic.attrib["joint"], (offset, multiplier)))
    return _limit(entry, joint.find("limit"), what)


def _limit(entry: JointEntry, limit: Element | None, what: str) -> JointEntry:
    """Add what a `<limit>` says, or what Genesis takes it for."""
    if limit is None:
        if entry.kind in ("revolute", "prismatic"):
            raise ValueError(f"{what} has no <limit>, which a {entry.kind} joint needs")
        return entry
    effort = _positive(limit, "effort", what) or 0.0
    velocity = _positive(limit, "velocity", what) or None
    entry = replace(
        entry,
        force=effort if math.isfinite(effort) else None,
        velocity=velocity if velocity is None or math.isfinite(velocity) else None,
    )
    if entry.kind not in ("revolute", "prismatic"):
        return entry
    low, high = number(limit, "lower"), number(limit, "upper")
    if low is None or high is None:
        return replace(
            entry, flaw="has a <limit> without lower or upper, which Genesis takes for none; give it both"
        )
    if low > high:
        raise ValueError(f"{what} has the limits {low:g} to {high:g}; the lower one is above the upper one")
    if low == high:
        return replace(
            entry, flaw=f"has the limits {low:g} to {high:g}, which Genesis takes for none; make it fixed"
        )
    return replace(entry, low=low, high=high, initial=(min(max(0.0, low), high),))


def _positive(element: Element | None, attribute: str, what: str) -> float | None:
    """A number that must not be below 0; None if it is missing."""
    value = number(element, attribute)
    if value is not None and value < 0:
        raise ValueError(f"{what} has {attribute}={value:g}; it must not be below 0")
    return value


def _finite(element: Element, attribute: str, count: int) -> list[float]:
    values = numbers(element, attribute, count)
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{attribute}={quoted(element.attrib[attribute])} of <{element.tag}> must be finite")
    return values


def _check_origin(element: Element) -> None:
    origin = element.find("origin")
    if origin is not None:
        for attribute in ("xyz", "rpy"):
            if attribute in origin.attrib:
                _finite(origin, attribute, 3)


def _check_tree(path: Path, links: list[str], parents: list[int], joints: list[JointEntry]) -> None:
    """Refuse anything but a tree with one root; only that may carry a floating joint."""
    for link in range(len(links)):
        above = link
        for _ in links:
            above = parents[above]
            if above < 0:
                break
        else:
            raise ArgumentError(f"{path.name} is no tree: link {quoted(links[above])} is above itself")
    roots = [quoted(link) for link, parent in zip(links, parents, strict=True) if parent < 0]
    if len(roots) > 1:
        raise ArgumentError(f"{path.name} has several roots: no joint connects the links {', '.join(roots[:20])}")
    for joint in joints:
        if joint.kind == "floating" and parents[links.index(joint.parent)] >= 0:
            raise ArgumentError(
                f"joint {quoted(joint.name)} of {path.name} is floating; "
                "Genesis lets only children of the root float"
            )


def _follow(joints: list[JointEntry]) -> tuple[JointEntry, ...]:
    """Let every joint that follows another follow one that follows none; leave fixed joints out."""
    by_name = {joint.name: joint for joint in joints if joint.kind != "fixed"}
    result = []
    for joint in by_name.values():
        mimic = joint.mimic
        for _ in range(len(by_name) + 1):
            leader = by_name.get(mimic.joint or "") if mimic else None
            if mimic is None or leader is None or leader.mimic is None:
                break
            offset, multiplier = mimic.coefficients
            mimic = Mimic(
                leader.mimic.joint,
                (offset + multiplier * leader.mimic.offset, multiplier * leader.mimic.multiplier),
            )
        else:
            raise ValueError(f"joint {quoted(joint.name)} follows itself (mimic)")
        if mimic is not None:
            if mimic.joint not in by_name:
                raise ValueError(
                    f"joint {quoted(joint.name)} follows {quoted(mimic.joint or '')} (mimic), and no joint of "
                    "that name moves"
                )
            if joint.kind == "floating" or by_name[mimic.joint].kind == "floating":
                raise ValueError(
                    f"joint {quoted(joint.name)} follows another (mimic), and one of them is floating"
                )
            start = mimic.position(by_name[mimic.joint].initial[0])
            joint = replace(joint, mimic=mimic, initial=(start,))
        result.append(joint)
    return tuple(result)


def _check_link(path: Path, link: Element, alone: bool) -> None:
    """Refuse shapes, meshes and inertia that Genesis cannot load.

    Args:
        path: The robot's file.
        link: The link.
        alone: Whether no fixed joint ends here, so that its inertia stays what it is.
    """
    what = f"link {quoted(link.attrib['name'])}"
    inertial = link.find("inertial")
    if inertial is not None:
        _check_origin(inertial)
        mass, inertia = inertial.find("mass"), inertial.find("inertia")
        if mass is not None and _finite(mass, "value", 1)[0] < 0:
            raise ValueError(f"{what} has the mass {mass.attrib['value'][:100]}; it must not be below 0")
        if inertia is None:
            raise ValueError(f"{what} has an <inertial> without <inertia>")
        moments = [_finite(inertia, moment, 1)[0] for moment in _MOMENTS]
        if alone:
            _check_inertia(what, moments)
    for part in (*link.findall("visual"), *link.findall("collision")):
        _check_origin(part)
        geometry = part.find("geometry")
        shapes = [] if geometry is None else [shape for shape in geometry if shape.tag in _SHAPES]
        if not shapes:
            raise ValueError(f"{what} has a <{part.tag}> without a shape; Genesis knows {', '.join(_SHAPES)}")
        for shape in shapes:
            for attribute, count in _SHAPES[shape.tag].items():
                size = _finite(shape, attribute, count)
                if part.tag == "collision" and min(size) <= 0:
                    raise ValueError(f"{what} has a <{shape.tag}> with {attribute} {size}; it must be above 0")
            if shape.tag == "mesh":
                if "scale" in shape.attrib:
                    _finite(shape, "scale", 1 if len(shape.attrib["scale"].split()) == 1 else 3)
                _check_file(path, shape, what)


def _check_inertia(what: str, moments: list[float]) -> None:
    """Refuse an inertia tensor that no mass distribution has, as Genesis does."""
    xx, yy, zz, xy, xz, yz = moments
    smallest, middle, largest = np.linalg.eigvalsh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
    if smallest < -(max(abs(smallest), abs(largest)) * _RELATIVE + _ABSOLUTE):
        raise ValueError(f"{what} has an impossible inertia: its least principal moment is {smallest:g} kg·m²")
    if smallest + middle < largest * (1.0 - _RELATIVE) - _ABSOLUTE:
        raise ValueError(
            f"{what} has an impossible inertia: its principal moments are {smallest:g}, {middle:g} and "
            f"{largest:g} kg·m², one more than the sum of the others"
        )


def _check_material(path: Path, material: Element) -> None:
    what = f"material {quoted(material.attrib['name'])}"
    color, texture = material.find("color"), material.find("texture")
    if color is not None:
        _finite(color, "rgba", 4)
    if texture is not None:
        _check_file(path, texture, what)


def _check_file(path: Path, element: Element, what: str) -> None:
    """Refuse a mesh or a picture that is missing or none, looked up as Genesis does."""
    filename = element.attrib["filename"]
    folder = path.absolute().parent
    asset = folder / filename.removeprefix("package://")
    if filename.startswith("package://") and not asset.is_file():
        package, _, rest = filename.removeprefix("package://").partition("/")
        if package in folder.parts:
            asset = Path(*folder.parts[: folder.parts.index(package)], package, rest)
    try:
        check_asset(asset, filename)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def _check_transmissions(root: Element, joints: set[str]) -> None:
    """Refuse a `<transmission>` that Genesis stumbles over, though it makes no use of them."""
    for transmission in root.findall("transmission"):
        what = f"transmission {quoted(transmission.get('name', ''))}"
        driven = [joint.attrib["name"] for joint in transmission.findall("joint")]
        complete = transmission.get("name") and driven and all(map(transmission.findall, ("actuator", "type")))
        unknown = [name for name in driven if name not in joints]
        if unknown:
            raise ValueError(
                f"{what} is of joint {quoted(unknown[0])}, and there is no such joint; correct or delete it"
            )
        if not complete or any("name" not in part.attrib for part in transmission.findall("actuator")):
            raise ValueError(
                f"{what} lacks a name, a <type>, a <joint> or an <actuator> with a name; Genesis makes no use of "
                "it but cannot load it, so delete it"
            )
    _unique(root.findall("transmission"), "transmission")
