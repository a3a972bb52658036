"""Controllers keep the robot within its limits, whatever the action."""

from __future__ import annotations

import pytest
import torch

from conftest import random_actions
from genesis_gym.controllers import CONTROLLERS
from genesis_gym.controllers.joint import LIMIT_MARGIN, SPEED_SHARE

#: The force-limited wrist joints, thrown about by the strong ones, pass their limits by this much, rad.
POSITION_OVERSHOOT = 0.02


@pytest.mark.parametrize("control_mode", CONTROLLERS)
@pytest.mark.parametrize("kind", ["random", "constant", "alternating"])
def test_limits_hold_under_any_action(make_core, control_mode: str, kind: str) -> None:
    env = make_core(8, control_mode=control_mode)
    env.reset(seed=0)
    robot = env.robot
    signs = torch.tensor([[1.0, -1.0][i % 2] for i in range(8)])[:, None].expand(8, 7)
    for step, drawn in enumerate(torch.from_numpy(random_actions(120, 8, 7)) * 3):
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
