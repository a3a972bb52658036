"""Robots that ship with the package, and robots of one's own from their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import genesis_gym
from conftest import random_actions
from genesis_gym import SOFT, BatchedEnv, Physics, RobotSpec, World
from genesis_gym.actions import CONTROL_MODES
from genesis_gym.actions.joints import LIMIT_MARGIN, SPEED_SHARE, TORQUE_SPEED_SHARE
from genesis_gym.actions.tool import TOOL_SPEED
from genesis_gym.errors import ArgumentError
from genesis_gym.robots import FRANKA, GO2, KUKA_IIWA, PD, ROBOTS, UR5E, Effort, Floating, GripperSpec, Robot
from genesis_gym.runtime import genesis_api
from genesis_gym.tasks.arm import SCENES
from genesis_gym.tasks.manipulation.push import Push
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.world import Ground
from genesis_gym.world.component import components
from genesis_gym.world.part import Part

ARMS = {name: spec for name, spec in ROBOTS.items() if spec.tool is not None}
NUM_ENVS = 64

#: How far joints pass their limits of position, rad, and of speed, as a share: the force-limited wrist of the
#: Franka is thrown about by the strong joints.
OVERSHOOTS = {"franka": (0.025, 0.03), "ur5e": (0.0, 0.0), "kuka_iiwa": (0.0, 0.0)}
#: Torques are no goals: nothing but the joints' stops keeps them from what strong neighbours do, rad.
TORQUE_OVERSHOOT = 0.003

#: A planar arm of two links and a tool that is fixed to the second, on a fixed base, with a wheel beside it.
ARM = """<robot name="arm">
  <link name="base"/> <link name="upper">{body}</link> <link name="lower">{body}</link> <link name="tool"/>
  <link name="wheel">{body}</link>
  <joint name="shoulder" type="continuous">
    <parent link="base"/><child link="upper"/><origin xyz="0 0 1"/><axis xyz="0 1 0"/>
    <limit effort="50" velocity="3"/>
  </joint>
  <joint name="elbow" type="revolute">
    <parent link="upper"/><child link="lower"/><origin xyz="0 0 0.4"/><axis xyz="0 1 0"/>
    <limit effort="20" lower="-2" upper="2.5" velocity="2.5"/>
  </joint>
  <joint name="flange" type="fixed">
    <parent link="lower"/><child link="tool"/><origin xyz="0 0 0.4"/>
  </joint>
  <joint name="axle" type="continuous"><parent link="base"/><child link="wheel"/><axis xyz="1 0 0"/></joint>
</robot>"""
BODY = """<inertial><origin xyz="0 0 0.2"/><mass value="1.5"/>
  <inertia ixx="0.02" iyy="0.02" izz="0.002" ixy="0" ixz="0" iyz="0"/></inertial>"""

MJCF = """<mujoco><worldbody><body name="lower"><freejoint name="float"/><geom size="0.1"/>
  <body name="upper"><joint name="hinge" axis="0 1 0"/><geom size="0.1"/></body></body></worldbody></mujoco>"""

#: An arm, a head beside it and a cube in front, with a keyframe for all of them.
SCENERY = """<mujoco><compiler angle="radian"/><worldbody>
  <body name="base" pos="0 0 0.5"><geom size="0.05"/>
    <body name="link1"><joint name="yaw" axis="0 0 1"/><geom type="capsule" fromto="0 0 0 0 0 0.3" size="0.03"/>
      <body name="hand" pos="0 0 0.3"><joint name="pitch" axis="0 1 0"/><geom size="0.03" pos="0.1 0 0"/></body>
    </body>
    <body name="head" pos="0 0.4 0"><joint name="neck" axis="0 1 0" range="0.5 1.5"/><geom size="0.03"/></body>
  </body>
  <body name="cube" pos="0.5 0 0.02"><freejoint/><geom type="box" size="0.02 0.03 0.04" pos="0.01 0 0"/></body>
