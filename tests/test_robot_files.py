"""What a robot's file declares, and what is refused of it before a scene is made."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genesis_gym.errors import ArgumentError
from genesis_gym.robots import files
from genesis_gym.robots.files import check_gripper, genesis_reads, read_robot_file

BODY = """<inertial><origin xyz="0 0 0.1"/><mass value="1"/>
  <inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>"""
LIMIT = '<limit lower="-2" upper="2" effort="50" velocity="3"/>'
YAW = f"""<joint name="yaw" type="revolute"><parent link="base"/><child link="arm"/><origin xyz="0 0 0.5"/>
  <axis xyz="0 0 1"/>{LIMIT}</joint>"""
PITCH = f"""<joint name="pitch" type="revolute"><parent link="arm"/><child link="tool"/><axis xyz="0 1 0"/>{LIMIT}
  </joint>"""
URDF = f"""<robot name="arm"><link name="base"/><link name="arm">{BODY}</link><link name="tool">{BODY}</link>
{YAW}{PITCH}</robot>"""

MJCF = """<mujoco><compiler angle="radian"/><worldbody>
  <body name="base" pos="0 0 0.5"><geom size="0.05"/>
    <body name="arm"><joint name="yaw" axis="0 0 1"/><geom size="0.05"/>
      <body name="tool" pos="0 0 0.3"><joint name="pitch" axis="0 1 0" range="-2 2"/><geom size="0.03"/></body>
    </body>
    <body name="head" pos="0 0.4 0"><joint name="neck" axis="0 1 0" range="0.5 1.5"/><geom size="0.03"/></body>
  </body>
  <body name="cube" pos="0.5 0 0.02"><freejoint/><geom type="box" size="0.02 0.02 0.02"/></body>
</worldbody></mujoco>"""
HOME = '<keyframe><key name="home" qpos="0 0.5 1.0  0.7 0 0.02 0 0 0 1"/></keyframe></mujoco>'

#: A free-standing turntable and an arm of which some bodies and joints have no names.
NAMELESS = """<mujoco><worldbody>
  <body pos="1 1 0.1"><joint name="turntable" axis="0 0 1"/><geom size="0.05"/></body>
  <body name="base" pos="0 0 0.5"><geom size="0.05"/>
    <body name="link1"><joint name="yaw" axis="0 0 1"/><geom size="0.03"/>
      <body pos="0 0 0.3"><joint name="pitch" axis="0 1 0"/><geom size="0.03"/>
        <body name="wrist" pos="0 0 0.3"><joint axis="0 0 1"/><geom size="0.03"/></body>
      </body></body></body>
</worldbody></mujoco>"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file, after replacements in its text."""

    def write(text: str, *changes: tuple[str, str], name: str | None = None) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / (name or ("arm.xml" if "<mujoco" in text else "arm.urdf"))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[..., files.RobotFile]:
    """Write a file and read it."""
    return lambda text, *changes: read_robot_file(write(text, *changes))


def names(joints: Any) -> list[str]:
    return [joint.name for joint in joints]


def mjcf(extra: str, text: str = MJCF) -> str:
    """An MJCF file with more elements at its end."""
    return text.replace("</mujoco>", f"{extra}</mujoco>")


# Names and chains


def test_the_chain_follows_bodies_and_not_their_names(read) -> None:
    file = read(NAMELESS)
    assert names(file.joints_to("wrist")) == ["yaw", "pitch", "wrist"]  # a nameless joint has its body's name
    file.check_driven(file.joints_to("wrist"))
    assert file.links == ("world", "", "base", "link1", "", "wrist")
    with pytest.raises(ArgumentError, match=r"no link '' in arm.xml; it has world, base, link1, wrist$"):
        file.joints_to("")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ('name="pitch"', ""),
            "arm.xml has a joint without a name between link 'link1' and a nameless body; to drive",
        ),
        (('name="turntable"', 'name="wrist"'), "arm.xml has 2 joints that Genesis calls 'wrist', since it gives"),
        (("<joint axis", '<joint axis="1 0 0"/><joint axis'), "arm.xml has 2 joints that Genesis calls 'wrist'"),
    ],
)
def test_a_joint_without_a_name_of_its_own_is_not_driven(change, line: str, read) -> None:
    file = read(NAMELESS, change)
    with pytest.raises(ArgumentError, match=line):
        file.check_driven(file.joints_to("wrist"))


