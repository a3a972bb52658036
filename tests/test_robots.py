"""Robots that ship with the package, and robots of one's own from their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch

import genesis_gym
from conftest import random_actions
from genesis_gym import BatchedEnv, Push, Reach, RobotSpec
from genesis_gym.controllers import CONTROLLERS, make_controller
from genesis_gym.controllers.cartesian import TOOL_SPEED
from genesis_gym.controllers.joint import LIMIT_MARGIN, SPEED_SHARE, TORQUE_SPEED_SHARE
from genesis_gym.core.make import make_core as make_registered
from genesis_gym.errors import ArgumentError
from genesis_gym.registration import ENVIRONMENTS, OTHER_ARMS
from genesis_gym.robots import KUKA_IIWA, ROBOTS, UR5E
from genesis_gym.tasks.scenes import SCENES

KUKA_FILE = KUKA_IIWA.asset
ROWS = 64

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


@pytest.fixture(scope="module")
def make_arm() -> Iterator[Callable[[RobotSpec], BatchedEnv]]:
    """The environment of a robot, built once: reach without even a ground, which no controller foresees."""
    built: dict[RobotSpec, BatchedEnv] = {}

    def get(robot: RobotSpec) -> BatchedEnv:
        if robot not in built:
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(SCENES, "empty", lambda simulation: None)
                built[robot] = BatchedEnv("reach", num_envs=ROWS, robot=robot)
        built[robot].reset(seed=0)
        return built[robot]

    yield get
    for env in built.values():
        env.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a robot's file."""

    def write(text: str, name: str = "arm.urdf") -> Path:
        (tmp_path / name).write_text(text.replace("{body}", BODY))
        return tmp_path / name

    return write


@contextmanager
def driven_by(mode: str, env: BatchedEnv) -> Iterator[Any]:
    """Put another controller into an environment, and everything back afterwards."""
    robot, own, own_size = env.robot, env._controller, env.action_dim
    gains = [robot.joint_property(name) for name in ("kp", "kv")]
    env._controller = make_controller(mode, robot, env.control_dt)
    env.action_dim = env._controller.action_dim
    try:
        yield env._controller
    finally:
        env._controller, env.action_dim = own, own_size
        robot.set_gains(*gains)


# Robots that ship