</worldbody><keyframe><key name="home" qpos="0 0.5 1.0  0.7 0 0.05 0 0 0 1"/></keyframe></mujoco>"""

#: A box on four legs of one joint each, with balls for feet.
LEG = """<link name="{name}_leg">{leg}<collision><origin xyz="0 0 -0.1"/><geometry><box size="0.03 0.03 0.2"/>
  </geometry></collision></link><link name="{name}_foot"><collision><geometry><sphere radius="0.02"/></geometry>
  </collision></link>
  <joint name="{name}_hip" type="revolute"><parent link="trunk"/><child link="{name}_leg"/><origin xyz="{place}"/>
  <axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="10" velocity="20"/></joint>
  <joint name="{name}_ankle" type="fixed"><parent link="{name}_leg"/><child link="{name}_foot"/>
  <origin xyz="0 0 -0.2"/></joint>"""
LEGS = "".join(
    LEG.replace("{name}", name).replace("{place}", place)
    for name, place in {
        "front_left": "0.2 0.1 0",
        "front_right": "0.2 -0.1 0",
        "rear_left": "-0.2 0.1 0",
        "rear_right": "-0.2 -0.1 0",
    }.items()
)
BOX = (
    """<robot name="box"><link name="trunk">{trunk}<collision><geometry><box size="0.5 0.25 0.1"/></geometry>
  </collision></link>"""
    + LEGS
    + "</robot>"
)
INERTIAL = """<inertial><origin xyz="{com}"/><mass value="{mass}"/>
  <inertia ixx="{i}" iyy="{i}" izz="{i}" ixy="0" ixz="0" iyz="0"/></inertial>"""


class Nothing(Part):
    """No ground."""

    def add_to(self, world: World, name: str) -> Nothing:
        self.attach(world, name)
        return self


@pytest.fixture(scope="module")
def make_arm() -> Iterator[Callable[[RobotSpec], BatchedEnv]]:
    """The environment of a robot, built once: reach without even a ground, which no action term foresees."""
    built: dict[str, BatchedEnv] = {}

    def get(robot: RobotSpec) -> BatchedEnv:
        if (key := repr(robot)) not in built:
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(SCENES, "empty", Nothing)
                built[key] = BatchedEnv("reach", num_envs=NUM_ENVS, robot=robot)
        built[key].reset(seed=0)
        return built[key]

    yield get
    for env in built.values():
        env.close()


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """A started world of three environments, with what a function adds to it; closed after the test."""
    made: list[World] = []

    def make(add: Callable[[World], None], num_envs: int = 3) -> World:
        world = World(Physics(dt=0.005, contacts=SOFT), num_envs)
        made.append(world)
        add(world)
        world.build()
        for component in components(world).values():
            component.start()
        return world

    yield make
    for world in made:
        world.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a robot's file."""

    def write(text: str, name: str = "arm.urdf") -> Path:
        (tmp_path / name).write_text(text.replace("{body}", BODY))
        return tmp_path / name

    return write


@contextmanager
def driven_by(mode: str, env: BatchedEnv) -> Iterator[Any]:
    """Put another action term into an environment, and everything back afterwards."""
    arm, actions = env.task.arm, env.task.actions
    own, gains = (
        actions.terms["arm"],
        [genesis_api.joint_property(arm.entity, name, arm.dofs) for name in ("kp", "kv")],
    )

    def put(term: Any) -> None:
        terms, actions.terms = {**actions.terms, "arm": term}, {}
        for name, each in terms.items():
            actions.add(each, name)
        env._components = components(env.task)
        env.action_dim, env.action_low, env.action_high = actions.size, actions.low, actions.high

    term = CONTROL_MODES[mode](arm)
    term.start()
    put(term)
    try:
        yield term
    finally:
        put(own)
        arm.set_gains(*gains)


# Robots that ship