def test_joints_are_found_by_name_and_by_expression(read) -> None:
    file = read(URDF)
    assert names(file.joints) == names(file.joints_matching(".*")) == ["yaw", "pitch"]
    assert names(file.joints_matching("p.*")) == ["pitch"]
    assert names(file.joints_named(["pitch", "yaw"])) == ["pitch", "yaw"]
    with pytest.raises(ArgumentError, match=r"no joint 'roll' in arm.urdf; it has yaw, pitch"):
        file.joints_named(["roll"])
    with pytest.raises(ArgumentError, match=r"no joint of arm.urdf matches 'itch'; it has yaw, pitch"):
        file.joints_matching("itch")
    with pytest.raises(ArgumentError, match=r"'\(' is no regular expression"):
        file.joints_matching("(")


def test_joints_of_genesis_are_recognised_by_their_order(read) -> None:
    file = read(NAMELESS, ('name="pitch"', ""))
    assert file.align(["turntable", "yaw", "", "wrist"]) == list(file.joints)
    with pytest.raises(ArgumentError, match=r"Genesis reads other joints in arm.xml than it has: yaw, turntable"):
        file.align(["yaw", "turntable", "", "wrist"])
    file = read(URDF)
    assert file.align(["root_joint", "pitch", "yaw"]) == [None, *file.joints_named(["pitch", "yaw"])]


# Forces and limits


@pytest.mark.parametrize("effort", ["", 'effort="0"'])
def test_a_joint_without_effort_is_not_driven(effort: str, read) -> None:
    file = read(URDF, (YAW, YAW.replace('effort="50"', effort)))
    assert file.joints[0].force == 0.0
    with pytest.raises(ArgumentError, match=r"joint 'yaw' of arm.urdf has effort 0 and could not move"):
        file.check_driven(file.joints)
    file.check_driven(file.joints, force_limits={"yaw"})  # where the declaration has a limit of its own


@pytest.mark.parametrize("attribute", ["effort", "velocity"])
def test_a_negative_effort_or_velocity_is_refused(attribute: str, read) -> None:
    with pytest.raises(ArgumentError, match=f"joint 'yaw' has {attribute}=-1; it must not be below 0"):
        read(URDF, (YAW, YAW.replace('effort="50" velocity="3"', f'{attribute}="-1"')))


def test_control_by_torque_needs_a_force_limit(read) -> None:
    endless = YAW.replace("revolute", "continuous")
    file = read(URDF, (YAW, endless.replace(LIMIT, "")))
    assert [joint.force for joint in file.joints] == [None, 50.0]
    file.check_driven(file.joints)
    with pytest.raises(
        ArgumentError, match=r"joint 'yaw' of arm.urdf has no force limit, which control by torque"
    ):
        file.check_force_limits(file.joints)
    file.check_force_limits(file.joints, force_limits={"yaw"})
    file = read(MJCF)
    with pytest.raises(
        ArgumentError, match="no force limit, which control by torque needs; give it actuatorfrcrange"
    ):
        file.check_force_limits(file.joints_to("tool"))
    motor = '<motor joint="yaw" gear="50" ctrlrange="-1 1"/>'
    servo = '<position joint="pitch" kp="100" forcerange="-20 30"/>'
    file = read(mjcf(f"<actuator>{motor}{servo}</actuator>"))
    assert [(joint.drive, joint.force) for joint in file.joints_to("tool")] == [("motor", 50.0), ("servo", 20.0)]
    assert file.servos == {"pitch"}
    assert read(mjcf(f"<actuator>{servo}{servo}</actuator>")).servos == set()  # Genesis drops both


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        ('lower="-2" effort="50"', "has a <limit> without lower or upper, which Genesis takes for none"),
        ('lower="1" upper="1" effort="50"', "has the limits 1 to 1, which Genesis takes for none; make it fixed"),
    ],
)
def test_limits_that_genesis_drops_are_not_driven(limit: str, line: str, read) -> None:
    file = read(URDF, (YAW, YAW.replace(LIMIT, f"<limit {limit}/>")))
    assert math.isinf(file.joints[0].low)
    with pytest.raises(ArgumentError, match=line):
        file.check_driven(file.joints)


