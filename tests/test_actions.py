"""Action terms keep the robot within its limits, whatever the action, and do what they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conftest import random_actions
from genesis_gym import BatchedEnv, Task, rotations
from genesis_gym.actions import CONTROL_MODES, Actions, JointOffset, Rotors, ToolPosition
from genesis_gym.actions.joints import LIMIT_MARGIN, SPEED_SHARE
from genesis_gym.actions.tool import TOOL_SPEED, TURN_SPEED
from genesis_gym.errors import ArgumentError
from genesis_gym.robots import CF2X, FRANKA, GO2

#: The force-limited wrist joints, thrown about by the strong ones, pass their limits by this much, rad.
POSITION_OVERSHOOT = 0.02


@pytest.mark.parametrize("control_mode", CONTROL_MODES)
@pytest.mark.parametrize("kind", ["random", "constant", "alternating"])
def test_limits_hold_under_any_action(make_core, control_mode: str, kind: str) -> None:
    env = make_core(8, control_mode=control_mode)
    env.reset(seed=0)
    arm = env.task.arm
    size = env.action_dim
    signs = torch.tensor([[1.0, -1.0][i % 2] for i in range(8)])[:, None].expand(8, size)
    for step, drawn in enumerate(torch.from_numpy(random_actions(120, 8, size)) * 3):
        action = {"random": drawn, "constant": signs, "alternating": signs * (-1) ** (step // 3)}[kind]
        env.step(action)
        assert (arm.joint_position >= arm.joint_low - POSITION_OVERSHOOT).all()
        assert (arm.joint_position <= arm.joint_high + POSITION_OVERSHOOT).all()
        assert (arm.joint_velocity.abs() <= arm.velocity_limits).all()


def test_joint_delta_zero_holds_still(core: BatchedEnv) -> None:
    start = core.task.arm.joint_position.clone()
    for _ in range(100):
        core.step(torch.zeros(8, 7))
    assert (core.task.arm.joint_position - start).abs().max() < 0.01  # rad: gravity against the PD gains


def test_joint_delta_moves_at_its_speed(core: BatchedEnv) -> None:
    """Half an action is half of 80 % of the speed limit, followed without lag."""
    arm = core.task.arm
    action = torch.zeros(8, 7)
    action[:, 0] = 0.5
    for _ in range(20):
        core.step(action)
    wanted = 0.5 * SPEED_SHARE * arm.velocity_limits[0]
    torch.testing.assert_close(arm.joint_velocity[:, 0], wanted.expand(8), atol=0.05, rtol=0)
    travelled = wanted * 20 * core.control_dt
    torch.testing.assert_close(arm.joint_position[:, 0], travelled.expand(8), atol=0.05, rtol=0)


def test_joint_position_goes_where_it_is_told(make_core) -> None:
    env = make_core(8, control_mode="joint_position")
    env.reset(seed=0)
    arm = env.task.arm
    low, high = arm.joint_low + LIMIT_MARGIN, arm.joint_high - LIMIT_MARGIN
    wanted = arm.default + 0.3
    action = (2 * (wanted - low) / (high - low) - 1).expand(8, 7)
    for _ in range(60):
        env.step(action)
    torch.testing.assert_close(arm.joint_position, wanted.expand(8, 7), atol=0.02, rtol=0)


@pytest.mark.parametrize("control_mode", sorted(CONTROL_MODES.keys() - {"joint_torque", "joint_velocity"}))
def test_the_neutral_action_holds_still(make_core, control_mode: str) -> None:
    env = make_core(8, control_mode=control_mode)
    env.reset(seed=0)
    for action in torch.from_numpy(random_actions(10, 8, env.action_dim)):
        env.step(0.3 * action)
    for _ in range(25):  # it brakes
        env.step(env.neutral_action)
    start = env.task.arm.joint_position.clone()
    for _ in range(50):
        env.step(env.neutral_action)
    assert (env.task.arm.joint_position - start).abs().max() < 0.01


# In the space of the tool


def travel_of(env: BatchedEnv, action: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the tool goes, metres, and how far it turns, a rotation vector in rad."""
    env.reset(seed=0)
    tool = env.task.arm.tool
    position, orientation = tool.position.clone(), tool.orientation.clone()
    for _ in range(steps):
        env.step(action)
    turned = rotations.multiply(tool.orientation, rotations.inverse(orientation))
    return tool.position - position, rotations.to_vector(turned)