@pytest.mark.parametrize("name", ARMS)
def test_limits_hold_under_any_action(name: str, make_arm) -> None:
    """In every control mode: random actions, constant ones of any signs, and ones that alternate."""
    env = make_arm(ROBOTS[name])
    position_overshoot, speed_overshoot = OVERSHOOTS[name]
    robot = env.task.arm
    force_limit = robot.effort_limits * (1 + 1e-5)
    for mode in CONTROL_MODES:
        with driven_by(mode, env):
            size = env.action_dim
            env.reset(seed=0)
            signs = torch.from_numpy(random_actions(1, NUM_ENVS, size)[0]).sign()
            third = torch.arange(NUM_ENVS)[:, None] % 3
            for step, drawn in enumerate(torch.from_numpy(random_actions(120, NUM_ENVS, size)) * 3):
                alternating = signs * (-1) ** (step // 3)
                env.step(torch.where(third == 0, drawn, torch.where(third == 1, signs, alternating)))
                slack = position_overshoot + (TORQUE_OVERSHOOT if mode == "joint_torque" else 0.0)
                assert (robot.joint_position >= robot.joint_low - slack).all(), mode
                assert (robot.joint_position <= robot.joint_high + slack).all(), mode
                assert (robot.joint_velocity.abs() <= robot.velocity_limits * (1 + speed_overshoot)).all(), mode
                assert (robot.entity.get_dofs_control_force(robot.dofs).abs() <= force_limit).all(), mode
            assert not env.fault_counts.any()


@pytest.mark.parametrize("name", ARMS)
def test_arms_hold_still_and_go_where_they_are_told(name: str, make_arm) -> None:
    env = make_arm(ROBOTS[name])
    robot = env.task.arm
    for _ in range(100):
        env.step(torch.zeros(NUM_ENVS, env.action_dim))
    assert (robot.joint_position - robot.default).abs().max() < 0.01  # rad: gravity against the gains
    with driven_by("joint_position", env):
        env.reset(seed=0)
        low, high = robot.joint_low + LIMIT_MARGIN, robot.joint_high - LIMIT_MARGIN
        wanted = robot.default + 0.3
        for _ in range(80):
            env.step((2 * (wanted - low) / (high - low) - 1).expand(NUM_ENVS, -1))
        torch.testing.assert_close(robot.joint_position, wanted.expand(NUM_ENVS, -1), atol=0.02, rtol=0)


#: How far an arm is from where its actions send it, root mean square over two seconds: rad, and metres of
#: the tool. The median of many environments: some waves of the tool stretch the Franka to the end of its reach.
TRACKING = {
    "joint_delta": 0.01,
    "joint_position": 0.01,
    "joint_velocity": 0.1,
    "ee_delta_position": 0.005,
    "ee_delta_pose": 0.005,
}


@pytest.mark.parametrize("mode", TRACKING)
@pytest.mark.parametrize("name", ARMS)
def test_arms_follow_slow_waves(name: str, mode: str, make_arm) -> None:
    """Two seconds of sines of up to half of full speed, or of 0.3 rad; the numbers of docs/robots.md."""
    env = make_arm(ROBOTS[name])
    robot = env.task.arm
    with driven_by(mode, env) as term:
        size = env.action_dim
        env.reset(seed=0)
        scale = torch.from_numpy(random_actions(1, NUM_ENVS, size)[0])
        place = robot.tool.position if mode.startswith("ee") else robot.joint_position
        errors = []
        for step in range(100):
            wave = scale * torch.sin(torch.tensor(torch.pi * env.control_dt * (step + 1)))
            if mode == "joint_position":
                place = robot.default + 0.3 * wave
                action = 2 * (place - term.goal_low) / (term.goal_high - term.goal_low) - 1
            else:
                action = 0.5 * wave
                speed = TOOL_SPEED if mode.startswith("ee") else SPEED_SHARE * robot.velocity_limits
                place = place + speed * env.control_dt * action[:, : place.shape[-1]]
            env.step(action)
            errors.append(place - (robot.tool.position if mode.startswith("ee") else robot.joint_position))
        error = torch.stack(errors).square().mean((0, 2)).sqrt().median()
        print(f"{name} {mode}: {error:.4f}")
        assert error < TRACKING[mode]


def test_a_velocity_servo_keeps_speed_and_holds_no_position(make_arm) -> None:
    env = make_arm(ROBOTS["franka"])
    robot = env.task.arm
    with driven_by("joint_velocity", env):
        env.reset(seed=0)
        action = torch.zeros(NUM_ENVS, 7)
        action[:, 0] = 0.5
        for _ in range(20):
            env.step(action)
        wanted = 0.5 * SPEED_SHARE * robot.velocity_limits[0]
        torch.testing.assert_close(robot.joint_velocity[:, 0], wanted.expand(NUM_ENVS), atol=0.05, rtol=0)
        for _ in range(50):
            env.step(0 * action)
        assert robot.joint_velocity[:, 0].abs().max() < 0.02
        assert (robot.joint_velocity[:, 1] > 0.02).all()  # the shoulder sinks: 40 N·m over 450 N·m·s/rad
        assert (robot.joint_velocity[:, 1] < 0.15).all()


def test_a_torque_moves_a_joint_as_a_motor_does(make_arm) -> None:
    """At first in proportion to the torque, later up to the speed at which none is left; without any it falls."""
    env = make_arm(ROBOTS["franka"])
    robot = env.task.arm
    with driven_by("joint_torque", env):
        env.reset(seed=0)
        action = torch.zeros(NUM_ENVS, 7)
        action[:, 0] = torch.linspace(-0.05, 0.05, NUM_ENVS)
        env.step(action)
        turn = (
            robot.joint_velocity[:, 0] - robot.joint_velocity[:, 0].mean()
        )  # the fall of the others turns it too
        torch.testing.assert_close(turn, turn[-1] * action[:, 0] / 0.05, atol=0.02 * turn[-1].item(), rtol=0)
        action[:, 0] = 1.0
        speeds = []
        for _ in range(60):
            env.step(action)
            speeds.append(robot.joint_velocity[:, 0])
        top = TORQUE_SPEED_SHARE * robot.velocity_limits[0]
        assert (0.9 * top < torch.stack(speeds).amax(0)).all() and (torch.stack(speeds) < 1.02 * top).all()
        env.reset(seed=0)
        for _ in range(20):
            env.step(0 * action)
        assert (robot.joint_position[:, 1] > 0.1).all(), "the shoulder falls forward"


OWN = {
    f"{arm.name} without a box": dataclasses.replace(arm, tool=dataclasses.replace(arm.tool, workspace=None))
    for arm in (KUKA_IIWA, UR5E)
}


@pytest.mark.parametrize("robot", [*ARMS.values(), *OWN.values()], ids=[*ARMS, *OWN])
def test_targets_can_be_reached(robot: RobotSpec, make_arm) -> None:
    """Inverse kinematics finds joints within their limits for every target, and for the corners of the box."""
    env = make_arm(robot)
    arm = env.task.arm
    low, high = arm.tool.workspace
    targets = env.task.target.clone()
    corners = torch.cartesian_prod(*torch.stack([low, high], dim=-1))
    targets[:8] = corners
    assert ((targets >= low) & (targets <= high)).all() and (low[2] > 0)
    _, error = arm.entity.inverse_kinematics(
        arm.tool.link,
        pos=targets,
        local_point=torch.tensor(robot.tool.offset),
        rot_mask=[False] * 3,
        respect_joint_limit=True,
        return_error=True,
    )
    assert (error[:, :3].norm(dim=-1) < 5e-3).all()


def test_arms_have_ids_of_their_own() -> None:
    env = gymnasium.make("Genesis/UR5eReachPose-v0")
    assert env.action_space.shape == (6,)
    assert env.unwrapped.core.task.arm.spec == UR5E
    env.close()


def test_push_needs_a_gripper() -> None:
    with pytest.raises(ArgumentError, match="task Push needs a robot with a gripper; 'ur5e' has none"):
        BatchedEnv(Push(robot="ur5e"))


@pytest.mark.parametrize("name", ["franka", "ur5e"])
def test_forward_kinematics_is_right_at_any_posture(name: str, make_arm) -> None:
    """Also where the file keeps the world as a link of its own, as that of the UR5e does; no state changes."""
    arm: Robot = make_arm(ROBOTS[name]).task.arm
    before = arm.entity.get_qpos().clone(), arm.tool.link.get_pos().clone()
    drawn = torch.from_numpy(random_actions(1, NUM_ENVS, len(arm.joints))[0])
    posture = arm.default + 0.5 * drawn
    found = arm.forward_kinematics(posture)
    assert torch.equal(before[0], arm.entity.get_qpos())
    assert torch.equal(before[1], arm.tool.link.get_pos())
    arm.set_joints(torch.ones(NUM_ENVS, dtype=torch.bool), posture)
    torch.testing.assert_close(found, arm.tool.position, atol=1e-5, rtol=0)
    torch.testing.assert_close(found, arm.forward_kinematics(arm.entity.get_dofs_position()), atol=1e-5, rtol=0)


def test_two_robots_of_one_world_stand_where_they_were_put(make_world) -> None:
    """Tools, workspaces and forward kinematics are in the world frame; tuning one robot moves no other."""

    def add(world: World) -> None:
        world.add(FRANKA)
        world.add(FRANKA, name="right", position=(0.0, -0.45, 0.0))
        world.add(UR5E, position=(0.0, 1.0, 0.2))
        world.add(KUKA_IIWA, position=(1.0, 1.0, 0.0))

    world = make_world(add, num_envs=1)
    left, right, ur5e, kuka = (world.parts[name] for name in ("franka", "right", "ur5e", "kuka_iiwa"))
    aside = torch.tensor([0.0, -0.45, 0.0])
    torch.testing.assert_close(right.tool.position, left.tool.position + aside)
    torch.testing.assert_close(torch.stack(right.tool.workspace), torch.stack(left.tool.workspace) + aside)
    torch.testing.assert_close(ur5e.tool.workspace[0], torch.tensor([0.3, 0.7, 0.4]))
    for robot in (left, right, ur5e, kuka):
        assert torch.equal(robot.joint_position[0], robot.default) and not robot.joint_velocity.any()
        found = robot.forward_kinematics(robot.default[None])
        torch.testing.assert_close(found, robot.tool.position, atol=1e-5, rtol=0)
        posture = robot.default[None] + 0.3
        found = robot.forward_kinematics(posture)
        assert (found - robot.tool.position).norm() > 0.05
        robot.set_joints(torch.ones(1, dtype=torch.bool), posture)
        torch.testing.assert_close(found, robot.tool.position, atol=1e-5, rtol=0)


# Robots of one's own


def test_a_file_says_what_a_robot_is(write, make_arm) -> None:
    """Joints on the way to the tool, their limits and speeds are the file's; its fixed tool is kept."""
    spec = RobotSpec.from_file(write(ARM), end_effector="tool", home=(0.3, 1.2))
    assert spec.name == "arm" and spec.default == {"shoulder": 0.3, "elbow": 1.2}
    assert spec.actuators == (PD(("shoulder", "elbow"), velocity=(3.0, 2.5)),)
    robot = make_arm(spec).task.arm
    two_turns = 2 * torch.pi
    torch.testing.assert_close(robot.joint_low, torch.tensor([-two_turns, -2.0]))
    torch.testing.assert_close(robot.joint_high, torch.tensor([two_turns, 2.5]))
    assert robot.effort_limits.tolist() == [50.0, 20.0] and robot.velocity_limits.tolist() == [3.0, 2.5]
    angle = torch.tensor([0.3, 1.5])
    place = 0.4 * torch.stack([angle.sin(), torch.zeros(2), angle.cos()]).sum(-1) + torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(robot.tool.position[0], place, atol=1e-4, rtol=0)


def test_a_robot_of_ones_own_does_the_tasks(write, make_arm) -> None:
    """It holds still, keeps its limits, and has its targets around home."""
    env = make_arm(RobotSpec.from_file(write(ARM), end_effector="tool", home=(0.3, 1.2)))
    robot = env.task.arm
    for _ in range(50):
        env.step(torch.zeros(NUM_ENVS, 2))
    assert (robot.joint_position - robot.default).abs().max() < 0.02
    for drawn in torch.from_numpy(random_actions(100, NUM_ENVS, 2)):
        env.step(drawn)
        assert (robot.joint_velocity.abs() <= 1.03 * robot.velocity_limits).all()
    low, high = robot.tool.workspace
    assert (env.task.target >= low).all() and (env.task.target <= high).all()
    assert low[1] == high[1] == 0.0  # a planar arm


def test_the_keyframe_and_the_gains_of_an_mjcf_file_are_taken(make_arm) -> None:
    spec = RobotSpec.from_file(UR5E.asset, end_effector="ee_virtual_link", name="mine", velocity_limits=[3.0] * 6)
    assert (spec.name, spec.actuators[0].joints) == ("mine", UR5E.actuators[0].joints)
    arm = make_arm(spec).task.arm
    torch.testing.assert_close(arm.default, make_arm(UR5E).task.arm.default)
    assert genesis_api.joint_property(arm.entity, "kp", arm.dofs).tolist() == [2000.0] * 3 + [500.0] * 3


def test_gains_follow_the_inertia_whether_or_not_environments_differ(make_arm) -> None:
    plain = make_arm(KUKA_IIWA).task.arm
    varied = BatchedEnv("none", num_envs=2, robot=KUKA_IIWA, randomization={"kuka_iiwa.kp_scale": (1.0, 1.0)})
    for name in ("kp", "kv"):
        of_both = [genesis_api.joint_property(arm.entity, name, arm.dofs) for arm in (plain, varied.task.arm)]
        torch.testing.assert_close(*of_both)
    kp = genesis_api.joint_property(plain.entity, "kp", plain.dofs)
    assert kp[1] > 10 * kp[6] > 0
    varied.close()


def test_a_task_may_have_a_box_of_its_own() -> None:
    box = ((0.4, -0.1, 0.3), (0.5, 0.1, 0.4))
    env = BatchedEnv(Reach(target_low=box[0], target_high=box[1], robot="ur5e"), num_envs=8)
    env.reset(seed=0)
    assert (env.task.target >= torch.tensor(box[0])).all() and (env.task.target <= torch.tensor(box[1])).all()
    env.close()


def test_what_is_not_driven_starts_where_the_file_has_it(write, make_arm) -> None:
    """A free cube, and a head with the keyframe's position; at every reset, and whatever the arm does."""
    spec = RobotSpec.from_file(write(SCENERY, "scenery.xml"), end_effector="hand")
    env = make_arm(spec)
    arm = env.task.arm
    assert spec.default == {"yaw": 0.0, "pitch": 0.5} and arm.joints == ("yaw", "pitch")
    kp = genesis_api.joint_property(arm.entity, "kp", arm.dofs)
    assert (torch.isfinite(kp) & (kp > 0)).all(), "no gains of the file, so those of the default bandwidth"
    for _ in range(2):
        cube, neck = arm.entity.get_link("cube"), arm.entity.get_joint("neck")
        torch.testing.assert_close(cube.get_pos()[0], torch.tensor([0.7, 0.0, 0.05]))
        torch.testing.assert_close(cube.get_quat()[0], torch.tensor([0.0, 0.0, 0.0, 1.0]))
        torch.testing.assert_close(arm.entity.get_dofs_position(neck.dofs_idx_local), torch.ones(NUM_ENVS, 1))
        for drawn in torch.from_numpy(random_actions(5, NUM_ENVS, 2)):
            env.step(drawn)
        env.reset()
    posture = torch.tensor([[0.1, 0.2]])
    everything = arm.entity.get_dofs_position()[:1].clone()
    everything[:, arm.dofs] = posture
    found = arm.forward_kinematics(posture)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 0.8]]))
    torch.testing.assert_close(arm.forward_kinematics(everything), found)