def test_the_rest_of_a_joint(read) -> None:
    file = read(URDF, (LIMIT, LIMIT + '<dynamics damping="0.5"/>'))
    joint = file.joints[1]
    assert (joint.kind, joint.parent, joint.child, joint.low, joint.high) == ("revolute", "arm", "tool", -2.0, 2.0)
    assert (joint.velocity, joint.damping, joint.armature) == (3.0, 0.5, None)
    file = read(MJCF, ('name="pitch"', 'name="pitch" armature="0.2" damping="3"'))
    assert (file.joints[1].armature, file.joints[1].damping, file.joints[1].velocity) == (0.2, 3.0, None)


# Where things start


def test_parts_beside_the_arm_start_where_the_file_has_them(read) -> None:
    file = read(MJCF)
    neck, cube = file.joints[2:]
    assert neck.initial == (0.5,)  # drawn at 0, which is outside its limits
    assert (cube.kind, cube.initial) == ("floating", (0.5, 0.0, 0.02, 1.0, 0.0, 0.0, 0.0))
    file = read(MJCF, ("</mujoco>", HOME))
    assert file.home == {"yaw": 0.0, "pitch": 0.5, "neck": 1.0}
    assert file.start() == ((0.0,), (0.5,), (1.0,), (0.7, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0))
    assert file.start({"pitch": 0.1})[1:3] == ((0.1,), (1.0,))
    file = read(URDF, (PITCH, PITCH.replace('lower="-2"', 'lower="0.3"')))
    assert file.start() == ((0.0,), (0.3,))


def test_only_the_robot_s_own_base_counts_as_floating(read) -> None:
    assert not read(URDF).floating
    assert not read(MJCF).floating
    assert read(MJCF, ('pos="0 0 0.5">', 'pos="0 0 0.5"><freejoint/>')).floating


def test_a_joint_knows_the_floating_base_that_carries_it(read) -> None:
    file = read(MJCF)
    *fixed, cube = file.joints
    assert [file.base_of(joint) for joint in fixed] == [None] * 3 and file.base_of(cube) is cube
    file = read(MJCF, ('pos="0 0 0.5">', 'pos="0 0 0.5"><freejoint name="float"/>'))
    assert [base.name for joint in file.joints_named(["yaw", "neck"]) if (base := file.base_of(joint))] == [
        "float"
    ] * 2


def test_a_driven_joint_is_drawn_at_zero(read) -> None:
    """Genesis counts target positions from `ref`, but limits as the file does."""
    file = read(MJCF, ('name="yaw"', 'name="yaw" ref="0.3"'))
    with pytest.raises(ArgumentError, match=r"joint 'yaw' of arm\.xml has ref=0\.3"):
        file.check_driven(file.joints_named(["yaw"]))
    file.check_driven(file.joints_named(["pitch"]))
    assert names(read(MJCF, ('pos="0 0 0.5">', 'pos="0 0 0.5"><freejoint/>')).joints_to("tool"))[0] == "base"


def test_ref_is_where_the_file_draws_a_joint(read) -> None:
    joint = read(MJCF, ('name="pitch"', 'name="pitch" ref="0.3"')).joints[1]
    assert (joint.reference, joint.initial, joint.low, joint.high) == (0.3, (0.3,), -2.0, 2.0)


# Joints that follow others


def follower(**attributes: object) -> tuple[str, str]:
    """A change of the URDF: the second joint follows another."""
    text = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return PITCH, PITCH.replace("<axis", f"<mimic {text}/><axis")


