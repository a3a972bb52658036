"""Reach a pose: its goals, its errors, and that it can be done."""

from __future__ import annotations

import pytest
import torch

from conftest import random_actions
from genesis_gym import BatchedEnv, Evaluation, rotations

NUM_ENVS = 8


@pytest.fixture
def env(make_core) -> BatchedEnv:
    core: BatchedEnv = make_core(NUM_ENVS, task="reach_pose", control_mode="ee_delta_pose")
    core.reset(seed=0)
    return core


def test_a_simple_controller_reaches_every_pose(env: BatchedEnv) -> None:
    """Going straight along and about what the observation shows: so frames and signs are right."""
    layout, done = env.observation_layout["policy"], torch.zeros(NUM_ENVS, dtype=torch.bool)
    observation, metrics = env.reset(seed=0)
    start = metrics["position_error"], metrics["angle_error"]
    for _ in range(100):
        to_target, to_rotation = (observation["policy"][:, layout[name]] for name in ("to_target", "to_rotation"))
        result = env.step(torch.cat([5.0 * to_target, 2.0 * to_rotation], dim=-1).clamp(-1, 1))
        observation, done = result.observation, done | result.terminated
    assert done.all()
    errors = result.metrics["position_error"], result.metrics["angle_error"]
    assert (errors[0] < 0.02).all() and (errors[1] < 0.1).all(), "it stays there"
    assert start[0].max() > 0.2 and start[1].max() > 0.4, "they were far"


def test_success_needs_both(env: BatchedEnv) -> None:
    task, tool = env.task, env.task.arm.tool
    upright = task._upright

    def judge(offset: float, angle: float) -> Evaluation:
        task.target = tool.position + torch.tensor([0.0, offset, 0.0])
        turned = rotations.multiply(tool.orientation, rotations.inverse(upright))
        wanted = rotations.multiply(
            rotations.from_vector(torch.tensor([0.0, 0.0, angle]).expand(NUM_ENVS, 3)), turned
        )
        task.rotation = rotations.to_vector(wanted)
        return task.evaluate()

    for offset, angle, success in ((0.04, 0.15, True), (0.06, 0.0, False), (0.0, 0.25, False), (0.0, 0.0, True)):
        evaluation = judge(offset, angle)
        assert (evaluation.terminated["success"] == success).all()
        torch.testing.assert_close(
            evaluation.metrics["position_error"], torch.full((NUM_ENVS,), offset), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            evaluation.metrics["angle_error"], torch.full((NUM_ENVS,), angle), atol=1e-3, rtol=0
        )
        expected = torch.full((NUM_ENVS,), max(offset, angle * 0.05 / 0.2))
        torch.testing.assert_close(evaluation.metrics["distance_to_target"], expected, atol=1e-3, rtol=0)


def test_its_goals_give_its_rewards(make_core) -> None:
    env = make_core(NUM_ENVS, task="reach_pose", control_mode="ee_delta_pose", goal=True)
    env.reset(seed=0)
    assert env.observation["desired_goal"].shape == (NUM_ENVS, 6)
    for action in torch.from_numpy(random_actions(30, NUM_ENVS, 6)):
        result = env.step(action)
        goals = [result.observation[name] for name in ("achieved_goal", "desired_goal")]
        assert torch.equal(env.compute_reward(*goals), result.reward)