MIMIC = ARM.replace('velocity="2.5"/>', 'velocity="2.5"/><mimic joint="shoulder" multiplier="-1" offset="0.1"/>')


def test_joints_that_follow_another_are_placed_with_it_and_never_driven(write, make_arm) -> None:
    with pytest.raises(ArgumentError, match=r"joint 'elbow' of arm\.urdf follows joint 'shoulder'"):
        RobotSpec.from_file(write(MIMIC), end_effector="tool", joints=["shoulder", "elbow"], home=(0.5, 0.5))
    spec = RobotSpec.from_file(write(MIMIC), end_effector="tool", home=(0.5,))
    env = make_arm(spec)
    arm = env.task.arm
    assert arm.joints == ("shoulder",) and env.action_dim == 1
    both = genesis_api.dofs_of(arm.entity, ["shoulder", "elbow"])
    for _ in range(40):
        env.step(torch.zeros(NUM_ENVS, 1))
    torch.testing.assert_close(arm.entity.get_dofs_position(both)[0], torch.tensor([0.5, -0.4]), atol=0.01, rtol=0)
    arm.set_joints(torch.ones(NUM_ENVS, dtype=torch.bool), torch.tensor([0.2]))
    torch.testing.assert_close(arm.entity.get_dofs_position(both)[0], torch.tensor([0.2, -0.1]))
    torch.testing.assert_close(arm.forward_kinematics(torch.tensor([[0.2]])), arm.tool.position[:1])