def test_a_joint_that_follows_another_is_placed_and_not_driven(read) -> None:
    file = read(URDF, follower(joint="yaw", multiplier=-1, offset=0.1))
    mimic = file.joints[1].mimic
    assert (mimic.joint, mimic.multiplier, mimic.offset, mimic.position(0.5)) == ("yaw", -1.0, 0.1, -0.4)
    assert names(file.joints_to("tool")) == names(file.joints_matching(".*")) == ["yaw"]
    assert file.start() == ((0.0,), (0.1,))
    assert file.start({"yaw": 0.5, "pitch": 9.0}) == ((0.5,), (-0.4,))
    with pytest.raises(ArgumentError, match=r"joint 'pitch' of arm.urdf follows joint 'yaw' and cannot be driven"):
        file.check_driven(file.joints_named(["pitch"]))


def test_followers_of_followers_follow_the_first(read) -> None:
    third = '<link name="tip"/>' + follower(joint="pitch", multiplier=2, offset=1)[1]
    third = third.replace('name="pitch"', 'name="roll"').replace('"tool"', '"tip"').replace('"arm"', '"tool"')
    file = read(URDF, follower(joint="yaw", multiplier=-1, offset=0.1), ("</robot>", f"{third}</robot>"))
    assert (file.joints[2].mimic.joint, file.joints[2].mimic.coefficients) == ("yaw", (1.2, -2.0))
    assert names(file.joints_to("tip")) == ["yaw"]


@pytest.mark.parametrize(
    ("leader", "line"),
    [("pitch", "joint 'pitch' follows itself"), ("roll", "follows 'roll' .*no joint of that name moves")],
)
def test_a_joint_must_follow_another_that_moves(leader: str, line: str, read) -> None:
    with pytest.raises(ArgumentError, match=line):
        read(URDF, follower(joint=leader))


def test_equalities_of_joints_are_followed_from_their_references(read) -> None:
    equality = '<equality><joint joint1="pitch" joint2="yaw" polycoef="0.1 -1 0.5 0 0"/></equality>'
    file = read(mjcf(equality), ('name="yaw"', 'name="yaw" ref="0.2"'), ('name="pitch"', 'name="pitch" ref="0.3"'))
    mimic = file.joints[1].mimic
    assert mimic.joint == "yaw"
    assert mimic.position(0.7) == pytest.approx(0.3 + 0.1 - 0.5 + 0.5 * 0.5**2)
    assert file.start({"yaw": 0.7})[1][0] == pytest.approx(0.025)
    # Where only the second one has an actuator, it leads.
    actuator = '<actuator><position joint="pitch" kp="9"/></actuator>'
    equality = '<equality><joint joint1="pitch" joint2="yaw" polycoef="0.1 -2 0 0 0"/></equality>'
    yaw = read(mjcf(equality + actuator)).joints[0]
    assert (yaw.mimic.joint, yaw.mimic.position(-0.9)) == ("pitch", pytest.approx(0.5))
    held = read(mjcf('<equality><joint joint1="neck" polycoef="0.7 0 0 0 0"/></equality>'))
    assert held.joints[2].initial == (0.7,)
    with pytest.raises(ArgumentError, match=r"joint 'neck' of arm.xml is held in place by a constraint"):
        held.check_driven(held.joints_named(["neck"]))


# Grippers

FINGERS = """<mujoco><worldbody><body name="hand" pos="0 0 1"><geom size="0.05"/>
  <body name="left"><joint name="left" type="slide" axis="0 1 0" range="0 0.04"/><geom size="0.01"/></body>
  <body name="right"><joint name="right" type="slide" axis="0 -1 0" range="0 0.04"/><geom size="0.01"/></body>
</body></worldbody>{}</mujoco>"""
TENDON = """<tendon><fixed name="split"><joint joint="left" coef="0.5"/><joint joint="right" coef="0.5"/></fixed>
  </tendon><actuator><position tendon="split" kp="100"/></actuator>"""