@pytest.mark.parametrize("name", ROBOTS)
def test_limits_hold_under_any_action(name: str, make_arm) -> None:
    """In every control mode: random actions, constant ones of any signs, and ones that alternate."""
    env = make_arm(ROBOTS[name])
    position_overshoot, speed_overshoot = OVERSHOOTS[name]
    robot = env.robot
    force_limit = robot.force_limits * (1 + 1e-5)
    for mode in CONTROLLERS:
        with driven_by(mode, env):
            size = env.action_dim
            env.reset(seed=0)
            signs = torch.from_numpy(random_actions(1, ROWS, size)[0]).sign()
            third = torch.arange(ROWS)[:, None] % 3
            for step, drawn in enumerate(torch.from_numpy(random_actions(200, ROWS, size)) * 3):
                alternating = signs * (-1) ** (step // 3)
                env.step(torch.where(third == 0, drawn, torch.where(third == 1, signs, alternating)))
                slack = position_overshoot + (TORQUE_OVERSHOOT if mode == "joint_torque" else 0.0)
                assert (robot.joint_position >= robot.joint_low - slack).all(), mode
                assert (robot.joint_position <= robot.joint_high + slack).all(), mode
                assert (robot.joint_velocity.abs() <= robot.velocity_limits * (1 + speed_overshoot)).all(), mode
                assert (robot.entity.get_dofs_control_force(robot.dofs).abs() <= force_limit).all(), mode
            assert not env.fault_counts.any()


@pytest.mark.parametrize("name", ROBOTS)
def test_arms_hold_still_and_go_where_they_are_told(name: str, make_arm) -> None:
    env = make_arm(ROBOTS[name])
    robot = env.robot
    for _ in range(100):
        env.step(torch.zeros(ROWS, env.action_dim))
    assert (robot.joint_position - robot.home).abs().max() < 0.01  # rad: gravity against the gains
    with driven_by("joint_position", env):
        env.reset(seed=0)
        low, high = robot.joint_low + LIMIT_MARGIN, robot.joint_high - LIMIT_MARGIN
        wanted = robot.home + 0.3
        for _ in range(80):
            env.step((2 * (wanted - low) / (high - low) - 1).expand(ROWS, -1))
        torch.testing.assert_close(robot.joint_position, wanted.expand(ROWS, -1), atol=0.02, rtol=0)


#: How far an arm is from where its actions send it, root mean square over two seconds: rad, and metres of
#: the tool. The median of many rows: some waves of the tool stretch the Franka to the end of its reach.
TRACKING = {
    "joint_delta": 0.01,
    "joint_position": 0.01,
    "joint_velocity": 0.1,
    "ee_delta_position": 0.005,
    "ee_delta_pose": 0.005,
}


@pytest.mark.parametrize("mode", TRACKING)
@pytest.mark.parametrize("name", ROBOTS)
def test_arms_follow_slow_waves(name: str, mode: str, make_arm) -> None:
    """Two seconds of sines of up to half of full speed, or of 0.3 rad; the numbers of docs/robots.md."""
    env = make_arm(ROBOTS[name])
    robot = env.robot
    with driven_by(mode, env) as controller:
        size = env.action_dim
        env.reset(seed=0)
        scale = torch.from_numpy(random_actions(1, ROWS, size)[0])
        place = robot.tool_position if mode.startswith("ee") else robot.joint_position
        errors = []
        for step in range(100):
            wave = scale * torch.sin(torch.tensor(torch.pi * env.control_dt * (step + 1)))
            if mode == "joint_position":
                place = robot.home + 0.3 * wave
                action = 2 * (place - controller.low) / (controller.high - controller.low) - 1
            else:
                action = 0.5 * wave
                speed = TOOL_SPEED if mode.startswith("ee") else SPEED_SHARE * robot.velocity_limits
                place = place + speed * env.control_dt * action[:, : place.shape[-1]]
            env.step(action)
            errors.append(place - (robot.tool_position if mode.startswith("ee") else robot.joint_position))
        error = torch.stack(errors).square().mean((0, 2)).sqrt().median()
        print(f"{name} {mode}: {error:.4f}")
        assert error < TRACKING[mode]


def test_a_velocity_servo_keeps_speed_and_holds_no_position(make_arm) -> None:
    env = make_arm(ROBOTS["franka"])
    robot = env.robot
    with driven_by("joint_velocity", env):
        env.reset(seed=0)
        action = torch.zeros(ROWS, 7)
        action[:, 0] = 0.5
        for _ in range(20):
            env.step(action)
        wanted = 0.5 * SPEED_SHARE * robot.velocity_limits[0]
        torch.testing.assert_close(robot.joint_velocity[:, 0], wanted.expand(ROWS), atol=0.05, rtol=0)
        for _ in range(50):
            env.step(0 * action)
        assert robot.joint_velocity[:, 0].abs().max() < 0.02
        assert (robot.joint_velocity[:, 1] > 0.02).all()  # the shoulder sinks: 40 N·m over 450 N·m·s/rad
        assert (robot.joint_velocity[:, 1] < 0.15).all()


def test_a_torque_moves_a_joint_as_a_motor_does(make_arm) -> None:
    """At first in proportion to the torque, later up to the speed at which none is left; without any it falls."""
    env = make_arm(ROBOTS["franka"])
    robot = env.robot
    with driven_by("joint_torque", env):
        env.reset(seed=0)
        action = torch.zeros(ROWS, 7)
        action[:, 0] = torch.linspace(-0.05, 0.05, ROWS)
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
    "kuka without a box": dataclasses.replace(KUKA_IIWA, workspace=None),
    "ur5e without a box": dataclasses.replace(UR5E, workspace=None),
}


