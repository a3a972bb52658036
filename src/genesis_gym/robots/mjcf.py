"""Reader of MJCF files, which are compiled as Genesis does it; what Genesis cannot load is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.polynomial import Polynomial

from genesis_gym.robots.description import DRIVEN, JointEntry, Mimic, RobotFile, quoted
from genesis_gym.robots.parsing import check_asset, read_xml

#: Attributes with numbers, of which MuJoCo ignores those with one that is not a number.
_NUMERIC = (
    *("pos", "quat", "axisangle", "xyaxes", "zaxis", "euler", "axis", "size", "fromto", "range", "ref", "qpos"),
    *("mass", "density", "diaginertia", "fullinertia", "damping", "armature", "stiffness", "springref"),
    *("frictionloss", "gear", "ctrlrange", "forcerange", "actuatorfrcrange", "kp", "kv", "polycoef"),
)
#: How far a body may be from the world's frame for Genesis to leave out the world.
_SAME_PLACE = 1e-9


def read(path: Path) -> RobotFile:
    """Read an MJCF file.

    Args:
        path: The file.

    Returns:
        What it declares.

    Raises:
        OSError: It or a file that it includes cannot be read.
        ValueError: It is no robot, or has something that Genesis cannot load.
    """
    import mujoco

    root = _flatten(path)
    _check_numbers(root)
    _check_assets(path, root)
    _set_folders(path, root)
    try:
        model = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="utf8"))
    except mujoco.FatalError as error:
        raise ValueError(str(error)) from error
    links = tuple(model.body(i).name for i in range(model.nbody))
    keys = [model.key(i).qpos for i in range(model.nkey) if model.key(i).name == "home"]
    start = keys[0] if keys else model.qpos0
    joints = [_read_joint(model, i, links, start) for i in range(model.njnt)]
    leads = _read_equalities(model, joints, links)
    names = [joint.name for joint in joints]
    home = {
        joint.name: float(start[model.jnt_qposadr[i]])
        for i, joint in enumerate(joints)
        if keys and joint.kind in DRIVEN and joint.name and names.count(joint.name) == 1
    }
    for i, mimic in leads.items():
        leader = next((joint for joint in joints if joint.name == mimic.joint), None)
        position = float(mimic.position(leader.initial[0] if leader else 0.0))
        joints[i] = replace(joints[i], mimic=mimic, initial=(position,))
    return RobotFile(
        path=path,
        links=links,
        parents=(-1, *(int(parent) for parent in model.body_parentid[1:])),
        joints=tuple(joints),
        home=home,
    )


def _flatten(path: Path) -> Element:
    """Read the file and put into it what it includes, as far as Genesis does."""
    root = read_xml(path)
    if root.tag != "mujoco":
        raise ValueError(f"its root is <{root.tag}>, not <mujoco>")
    for include in root.findall("include"):
        part = Path(include.attrib["file"])
        included = read_xml(path.parent / part)
        if included.find(".//include") is not None:
            raise ValueError(
                f"{quoted(str(part))}, which it includes, has an <include> itself; Genesis does not nest them"
            )
        for mesh in included.findall(".//asset/mesh[@file]"):
            mesh.set("file", str(part.parent / mesh.attrib["file"]))
        root.extend(list(included))
        root.remove(include)
    if root.find(".//include") is not None:
        raise ValueError("it has an <include> within another element; Genesis knows it right under <mujoco> only")
    return root


def _set_folders(path: Path, root: Element) -> None:
    """Let the compiler find meshes and pictures, which it looks for from the file's folder on."""
    compiler = root.find("compiler")
    if compiler is None:
        compiler = ElementTree.SubElement(root, "compiler")
    for name in ("assetdir", "meshdir", "texturedir"):
        compiler.set(name, str(path.absolute().parent / compiler.get(name, "")))


def _check_numbers(root: Element) -> None:
    for element in root.iter():
        for name in _NUMERIC:
            for word in element.get(name, "").split():
                if word.lower().lstrip("+-") in ("nan", "inf", "infinity"):
                    raise ValueError(f"{name}={quoted(element.attrib[name])} of <{element.tag}> must be finite")