@pytest.mark.parametrize(
    ("more", "fingers", "opened", "line"),
    [
        ("", ["left"], 0.04, "gripper_joints of arm.xml are 'left'; a gripper has two"),
        ("", ["left", "left"], 0.04, "a gripper has two, one for each finger"),
        ("", ["left", "thumb"], 0.04, "no joint 'thumb' in arm.xml; it has left, right"),
        ("", ["left", "right"], 0.0, "gripper_open=0.0 is not allowed; .*limits in arm.xml: 'left' 0 to 0.04"),
        ("", ["left", "right"], math.nan, "gripper_open=nan is not allowed"),
        (
            "",
            ["left", "right"],
            0.08,
            "finger joint 'left' cannot be at 0.08; its limits in arm.xml are 0 to 0.04",
        ),
        (TENDON, ["left", "right"], 0.04, "joint 'left' of arm.xml is driven by a tendon, which Genesis does not"),
        (
            '<equality><joint joint1="left" joint2="right" polycoef="0 0.5 0 0 0"/></equality>',
            *(["left", "right"], 0.04, "joint 'left' of arm.xml follows 'right' to another position"),
        ),
    ],
)
def test_what_is_no_gripper_is_refused(more: str, fingers: list[str], opened: float, line: str, read) -> None:
    with pytest.raises(ArgumentError, match=line):
        check_gripper(read(FINGERS.format(more)), fingers, opened)


@pytest.mark.parametrize("more", ["", '<equality><joint joint1="left" joint2="right"/></equality>'])
def test_fingers_may_follow_each_other(more: str, read) -> None:
    assert names(check_gripper(read(FINGERS.format(more)), ["left", "right"], 0.04)) == ["left", "right"]
    assert check_gripper(read(FINGERS.format(more)), [], 0.0) == []


# What Genesis refuses, or takes for something else

MESH = '<visual><geometry><mesh filename="meshes/link.stl"/></geometry></visual>'
SHAPES = (BODY, BODY + MESH)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "link 'arm': file 'meshes/link.stl' is missing: there is no /"),
        ("", "link 'arm': file 'meshes/link.stl' is empty"),
        (
            "version https://git-lfs.github.com/spec/v1\n",
            "file 'meshes/link.stl' is a Git LFS pointer; run `git lfs",
        ),
        ("<!DOCTYPE html><html>", "is a web page"),
    ],
)
def test_meshes_that_are_none(content: str | None, line: str, read, write) -> None:
    if content is not None:
        write(content, name="meshes/link.stl")
    with pytest.raises(ArgumentError, match=line):
        read(URDF, SHAPES)
    asset = '<asset><mesh name="link" file="meshes/link.stl"/></asset>'
    with pytest.raises(ArgumentError, match=line.removeprefix("link 'arm': ")):
        read(mjcf(asset))