def test_control_by_torque_needs_a_limit_of_effort(write) -> None:
    spec = RobotSpec.from_file(write(SCENERY, "scenery.xml"), end_effector="hand")
    with pytest.raises(ArgumentError, match="joint 'yaw' of robot 'scenery' has none: declare it by") as error:
        BatchedEnv("reach", robot=spec, control_mode="joint_torque")
    assert "\n" not in str(error.value)


@pytest.fixture
def box(write) -> RobotSpec:
    """A box on four legs."""
    trunk = INERTIAL.replace("{com}", "0 0 0").replace("{mass}", "5").replace("{i}", "0.05")
    leg = INERTIAL.replace("{com}", "0 0 -0.1").replace("{mass}", "0.3").replace("{i}", "0.002")
    return RobotSpec.from_file(
        write(BOX.replace("{trunk}", trunk).replace("{leg}", leg), "box.urdf"),
        base=Floating(height=0.22),
        home={".*_hip": 0.1},
        links={"feet": ".*_foot", "trunk": "trunk"},
        kp=40.0,
        kd=1.0,
        armature=0.01,
    )


def test_a_robot_on_legs_is_declared_by_its_file(box: RobotSpec, make_world) -> None:
    """Stepped, placed and read; what is placed in some environments leaves the others alone."""

    def add(world: World) -> None:
        world.add(Ground())
        world.add(box, name="legs", position=(1.0, 0.0, 0.0))

    world = make_world(add)
    legs = world.parts["legs"]
    assert legs.joints == ("front_left_hip", "front_right_hip", "rear_left_hip", "rear_right_hip")
    assert legs.velocity_limits.tolist() == [20.0] * 4 and legs.effort_limits.tolist() == [10.0] * 4
    assert legs.links["feet"].count == 4
    torch.testing.assert_close(legs.base.position, torch.tensor([1.0, 0.0, 0.22]).expand(3, -1))
    torch.testing.assert_close(legs.joint_position, torch.full((3, 4), 0.1))
    feet = legs.links["feet"].position.clone()
    for _ in range(100):
        legs.command(legs.default.expand(3, -1))
        world.step()
    torch.testing.assert_close(legs.base.gravity, torch.tensor([0.0, 0.0, -1.0]).expand(3, -1), atol=0.02, rtol=0)
    assert (legs.base.position[:, 2] > 0.18).all() and (legs.joint_position - 0.1).abs().max() < 0.1
    torch.testing.assert_close(legs.links["feet"].position, feet, atol=0.03, rtol=0)
    assert legs.links["feet"].contact_force()[..., 2].sum(-1).sub(6.2 * 9.81).abs().max() < 5.0

    before = legs.entity.get_qpos().clone()
    some = torch.tensor([False, True, False])
    legs.place(some, torch.tensor([[2.0, 3.0, 0.5]]).expand(3, -1), yaw=torch.full((3,), torch.pi / 2))
    legs.set_joints(some, torch.tensor([0.0, 0.1, 0.2, 0.3]))
    torch.testing.assert_close(legs.base.position[1], torch.tensor([2.0, 3.0, 0.72]))
    torch.testing.assert_close(legs.base.orientation[1], torch.tensor([0.5, 0.0, 0.0, 0.5]).sqrt())
    torch.testing.assert_close(legs.joint_position[1], torch.tensor([0.0, 0.1, 0.2, 0.3]))
    assert not legs.base.linear_velocity[1].any() and not legs.joint_velocity[1].any()
    assert torch.equal(legs.entity.get_qpos()[~some], before[~some])