@pytest.mark.parametrize("control_mode", ["ee_delta_position", "ee_delta_pose"])
def test_the_tool_goes_where_it_is_sent(make_core, control_mode: str) -> None:
    """Six directions side by side: the tool makes its way along each and keeps its orientation."""
    env = make_core(8, control_mode=control_mode)
    action = torch.zeros(8, env.action_dim)
    for i in range(6):
        action[i, i // 2] = 0.5 * (-1) ** i
    displacement, turned = travel_of(env, action, 15)
    wanted = action[:, :3] * TOOL_SPEED * 15 * env.control_dt
    torch.testing.assert_close(displacement, wanted, atol=0.02, rtol=0)  # of 9 cm
    assert turned.abs().max() < 0.06  # rad


def test_the_tool_turns_as_it_is_told(make_core) -> None:
    env = make_core(8, control_mode="ee_delta_pose")
    action = torch.zeros(8, 6)
    for i in range(6):
        action[i, 3 + i // 2] = 0.5 * (-1) ** i
    displacement, turned = travel_of(env, action, 15)
    wanted = action[:, 3:] * TURN_SPEED * 15 * env.control_dt
    torch.testing.assert_close(turned, wanted, atol=0.06, rtol=0)  # of 0.18 rad
    assert displacement.abs().max() < 0.02


def test_the_jacobian_is_that_of_the_tool(core: BatchedEnv) -> None:
    """Against differences of the simulator's own kinematics."""
    arm = core.task.arm
    jacobian = arm.tool.jacobian
    assert jacobian.shape == (8, 6, 7)
    step = 1e-3
    for joint in range(7):
        ahead, back = arm.joint_position.clone(), arm.joint_position.clone()
        ahead[:, joint] += step
        back[:, joint] -= step
        slope = (arm.forward_kinematics(ahead) - arm.forward_kinematics(back)) / (2 * step)
        torch.testing.assert_close(jacobian[:, :3, joint], slope, atol=2e-3, rtol=0)
    torch.testing.assert_close(jacobian[:, 3:, 0], torch.tensor([0.0, 0.0, 1.0]).expand(8, 3), atol=1e-4, rtol=0)


# How terms are put together


class Fitting(Task):
    """A robot with an action term that may not fit it."""

    def __init__(self, robot, *terms) -> None:
        self.robot = robot
        self._terms = terms

    def build(self, world) -> None:
        self.live = world.add(self.robot)
        for term in self._terms:
            self.add_action(term(self.live))

    def observe(self):
        return {"policy": {"base": self.live.base.position}}


@pytest.mark.parametrize(
    ("robot", "term", "message"),
    [
        (GO2, ToolPosition, "robot 'go2' has no tool"),
        (CF2X, JointOffset, "JointOffset needs driven joints, and robot 'cf2x' has none"),
        (FRANKA, Rotors, "robot 'franka' has no propellers"),
    ],
    ids=["tool", "joints", "propellers"],
)
def test_a_term_that_lacks_an_attachment_says_so(robot, term, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        BatchedEnv(Fitting(robot, term), num_envs=2)


def test_two_terms_cannot_have_one_name() -> None:
    with pytest.raises(ArgumentError, match="name='joint_offset' is taken; the action has joint_offset"):
        BatchedEnv(Fitting(GO2, JointOffset, JointOffset), num_envs=2)


def test_the_action_is_the_terms_in_their_order(make_core) -> None:
    """Each term gets its share; the bounds are those of the terms, and an action beyond them is clipped."""
    env = make_core(2, task="lift_cube")
    env.reset(seed=0)
    actions = env.task.actions
    assert isinstance(actions, Actions) and list(actions.terms) == ["arm", "gripper"] and actions.size == 4
    before = actions.action
    env.step(torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4]]))
    expected = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.1, 0.2, 0.3, 0.4]])
    assert torch.equal(actions.action, expected)
    assert torch.equal(actions.terms["arm"].action, expected[:, :3])
    assert torch.equal(actions.terms["gripper"].action, expected[:, 3:])
    assert torch.equal(actions.terms["gripper"].change, expected[:, 3:] - before[:, 3:])


def test_joint_offsets_are_relative_to_the_default_pose(make_core) -> None:
    """q* = q₀ + 0.25 a, of which ±4 are the bounds."""
    env = make_core(2, task="velocity_tracking")
    env.reset(seed=0)
    assert (env.action_high == 4.0).all() and (env.action_low == -4.0).all()
    action = torch.zeros(2, 12)
    action[0], action[1, 3] = 9.0, -2.0
    env.step(action)
    offset = env.task.offsets._target - env.task.legs.default
    torch.testing.assert_close(offset[0], torch.ones(12))
    torch.testing.assert_close(offset[1], -0.5 * torch.eye(12)[3])


vectors = arrays(np.float64, 3, elements=st.floats(-1.7, 1.7))


@given(vectors, vectors, vectors)
def test_rotations_keep_their_laws(a, b, v) -> None:
    a, b, v = (torch.from_numpy(x) for x in (a, b, v))
    first, second = rotations.from_vector(a), rotations.from_vector(b)
    torch.testing.assert_close(rotations.to_vector(first), a, atol=1e-5, rtol=0)
    one_by_one = rotations.rotate(first, rotations.rotate(second, v))
    torch.testing.assert_close(rotations.rotate(rotations.multiply(first, second), v), one_by_one)
    torch.testing.assert_close(rotations.rotate(rotations.inverse(first), rotations.rotate(first, v)), v)
    matrix = torch.linalg.matrix_exp(skew(a))
    torch.testing.assert_close(rotations.rotate(first, v), matrix @ v)
    assert rotations.angle_between(first, first) < 1e-6


def skew(v: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros_like(v[0])
    return torch.stack([zero, -v[2], v[1], v[2], zero, -v[0], -v[1], v[0], zero]).reshape(3, 3)
