"""Controllers keep the robot within its limits, whatever the action."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conftest import random_actions
from genesis_gym import rotations
from genesis_gym.controllers import CONTROLLERS
from genesis_gym.controllers.cartesian import TOOL_SPEED, TURN_SPEED
from genesis_gym.controllers.joint import LIMIT_MARGIN, SPEED_SHARE

#: The force-limited wrist joints, thrown about by the strong ones, pass their limits by this much, rad.
POSITION_OVERSHOOT = 0.02


@pytest.mark.parametrize("control_mode", CONTROLLERS)
@pytest.mark.parametrize("kind", ["random", "constant", "alternating"])
def test_limits_hold_under_any_action(make_core, control_mode: str, kind: str) -> None:
    env = make_core(8, control_mode=control_mode)
    env.reset(seed=0)
    robot = env.robot
    size = env.action_dim
    signs = torch.tensor([[1.0, -1.0][i % 2] for i in range(8)])[:, None].expand(8, size)
    for step, drawn in enumerate(torch.from_numpy(random_actions(120, 8, size)) * 3):
        action = {"random": drawn, "constant": signs, "alternating": signs * (-1) ** (step // 3)}[kind]
        env.step(action)
        assert (robot.joint_position >= robot.joint_low - POSITION_OVERSHOOT).all()
        assert (robot.joint_position <= robot.joint_high + POSITION_OVERSHOOT).all()
        assert (robot.joint_velocity.abs() <= robot.velocity_limits).all()


def test_joint_delta_zero_holds_still(core) -> None:
    start = core.robot.joint_position.clone()
    for _ in range(100):
        core.step(torch.zeros(8, 7))
    assert (core.robot.joint_position - start).abs().max() < 0.01  # rad: gravity against the PD gains


def test_joint_delta_moves_at_its_speed(core) -> None:
    """Half an action is half of 80 % of the speed limit, followed without lag."""
    action = torch.zeros(8, 7)
    action[:, 0] = 0.5
    for _ in range(20):
        core.step(action)
    wanted = 0.5 * SPEED_SHARE * core.robot.velocity_limits[0]
    torch.testing.assert_close(core.robot.joint_velocity[:, 0], wanted.expand(8), atol=0.05, rtol=0)
    travelled = wanted * 20 * core.control_dt
    torch.testing.assert_close(core.robot.joint_position[:, 0], travelled.expand(8), atol=0.05, rtol=0)


def test_joint_position_goes_where_it_is_told(make_core) -> None:
    env = make_core(8, control_mode="joint_position")
    env.reset(seed=0)
    low, high = env.robot.joint_low + LIMIT_MARGIN, env.robot.joint_high - LIMIT_MARGIN
    wanted = env.robot.home + 0.3
    action = (2 * (wanted - low) / (high - low) - 1).expand(8, 7)
    for _ in range(60):
        env.step(action)
    torch.testing.assert_close(env.robot.joint_position, wanted.expand(8, 7), atol=0.02, rtol=0)


# In the space of the tool


def travel_of(env, action: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the tool goes, metres, and how far it turns, a rotation vector in rad."""
    env.reset(seed=0)
    position, quaternion = env.robot.tool_position, env.robot.tool_quaternion
    for _ in range(steps):
        env.step(action)
    turned = rotations.multiply(env.robot.tool_quaternion, rotations.inverse(quaternion))
    return env.robot.tool_position - position, rotations.to_vector(turned)


@pytest.mark.parametrize("control_mode", ["ee_delta_position", "ee_delta_pose"])
def test_the_tool_goes_where_it_is_sent(make_core, control_mode: str) -> None:
    """Six directions side by side: the tool makes its way along each and keeps its orientation."""
    env = make_core(8, control_mode=control_mode)
    action = torch.zeros(8, env.action_dim)
    for row in range(6):
        action[row, row // 2] = 0.5 * (-1) ** row
    way, turned = travel_of(env, action, 15)
    wanted = action[:, :3] * TOOL_SPEED * 15 * env.control_dt
    torch.testing.assert_close(way, wanted, atol=0.02, rtol=0)  # of 9 cm
    assert turned.abs().max() < 0.06  # rad


def test_the_tool_turns_as_it_is_told(make_core) -> None:
    env = make_core(8, control_mode="ee_delta_pose")
    action = torch.zeros(8, 6)
    for row in range(6):
        action[row, 3 + row // 2] = 0.5 * (-1) ** row
    way, turned = travel_of(env, action, 15)
    wanted = action[:, 3:] * TURN_SPEED * 15 * env.control_dt
    torch.testing.assert_close(turned, wanted, atol=0.06, rtol=0)  # of 0.18 rad
    assert way.abs().max() < 0.02


def test_the_jacobian_is_that_of_the_tool(core) -> None:
    """Against differences of the simulator's own kinematics."""
    robot = core.robot
    jacobian = robot.jacobian()
    assert jacobian.shape == (8, 6, 7)
    step = 1e-3
    for joint in range(7):
        moved = robot.joint_position.clone()
        moved[:, joint] += step
        back = robot.joint_position.clone()
        back[:, joint] -= step
        slope = (robot.forward_kinematics(moved) - robot.forward_kinematics(back)) / (2 * step)
        torch.testing.assert_close(jacobian[:, :3, joint], slope, atol=2e-3, rtol=0)
    torch.testing.assert_close(jacobian[:, 3:, 0], torch.tensor([0.0, 0.0, 1.0]).expand(8, 3), atol=1e-4, rtol=0)


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
