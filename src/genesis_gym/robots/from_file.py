"""Declare a robot by its URDF or MJCF file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from genesis_gym.errors import ArgumentError, is_number, safe_repr
from genesis_gym.robots.files import DRIVEN, JointEntry, RobotFile, check_gripper
from genesis_gym.robots.resolve import LIMIT_TOLERANCE, read_file, resolve
from genesis_gym.robots.spec import (
    PD,
    VELOCITY_LIMIT,
    Fixed,
    Floating,
    GripperSpec,
    Point,
    Pose,
    RobotSpec,
    ToolSpec,
)


def robot_from_file(
    file: str | Path,
    *,
    end_effector: str | None = None,
    home: Sequence[float] | Pose | None = None,
    joints: Sequence[str] | str | None = None,
    velocity_limits: Sequence[float] | None = None,
    name: str | None = None,
    base: Fixed | Floating | None = None,
    tool_offset: Point = (0.0, 0.0, 0.0),
    workspace: tuple[Point, Point] | None = None,
    gripper_joints: Sequence[str] = (),
    gripper_open: float | None = None,
    gripper_speed: float = GripperSpec.speed,
    gripper_force: float = GripperSpec.force,
    links: Mapping[str, str] | None = None,
    poses: Mapping[str, Pose] | None = None,
    bandwidth: float | None = None,
    kp: float | None = None,
    kd: float | None = None,
    effort: float | None = None,
    armature: float | None = None,
) -> RobotSpec:
    """Declare the robot of a URDF or MJCF file.

    The file is read now, so whatever is wrong with it is said before a scene is made. Joint limits are the file's.
    Joints that are neither driven nor the gripper's start where the file has them and are limp; those that follow
    another joint, as a URDF `<mimic>` does, follow it.

    Args:
        file: Ends in `.urdf` or `.xml` (MJCF); a relative path is looked up in the working directory, then in
            Genesis's assets.
        end_effector: Link that carries an arm's tool. None for a robot without one, whose base floats or whose
            `joints` are given.
        home: Position of the driven joints at reset, rad or metres: one number for each, or a pose. None for the
            keyframe `home` of an MJCF file; with a floating base, without a keyframe, where the file has them.
        joints: Joints to drive: names in order, or a regular expression. None for all that move the end-effector,
            from the base on; with a floating base for all.
        velocity_limits: Greatest speed of the driven joints, rad/s or m/s; None for the file's, and 2 rad/s where
            it names none, as no MJCF file does.
        name: What the robot is called; None for the file's name.
        base: `Fixed(position)` or `Floating(height)`; None for a base that is fixed on the origin.
        tool_offset: Tool centre in the end-effector's frame, metres.
        workspace: Lower and upper corner of a box that the tool centre reaches everywhere, relative to the base,
            metres; None for a box around its place at home.
        gripper_joints: The two finger joints, of which one may follow the other; empty without a gripper.
        gripper_open: Position of the open fingers, metres; closed is 0.
        gripper_speed: Speed of each finger, m/s.
        gripper_force: Force with which each finger presses on what is held, N.
        links: Name of a group of links → regular expression of link names, such as `{"feet": ".*_foot"}`.
        poses: Further poses by name, such as `"ready"`: regular expression of joint names → position.
        bandwidth: Natural frequency from which gains are made, rad/s. None for the gains of the file's position
            servos; where a joint has none, as in every URDF file, it is 50 rad/s.
        kp: N·m/rad or N/m, instead of `bandwidth`.
        kd: N·m·s/rad or N·s/m.
        effort: Greatest torque or force of the driven joints, N·m or N; None for the file's.
        armature: Inertia of each driven joint's rotor, kg·m²; None for the file's.

    Returns:
        The declaration.

    Raises:
        ArgumentError: The file does not exist, cannot be read or lacks what is named, or a value is wrong.
    """
    declared = read_file(file)
    driven = _driven_joints(declared, end_effector, joints, gripper_joints, base, effort)
    names = tuple(joint.name for joint in driven)
    fingers = check_gripper(declared, gripper_joints, gripper_open or 0.0)
    default = _default(declared, driven, home, optional=isinstance(base, Floating))
    default.update({finger.name: gripper_open for finger in fingers if gripper_open is not None})
    spec = RobotSpec(
        name=declared.path.stem if name is None else name,
        asset=str(declared.path),
        base=base or Fixed(),
        default=default,
        poses=poses or {},
        actuators=(
            PD(
                names,
                velocity=_speeds(driven, velocity_limits),
                bandwidth=bandwidth,
                kp=kp,
                kd=kd,
                effort=effort,
                armature=armature,
            ),
        ),
        tool=None
        if end_effector is None
        else ToolSpec(link=end_effector, offset=tool_offset, workspace=workspace),
        gripper=GripperSpec(
            joints=tuple(gripper_joints), open=gripper_open, speed=gripper_speed, force=gripper_force
        )
        if fingers and gripper_open is not None
        else None,
        links=links or {},
    )
    resolve(spec)
    return spec


def _driven_joints(
    file: RobotFile,
    end_effector: str | None,
    joints: Sequence[str] | str | None,
    gripper_joints: Sequence[str],
    base: Fixed | Floating | None,
    effort: float | None,
) -> list[JointEntry]:
    """The joints to drive."""
    chain = [] if end_effector is None else file.joints_to(end_effector)
    floating = isinstance(base, Floating)
    if isinstance(joints, str):
        driven = [joint for joint in file.joints_matching(joints) if joint.name not in gripper_joints]
    elif joints is not None:
        driven = file.joints_named(joints)
    elif floating:
        driven = [joint for joint in file.joints_matching(".*") if joint.name not in gripper_joints]
    elif end_effector is None:
        raise ArgumentError(
            f"{file.path.name}: an arm needs end_effector, the link that carries its tool; what moves freely has "
            "base=Floating(height)"
        )
    else:
        driven = chain
    if not floating:
        for joint in chain:
            if joint.kind not in DRIVEN:
                raise ArgumentError(
                    f"joint {safe_repr(joint.name)} of {file.path.name} is {joint.kind}; an arm stands on a fixed "
                    f"base and its joints are {', '.join(DRIVEN)}; what moves freely has base=Floating(height)"
                )
    file.check_driven(driven, force_limits=[joint.name for joint in driven] if effort is not None else ())
    if not driven:
        raise ArgumentError(
            f"{file.path.name}: no joint moves link {safe_repr(end_effector)}, so there is none to drive"
        )
    return driven


def _default(
    file: RobotFile, driven: list[JointEntry], home: Sequence[float] | Pose | None, *, optional: bool
) -> dict[str, float]:
    """Position at reset of the joints that `home` or the file names."""
    names = [joint.name for joint in driven]
    each = ", ".join(names)
    if isinstance(home, Mapping):
        return dict(home)
    if home is None:
        if not file.home and not optional:
            raise ArgumentError(f"{file.path.name} names no home; pass home, one number for each of {each}")
        return {name: file.home[name] for name in names if name in file.home}
    values = list(home)
    if len(values) != len(names) or not all(map(is_number, values)):
        raise ArgumentError(
            f"home={safe_repr(home)} is not allowed; it must have {len(names)} finite numbers, one for each of "
            f"{each}"
        )
    for joint, position in zip(driven, values, strict=True):
        if not joint.low - LIMIT_TOLERANCE <= position <= joint.high + LIMIT_TOLERANCE:
            raise ArgumentError(
                f"home={position:g} of joint {safe_repr(joint.name)} is outside its limits in {file.path.name}, "
                f"{joint.low:g} to {joint.high:g}"
            )
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _speeds(driven: list[JointEntry], given: Sequence[float] | None) -> tuple[float, ...]:
    """Speed limits of the driven joints."""
    if given is None:
        return tuple(joint.velocity or VELOCITY_LIMIT for joint in driven)
    if len(given) != len(driven) or not all(is_number(limit) and limit > 0 for limit in given):
        raise ArgumentError(
            f"velocity_limits={safe_repr(given)} is not allowed; it must have {len(driven)} numbers above 0, one "
            f"for each of {', '.join(joint.name for joint in driven)}"
        )
    return tuple(float(limit) for limit in given)