def test_a_walker_of_mjcf_floats_and_has_its_base_where_it_is(write, make_world) -> None:
    """Its base is not the first link of a file with something on the ground."""
    text = MJCF.replace("<worldbody>", '<worldbody><geom type="plane" size="1 1 1" pos="0 0 -1"/>')
    spec = RobotSpec.from_file(write(text, "walker.xml"), base=Floating(height=0.4), name="walker")
    world = make_world(lambda world: world.add(spec), num_envs=2)
    walker = world.parts["walker"]
    assert walker.joints == ("hinge",) and walker.base.link.name == "lower"
    torch.testing.assert_close(walker.base.position, torch.tensor([0.0, 0.0, 0.4]).expand(2, -1))
    walker.add_velocity(torch.tensor([True, False]), torch.tensor([[1.0, 0.0, 0.0]]).expand(2, -1))
    torch.testing.assert_close(walker.base.world_velocity[:, 0], torch.tensor([1.0, 0.0]))
    walker.place(torch.tensor([True, False]), torch.tensor([[0.0, 1.0, 0.0]]).expand(2, -1))
    torch.testing.assert_close(walker.base.position[:, 1], torch.tensor([1.0, 0.0]))
    assert walker.base.position[0, 2].item() == pytest.approx(0.4)


# Errors


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        ((), {"end_effector": "hand"}, "no link 'hand' in arm.urdf; it has base, upper, lower, tool, wheel"),
        ((), {"end_effector": None}, "arm.urdf: an arm needs end_effector, the link that carries its tool"),
        ((), {"joints": ["elbow", "knee"]}, "no joint 'knee' in arm.urdf; it has shoulder, elbow, axle"),
        ((), {"joints": ".*_hip"}, "no joint of arm.urdf matches '.*_hip'; it has shoulder, elbow, axle"),
        ((), {"home": (0.0, 0.0, 0.0)}, "it must have 2 finite numbers, one for each of shoulder, elbow"),
        ((), {"home": (0.0, float("nan"))}, "it must have 2 finite numbers"),
        ((), {"home": (0.0, 2.6)}, "home=2.6 of joint 'elbow' is outside its limits in arm.urdf, -2 to 2.5"),
        (
            (),
            {"home": {"elbow": 2.6}},
            "default: 2.6 of joint 'elbow' is outside its limits in arm.urdf, -2 to 2.5",
        ),
        ((), {"home": {"knee": 0.0}}, "no joint of robot 'arm' is 'knee'; there are shoulder, elbow, axle"),
        ((), {"poses": {"up": {"elbow": 3.0}}}, "up: 3 of joint 'elbow' is outside its limits in arm.urdf"),
        ((), {"home": None}, "arm.urdf names no home; pass home, one number for each of shoulder, elbow"),
        ((), {"velocity_limits": (1.0,)}, "velocity_limits=(1.0,) is not allowed; it must have 2 numbers above 0"),
        ((), {"velocity_limits": (1.0, 0.0)}, "it must have 2 numbers above 0, one for each of shoulder, elbow"),
        ((), {"bandwidth": -1}, "bandwidth=-1 of robot 'arm' is not allowed"),
        (
            (),
            {"bandwidth": 50.0, "kp": 10.0},
            "bandwidth=50.0 with kp=10.0, kd=None of robot 'arm' is not allowed",
        ),
        ((), {"effort": 0.0}, "effort=0.0 of robot 'arm' is not allowed; it must be a number above 0"),
        ((), {"links": {"feet": ".*_foot"}}, "no link of arm.urdf is '.*_foot'; there are base, upper, lower"),
        ((), {"gripper_joints": ("thumb",)}, "no joint 'thumb' in arm.urdf"),
        ((), {"gripper_joints": ("shoulder", "elbow")}, "gripper_open=0.0 is not allowed"),
        (
            (),
            {"gripper_joints": ("axle", "elbow"), "gripper_open": 0.04},
            "joint 'elbow' of robot 'arm' is driven",
        ),
        ((), {"end_effector": "base"}, "arm.urdf: no joint moves link 'base', so there is none to drive"),
        (("revolute", "floating"), {}, "joint 'elbow' of arm.urdf"),
        (('effort="50"', 'effort="0"'), {}, "joint 'shoulder' of arm.urdf has effort 0 and could not move"),
        (('effort="50"', ""), {}, "joint 'shoulder' of arm.urdf has effort 0 and could not move"),
        (('effort="50"', 'effort="-1"'), {}, "effort"),
        (("</robot>", ""), {}, "arm.urdf cannot be read as a robot"),
        (('parent link="base"', 'parent link="lower"'), {}, "arm.urdf"),
        (("robot", "model"), {}, "its root is <model>, not <robot>"),
    ],
)
def test_errors_name_what_is_wrong_with_a_file(change, arguments: dict, said: str, write) -> None:
    path = write(ARM.replace(*change) if change else ARM)
    with pytest.raises(genesis_gym.GenesisGymError) as error:
        RobotSpec.from_file(path, **{"end_effector": "tool", "home": (0.0, 1.0), **arguments})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_errors_name_what_is_wrong_with_a_path(write) -> None:
    for file, said in (
        ("nowhere.urdf", "robot file 'nowhere.urdf' does not exist"),
        ("arm.usd", "must end in .urdf or .xml"),
    ):
        with pytest.raises(ArgumentError, match=said):
            RobotSpec.from_file(file, end_effector="tool", home=())
        with pytest.raises(ArgumentError, match=said):
            BatchedEnv(robot=dataclasses.replace(UR5E, asset=file))
    with pytest.raises(ArgumentError, match=r"joint 'float' of walker\.xml is floating"):
        RobotSpec.from_file(write(MJCF, "walker.xml"), end_effector="upper", home=(0.0,))
    with pytest.raises(ArgumentError, match=r"joint 'float' of walker\.xml is floating, and robot 'walker'"):
        RobotSpec.from_file(write(MJCF, "walker.xml"), joints=["hinge"], home=(0.0,))
    with pytest.raises(ArgumentError, match=r"scenery\.xml has it fixed; give its first body a <freejoint/>"):
        RobotSpec.from_file(write(SCENERY, "scenery.xml"), base=Floating(0.5))
    with pytest.raises(ArgumentError, match=r"bad\.xml cannot be read as a robot: "):
        RobotSpec.from_file(write("<mujoco><wordlbody/></mujoco>", "bad.xml"), end_effector="upper")
    turned = SCENERY.replace('name="yaw"', 'name="yaw" ref="0.3"')
    with pytest.raises(ArgumentError, match=r"joint 'yaw' of turned\.xml has ref=0\.3"):
        RobotSpec.from_file(write(turned, "turned.xml"), end_effector="hand")