def _check_assets(path: Path, root: Element) -> None:
    """Refuse missing meshes and Git LFS pointers; MuJoCo would only say that it cannot decode them."""
    compiler = root.find("compiler")
    settings = {} if compiler is None else compiler.attrib
    if settings.get("strippath", "false") == "true":
        return
    folder = path.absolute().parent / settings.get("meshdir", settings.get("assetdir", ""))
    for mesh in root.findall("asset/mesh[@file]"):
        check_asset(folder / mesh.attrib["file"], mesh.attrib["file"])


def _read_joint(model: Any, index: int, links: tuple[str, ...], start: Any) -> JointEntry:
    """Read a joint.

    Args:
        model: The compiled model.
        index: The joint.
        links: Names of the links.
        start: `qpos` at the start.
    """
    import mujoco

    kinds = {
        mujoco.mjtJoint.mjJNT_FREE: ("floating", 7),
        mujoco.mjtJoint.mjJNT_BALL: ("ball", 4),
        mujoco.mjtJoint.mjJNT_SLIDE: ("prismatic", 1),
        mujoco.mjtJoint.mjJNT_HINGE: ("revolute", 1),
    }
    kind, size = kinds[mujoco.mjtJoint(model.jnt_type[index])]
    body, dof, place = (int(array[index]) for array in (model.jnt_bodyid, model.jnt_dofadr, model.jnt_qposadr))
    name = model.joint(index).name or links[body]
    if kind == "floating" and model.jnt_stiffness[index] > 0:
        raise ValueError(f"free joint {quoted(name)} has a stiffness, which Genesis does not know")
    initial = [float(x) for x in start[place : place + size]]
    low, high = -math.inf, math.inf
    if size == 1 and model.jnt_limited[index]:
        low, high = map(float, model.jnt_range[index])
        initial = [min(max(initial[0], low), high)]
    drive, force = _read_drive(model, index)
    return JointEntry(
        name=name,
        kind=kind,
        parent=links[model.body_parentid[body]],
        child=links[body],
        child_index=body,
        low=low,
        high=high,
        force=force,
        initial=tuple(initial),
        reference=float(model.qpos0[place]) if size == 1 else 0.0,
        armature=float(model.dof_armature[dof]) or None,
        damping=float(model.dof_damping[dof]) or None,
        drive=drive,
    )


def _read_drive(model: Any, joint: int) -> tuple[str | None, float | None]:
    """How a joint is driven, and the greatest force either way, as Genesis takes both over."""
    import mujoco

    targets = np.asarray(model.actuator_trnid).reshape(-1, 2)[:, 0]
    direct = np.flatnonzero((np.asarray(model.actuator_trntype) == mujoco.mjtTrn.mjTRN_JOINT) & (targets == joint))
    actuators = [int(actuator) for actuator in direct]
    drive = "motor" if actuators else None
    if not actuators:
        actuators = _tendon_actuators(model, joint)
        drive = "tendon" if actuators else None
    ranges = []
    if len(actuators) == 1:
        (actuator,) = actuators
        if drive == "motor" and model.actuator_biasprm[actuator, 1] < 0:
            drive = "servo"
        bare = model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_NONE
        if bare and model.actuator_ctrllimited[actuator]:
            ranges.append(np.sort(model.actuator_gear[actuator, 0] * model.actuator_ctrlrange[actuator]))
        if model.actuator_forcelimited[actuator]:
            ranges.append(model.actuator_forcerange[actuator])
    elif drive == "motor":
        drive = None
    if model.jnt_actfrclimited[joint]:
        ranges.append(model.jnt_actfrcrange[joint])
    low, high = -math.inf, math.inf
    for lower, upper in ranges:
        low, high = float(np.clip(low, lower, upper)), float(np.clip(high, lower, upper))
    force = max(min(-low, high), 0.0)
    return drive, force if math.isfinite(force) else None


def _tendon_actuators(model: Any, joint: int) -> list[int]:
    """Actuators that pull a tendon of which a joint is part."""
    import mujoco

    found = []
    for actuator in np.flatnonzero(np.asarray(model.actuator_trntype) == mujoco.mjtTrn.mjTRN_TENDON):
        tendon = model.actuator_trnid[actuator, 0]
        wraps = slice(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon])
        joints = np.asarray(model.wrap_type[wraps]) == mujoco.mjtWrap.mjWRAP_JOINT
        if (joints & (np.asarray(model.wrap_objid[wraps]) == joint)).any():
            found.append(int(actuator))
    return found