def test_meshes_of_packages_are_found_beside_the_file_and_above_it(read, write, tmp_path: Path) -> None:
    write("solid", name="meshes/link.stl")
    for place in ("meshes/link.stl", f"{tmp_path.name}/meshes/link.stl"):
        read(URDF, SHAPES, ("meshes/link.stl", f"package://{place}"))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ([("revolute", "planar")], "joint 'yaw' is 'planar'; Genesis knows fixed, revolute"),
        (
            [(PITCH, PITCH.replace("revolute", "floating"))],
            "joint 'pitch' of arm.urdf is floating; Genesis lets only children of",
        ),
        ([(LIMIT, "")], "joint 'yaw' has no <limit>, which a revolute joint needs"),
        (
            [('lower="-2" upper="2"', 'lower="2" upper="-2"')],
            "joint 'yaw' has the limits 2 to -2; the lower one is",
        ),
        ([('lower="-2"', 'lower="nan"')], "lower='nan' of <limit> is not allowed; it must be a number"),
        ([('lower="-2"', 'lower="two"')], "lower='two' of <limit> is not allowed"),
        ([('xyz="0 0 0.5"', 'xyz="0 0 inf"')], "xyz='0 0 inf' of <origin> must be finite"),
        (
            [('<axis xyz="0 0 1"/>', '<axis xyz="0,0,1"/>')],
            "xyz='0,0,1' of <axis> is not allowed; it must be 3 numbers",
        ),
        ([('name="tool"', 'name="arm"')], "2 of its links are called 'arm'"),
        ([('name="pitch"', 'name="yaw"')], "2 of its joints are called 'yaw'"),
        (
            [('<link name="base"/>', '<link name="base"/><link name="other"/>')],
            "has several roots: .*'base', 'other'",
        ),
        ([('parent link="base"', 'parent link="tool"')], "arm.urdf is no tree: link '(arm|tool)' is above itself"),
        ([('child link="tool"', 'child link="arm"')], "link 'arm' is the child of two joints"),
        (
            [('parent link="base"', 'parent link="bass"')],
            "joint 'yaw' has the parent 'bass', and there is no such link",
        ),
        ([('<parent link="base"/>', "")], "joint 'yaw' has no <parent>"),
        ([('<robot name="arm">', "<robot>")], "its <robot> has no name"),
        (
            [('ixx="0.01"', 'ixx="1"')],
            "link 'arm' has an impossible inertia: its principal moments are 0.01, 0.01 and 1",
        ),
        ([('ixx="0.01"', 'ixx="-1"')], "link 'arm' has an impossible inertia: its least principal moment is -1"),
        ([('mass value="1"', 'mass value="-1"')], "link 'arm' has the mass -1; it must not be below 0"),
        ([('ixy="0"', "")], "arm.urdf cannot be read as a robot: attribute 'ixy' is missing"),
        ([(BODY, "<inertial/>")], "link 'arm' has an <inertial> without <inertia>"),
        ([(BODY, "<visual><geometry><cone/></geometry></visual>")], "link 'arm' has a <visual> without a shape"),
        ([(BODY, '<visual><geometry><box size="1 1"/></geometry></visual>')], "size='1 1' of <box> .*3 numbers"),
        ([(BODY, '<collision><geometry><sphere radius="0"/></geometry></collision>')], "<sphere> with radius"),
        (
            [
                (
                    "</robot>",
                    '<transmission name="t"><type/><joint name="x"/><actuator name="m"/></transmission></robot>',
                )
            ],
            "transmission 't' is of joint 'x', and there is no such joint",
        ),
        (
            [("</robot>", '<transmission name="t"><type/><joint name="yaw"/></transmission></robot>')],
            "transmission 't' lacks a name, a <type>, a <joint> or an <actuator>",
        ),
        (
            [("</robot>", '<material name="m"><texture filename="wood.png"/></material></robot>')],
            "material 'm': file 'wood.png' is missing",
        ),
        ([("<robot", "<!DOCTYPE r [<!ENTITY a 'b'>]><robot")], "arm.urdf declares XML entities"),
        ([("</robot>", "")], "arm.urdf cannot be read as a robot: no element found"),
    ],
)
def test_urdf_that_genesis_refuses_or_misreads(changes: list[tuple[str, str]], line: str, read) -> None:
    with pytest.raises(ArgumentError, match=line) as error:
        read(URDF, *changes)
    assert "\n" not in str(error.value)