@pytest.mark.parametrize("robot", [*ROBOTS.values(), *OWN.values()], ids=[*ROBOTS, *OWN])
def test_targets_can_be_reached(robot: RobotSpec, make_arm) -> None:
    """Inverse kinematics finds joints within their limits for every target, and for the corners of the box."""
    env = make_arm(robot)
    low, high = env.robot.workspace
    targets = env.task.target.clone()
    corners = torch.cartesian_prod(*torch.stack([low, high], dim=-1))
    targets[:8] = corners
    assert ((targets >= low) & (targets <= high)).all() and (low[2] > 0)
    link, offset = env.robot._end_effector, env.robot._tool_offset
    _, error = env.robot.entity.inverse_kinematics(
        link, pos=targets, local_point=offset, rot_mask=[False] * 3, respect_joint_limit=True, return_error=True
    )
    assert (error[:, :3].norm(dim=-1) < 5e-3).all()


@pytest.mark.parametrize("env_id", ["Genesis/UR5eReachPose-v0", "Genesis/KukaMotor-v0"])
def test_arms_have_ids_of_their_own(env_id: str) -> None:
    task, robot = OTHER_ARMS[env_id]
    env = gymnasium.make(env_id)
    core = make_registered(env_id, 2)
    other = gymnasium.make(next(other for other in ENVIRONMENTS if ENVIRONMENTS[other] == task), robot_type=robot)
    observations = []
    for face in (env, other):
        observations.append(torch.from_numpy(face.reset(seed=3)[0]))
        assert face.action_space.shape == (len(ROBOTS[robot].joints),)
        assert face.unwrapped.core.robot.spec is ROBOTS[robot]
        for action in random_actions(5, *face.action_space.shape):
            observation = face.step(action)[0]
        observations.append(torch.from_numpy(observation))
        face.close()
    assert torch.equal(torch.cat(observations[:2]), torch.cat(observations[2:]))
    assert torch.equal(core.reset(seed=3)[0][0], observations[0])
    core.close()


def test_push_needs_a_gripper() -> None:
    with pytest.raises(ArgumentError, match="task Push needs a robot with a gripper; 'ur5e' has none"):
        BatchedEnv(Push(), robot="ur5e")


# Robots of one's own


def test_a_file_says_what_a_robot_is(write, make_arm) -> None:
    """Joints on the way to the tool, their limits and speeds are the file's; its fixed tool is kept."""
    spec = RobotSpec.from_file(write(ARM), end_effector="tool", home=(0.3, 1.2))
    assert (spec.name, spec.joints, spec.velocity_limits) == ("arm", ("shoulder", "elbow"), (3.0, 2.5))
    robot = make_arm(spec).robot
    two_turns = 2 * torch.pi
    torch.testing.assert_close(robot.joint_low, torch.tensor([-two_turns, -2.0]))
    torch.testing.assert_close(robot.joint_high, torch.tensor([two_turns, 2.5]))
    assert robot.entity.get_dofs_force_range(robot.dofs)[1].tolist() == [50.0, 20.0]
    angle = torch.tensor([0.3, 1.5])
    place = 0.4 * torch.stack([angle.sin(), torch.zeros(2), angle.cos()]).sum(-1) + torch.tensor([0.0, 0.0, 1.0])
    robot.go_home()
    torch.testing.assert_close(robot.tool_position[0], place, atol=1e-4, rtol=0)


def test_a_robot_of_ones_own_does_the_tasks(write, make_arm) -> None:
    """It holds still, keeps its limits, and has its targets around home."""
    env = make_arm(RobotSpec.from_file(write(ARM), end_effector="tool", home=(0.3, 1.2)))
    robot = env.robot
    for _ in range(50):
        env.step(torch.zeros(ROWS, 2))
    assert (robot.joint_position - robot.home).abs().max() < 0.02
    for drawn in torch.from_numpy(random_actions(100, ROWS, 2)):
        env.step(drawn)
        assert (robot.joint_velocity.abs() <= 1.03 * robot.velocity_limits).all()
    low, high = robot.workspace
    assert (env.task.target >= low).all() and (env.task.target <= high).all()
    assert low[1] == high[1] == 0.0  # a planar arm