def _read_equalities(model: Any, joints: list[JointEntry], links: tuple[str, ...]) -> dict[int, Mimic]:
    """Joints that are held to others; constraints that Genesis cannot keep are refused.

    Returns:
        The place of each joint that follows → what it follows, which itself follows none.
    """
    import mujoco

    found: dict[int, tuple[int, Polynomial]] = {}
    for i in range(model.neq):
        kind = mujoco.mjtEq(model.eq_type[i])
        what = f"<equality> {quoted(model.equality(i).name)}" if model.equality(i).name else f"<equality> {i + 1}"
        if not model.eq_active0[i]:
            raise ValueError(f"{what} is inactive, and Genesis would keep it nevertheless; delete it")
        if kind == mujoco.mjtEq.mjEQ_JOINT:
            follower, leader = int(model.eq_obj1id[i]), int(model.eq_obj2id[i])
            if not all(model.joint(joint).name for joint in (follower, leader) if joint >= 0):
                raise ValueError(f"{what} is of a joint without a name, which Genesis does not find; name it")
            _add_follower(model, joints, found, follower, leader, model.eq_data[i, :5])
        elif kind in (mujoco.mjtEq.mjEQ_CONNECT, mujoco.mjtEq.mjEQ_WELD):
            bodies = [int(model.eq_obj1id[i]), int(model.eq_obj2id[i])]
            if model.eq_objtype[i] == mujoco.mjtObj.mjOBJ_SITE:
                bodies = [int(model.site_bodyid[site]) for site in bodies]
            if not all(links[body] for body in bodies):
                raise ValueError(f"{what} is of a body without a name, which Genesis does not find; name it")
            if 0 in bodies and _drops_world(model):
                raise ValueError(
                    f"{what} holds a body to the world, which Genesis leaves out where the first body is in its "
                    "place; hold it to that body"
                )
        else:
            raise ValueError(f"{what} is of a kind that Genesis does not know; it knows joint, connect and weld")
    return {follower: _ultimate(joints, found, follower) for follower in found}


def _add_follower(
    model: Any,
    joints: list[JointEntry],
    found: dict[int, tuple[int, Polynomial]],
    follower: int,
    leader: int,
    coefficients: Any,
) -> None:
    """Note who follows whom. MuJoCo counts from `ref`; where only the follower has an actuator, it leads."""
    poly = Polynomial(np.array(coefficients, dtype=float))
    poly = poly(Polynomial([-joints[leader].reference if leader >= 0 else 0.0, 1.0])) + joints[follower].reference
    straight = np.allclose(poly.coef[2:], 0.0) and poly.coef[1] != 0 if len(poly.coef) > 1 else False
    if leader >= 0 and straight and joints[follower].drive and not joints[leader].drive and leader not in found:
        offset, slope = poly.coef[0], poly.coef[1]
        follower, leader, poly = leader, follower, Polynomial([-offset / slope, 1.0 / slope])
    found.setdefault(follower, (leader, poly))


def _ultimate(joints: list[JointEntry], found: dict[int, tuple[int, Polynomial]], follower: int) -> Mimic:
    """Whom a joint follows in the end."""
    leader, poly = found[follower]
    for _ in found:
        if leader not in found:
            break
        leader, inner = found[leader]
        poly = poly(inner)
    else:
        raise ValueError(f"joint {quoted(joints[follower].name)} follows itself (equality)")
    coefficients = [float(c) for c in np.trim_zeros(poly.coef, "b")] or [0.0]
    if leader < 0:
        return Mimic(None, (coefficients[0],))
    return Mimic(joints[leader].name, tuple(coefficients))


def _drops_world(model: Any) -> bool:
    """Whether Genesis leaves out the world's link: without shapes, and the first body in its place or free."""
    import mujoco

    if model.body_geomnum[0] or model.nbody < 2:
        return False
    first = model.body_jntadr[1]
    if model.body_jntnum[1] and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE:
        return True
    at_origin = np.allclose(model.body_pos[1], 0.0, rtol=0.0, atol=_SAME_PLACE)
    return bool(at_origin and np.allclose(model.body_quat[1], (1.0, 0.0, 0.0, 0.0), rtol=0.0, atol=_SAME_PLACE))