def test_joints_of_nameless_bodies_are_found_by_their_place(write) -> None:
    text = """<mujoco><worldbody>
      <body pos="1 1 0.1"><joint name="turntable" axis="0 0 1"/><geom size="0.05"/></body>
      <body name="base" pos="0 0 0.5"><geom size="0.05"/>
        <body name="link1"><joint name="yaw" axis="0 0 1"/><geom size="0.03"/>
          <body pos="0 0 0.3"><joint name="pitch" axis="0 1 0"/><geom size="0.03"/>
            <body name="hand" pos="0 0 0.3"><joint name="roll" axis="0 0 1"/><geom size="0.03"/></body>
          </body></body></body></worldbody></mujoco>"""
    spec = RobotSpec.from_file(write(text, "nameless.xml"), end_effector="hand", home=(0.0, 0.5, 0.0))
    assert spec.actuators[0].joints == ("yaw", "pitch", "roll")


def test_what_only_genesis_finds_is_one_line_too(write, tmp_path: Path) -> None:
    (tmp_path / "part.stl").write_bytes(np.random.default_rng(0).bytes(300))
    mesh = '<visual><geometry><mesh filename="part.stl"/></geometry></visual>'
    path = write(ARM.replace('<link name="upper">', f'<link name="upper">{mesh}'))
    spec = RobotSpec.from_file(path, end_effector="tool", home=(0.0, 0.0))
    with pytest.raises(ArgumentError, match=r"Genesis cannot load arm\.urdf: ") as error:
        BatchedEnv("reach", robot=spec)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("robot", "changes", "said"),
    [
        (
            UR5E,
            {"tool": dataclasses.replace(UR5E.tool, link="hand")},
            "no link 'hand' in ur5e.xml of robot 'ur5e'",
        ),
        (UR5E, {"actuators": (PD(("a", "elbow")),)}, "no joint 'a' in ur5e.xml"),
        (UR5E, {"actuators": (PD("elbow"), PD("e.*"))}, "joint 'elbow' of robot 'ur5e' is driven twice"),
        (
            UR5E,
            {"actuators": (PD("elbow", velocity=(1.0, 2.0)),)},
            "it must have 1 numbers, one for each of elbow",
        ),
        (
            UR5E,
            {"base": Floating(0.5)},
            "robot 'ur5e' is declared with a floating base, and ur5e.xml has it fixed",
        ),
        (GO2, {"default": {".*": 0.0}}, "default: 0 of joint 'FL_calf_joint' is outside its limits in go2.urdf"),
        (FRANKA, {"gripper": GripperSpec(joints=("thumb", "joint7"), open=0.04)}, "no joint 'thumb'"),
        (UR5E, {"actuators": (Effort("elbow", bandwidth=50.0),)}, "bandwidth=50.0 with kp=0.0, kd=0.0"),
    ],
)
def test_a_wrong_declaration_is_named_before_a_scene_is_made(robot: RobotSpec, changes: dict, said: str) -> None:
    with pytest.raises(ArgumentError) as error:
        BatchedEnv(robot=dataclasses.replace(robot, **changes))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