def test_the_keyframe_and_the_gains_of_an_mjcf_file_are_taken(make_arm) -> None:
    spec = RobotSpec.from_file(UR5E.asset, end_effector="ee_virtual_link", name="mine", velocity_limits=[3.0] * 6)
    assert (spec.name, spec.joints, spec.bandwidth) == ("mine", UR5E.joints, None)
    assert spec.home == pytest.approx(UR5E.home)
    assert make_arm(spec).robot.joint_property("kp").tolist() == [2000.0] * 3 + [500.0] * 3
    assert RobotSpec.from_file(KUKA_FILE, end_effector="lbr_iiwa_link_7", home=[0.0] * 7).bandwidth


def test_gains_follow_the_inertia_whether_or_not_rows_differ(make_arm) -> None:
    plain = make_arm(KUKA_IIWA).robot
    varied = BatchedEnv("none", num_envs=2, robot=KUKA_IIWA, randomization={"kp_scale": (1.0, 1.0)})
    for name in ("kp", "kv"):
        torch.testing.assert_close(varied.robot.joint_property(name), plain.joint_property(name))
    kp = plain.joint_property("kp")
    assert kp[1] > 10 * kp[6] > 0
    varied.close()


def test_a_task_may_have_a_box_of_its_own(make_arm) -> None:
    box = ((0.4, -0.1, 0.3), (0.5, 0.1, 0.4))
    env = BatchedEnv(Reach(target_low=box[0], target_high=box[1]), num_envs=8, robot="ur5e")
    env.reset(seed=0)
    assert (env.task.target >= torch.tensor(box[0])).all() and (env.task.target <= torch.tensor(box[1])).all()
    env.close()


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        ((), {"end_effector": "hand"}, "no link 'hand' in arm.urdf; it has base, upper, lower, tool, wheel"),
        ((), {"joints": ["elbow", "knee"]}, "no joint 'knee' in arm.urdf; it has shoulder, elbow, axle"),
        ((), {"home": (0.0, 0.0, 0.0)}, "it must have 2 finite numbers, one for each of shoulder, elbow"),
        ((), {"home": (0.0, float("nan"))}, "it must have 2 finite numbers"),
        ((), {"home": (0.0, 2.6)}, "home=2.6 of joint 'elbow' is outside its limits in arm.urdf, -2 to 2.5"),
        ((), {"home": None}, "arm.urdf names no home; pass home, one number for each of shoulder, elbow"),
        ((), {"velocity_limits": (1.0,)}, "velocity_limits=(1.0,) of robot 'arm' is not allowed; it must have 2"),
        ((), {"velocity_limits": (1.0, 0.0)}, "all must be above 0"),
        ((), {"bandwidth": -1}, "bandwidth=-1 is not allowed"),
        ((), {"gripper_joints": ("thumb",)}, "no joint 'thumb' in arm.urdf"),
        ((), {"end_effector": "base"}, "robot 'arm' has no joints to drive"),
        (("revolute", "floating"), {}, "joint 'elbow' of arm.urdf is floating"),
        (('effort="50"', 'effort="0"'), {}, "joint 'shoulder' of arm.urdf has effort 0 and could not move"),
        (("</robot>", ""), {}, "arm.urdf cannot be read as a robot"),
        (('parent link="base"', 'parent link="lower"'), {}, "arm.urdf is no tree: link 'lower' is above itself"),
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
    with pytest.raises(ArgumentError, match=r"bad\.xml cannot be read as a robot: "):
        RobotSpec.from_file(write("<mujoco><wordlbody/></mujoco>", "bad.xml"), end_effector="upper")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"end_effector": "tool"},
            "no link 'tool' in xml/universal_robots_ur5e/ur5e.xml of robot 'ur5e'; it has ",
        ),
        (
            {"joints": ("a", *UR5E.joints[1:])},
            "no joint 'a' in xml/universal_robots_ur5e/ur5e.xml of robot 'ur5e'",
        ),
    ],
)
def test_a_wrong_declaration_is_named_when_a_scene_is_made(changes: dict, said: str) -> None:
    with pytest.raises(ArgumentError) as error:
        BatchedEnv(robot=dataclasses.replace(UR5E, **changes))
    assert said in str(error.value)