HELD_TENDON = """<tendon><fixed name="t"><joint joint="yaw" coef="1"/></fixed></tendon>
  <equality><tendon tendon1="t"/></equality>"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            MJCF.replace("</worldbody>", '<include file="x.xml"/></worldbody>'),
            "an <include> within another element",
        ),
        (mjcf('<include file="nowhere.xml"/>'), "No such file or directory"),
        (mjcf('<include file="arm.xml"/>'), "'arm.xml', which it includes, has an <include> itself"),
        (
            mjcf('<equality><connect body1="tool" anchor="0 0 0"/></equality>').replace(' pos="0 0 0.5"', ""),
            "the world",
        ),
        (
            mjcf('<equality><joint joint1="yaw" joint2="pitch" active="false"/></equality>'),
            "<equality> 1 is inactive",
        ),
        (mjcf(HELD_TENDON), "<equality> 1 is of a kind that Genesis does not know"),
        (MJCF.replace("<freejoint/>", '<joint type="free" stiffness="1"/>'), "free joint 'cube' has a stiffness"),
        (MJCF.replace('range="-2 2"', 'range="nan 2"'), "range='nan 2' of <joint> must be finite"),
        (MJCF.replace('<geom size="0.05"/>', ""), "mass and inertia of moving bodies must be larger"),
        (MJCF.replace("worldbody", "wordlbody"), "unrecognized element"),
        ("<mujoco", "arm.xml cannot be read as a robot: "),
        (MJCF.replace("mujoco", "mujocoinclude"), "its root is <mujocoinclude>, not <mujoco>"),
    ],
)
def test_mjcf_that_genesis_refuses_or_misreads(text: str, line: str, read) -> None:
    with pytest.raises(ArgumentError, match=line) as error:
        read(text)
    assert "\n" not in str(error.value)


def test_includes_are_read_as_genesis_does(read, write) -> None:
    write(
        "<mujocoinclude><worldbody><body name='lamp'><geom size='0.1'/></body></worldbody></mujocoinclude>",
        name="a.xml",
    )
    assert "lamp" in read(mjcf('<include file="a.xml"/>')).links


def test_files_are_read_up_to_a_size_and_without_doing_harm(write, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("genesis_gym.robots.parsing.LARGEST", 100)
    with pytest.raises(ArgumentError, match=r"arm.urdf has more than"):
        read_robot_file(write(URDF))
    os.mkfifo(tmp_path / "pipe.urdf")
    with pytest.raises(ArgumentError, match="does not exist"):
        files.find_file(tmp_path / "pipe.urdf")


def test_what_genesis_raises_becomes_one_line(write) -> None:
    path = write(URDF)
    with pytest.raises(ArgumentError) as error, genesis_reads(path):
        raise RuntimeError("\x1b[31mmesh\nis broken\x1b[0m")
    assert str(error.value) == "Genesis cannot load arm.urdf: mesh is broken"
    with pytest.raises(ArgumentError, match=r"Genesis cannot load arm.urdf: AssertionError"), genesis_reads(path):
        raise AssertionError
    with pytest.raises(ArgumentError, match=r"^mine$"), genesis_reads(path):
        raise ArgumentError("mine")


# Genesis itself

ACTUATORS = """<actuator><motor joint="yaw" gear="5" ctrlrange="-1 1"/>
  <position joint="neck" kp="9" forcerange="-2 2"/></actuator>"""


@pytest.mark.parametrize(
    "text",
    [
        URDF,
        URDF.replace(PITCH, follower(joint="yaw", multiplier=-1)[1]),
        URDF.replace(YAW, YAW.replace("revolute", "continuous").replace(LIMIT, "")),
        URDF.replace(YAW, YAW.replace('lower="-2"', "")),
        URDF.replace(YAW, YAW.replace('effort="50"', "")),
        NAMELESS,
        mjcf(ACTUATORS).replace("</mujoco>", HOME),
        mjcf('<equality><joint joint1="pitch" joint2="yaw"/></equality>').replace(
            '"yaw" axis', '"yaw" ref="0.3" axis'
        ),
        MJCF.replace('pos="0 0 0.5">', 'pos="0 0 0.5"><freejoint/>'),
    ],
)
def test_genesis_reads_the_same(text: str, write) -> None:
    """Joints in the same order, with the same limits, forces and references."""
    from genesis_gym.runtime import backend

    backend.start("cpu")
    import genesis as gs

    path = write(text)
    file = read_robot_file(path)
    morph = gs.morphs.MJCF(file=str(path)) if path.suffix == ".xml" else gs.morphs.URDF(file=str(path), fixed=True)
    with genesis_reads(path):
        entity = gs.Scene(show_viewer=False).add_entity(morph)
    entries = file.align([joint.name for joint in entity.joints])
    for joint, entry in zip(entity.joints, entries, strict=True):
        assert entry is not None
        assert (joint.name, joint.n_qs) == (entry.name, len(entry.initial))
        if joint.n_qs == 1:
            assert joint.desc.dofs_limit[0].tolist() == [entry.low, entry.high]
            assert joint.desc.dofs_force_range[0, 1] == (math.inf if entry.force is None else entry.force)
            assert joint.desc.init_qpos[0] == pytest.approx(entry.reference)
    followed = [joint for joint in file.joints if joint.mimic is not None]
    assert len(entity.desc.equalities) == len(followed)
