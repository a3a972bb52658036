"""Pillars that stand in the way at full difficulty, and only there."""

from __future__ import annotations

import pytest
import torch

from genesis_gym import BatchedEnv
from genesis_gym.errors import ArgumentError
from genesis_gym.tasks.reach.reach_obstacles import CLEARANCE, HEIGHT, RADIUS, SUNK, ReachObstacles

NUM_ENVS = 8
EASIER = torch.arange(NUM_ENVS) % 2 == 1


@pytest.fixture
def env(make_core) -> BatchedEnv:
    """Every second environment is a little below full difficulty."""
    core: BatchedEnv = make_core(NUM_ENVS, task="reach_obstacles", control_mode="ee_delta_position")
    core.task.difficulty = torch.where(EASIER, 0.9, 1.0)
    core.reset(seed=0)
    core.task.difficulty = torch.ones(NUM_ENVS)
    return core


def go(env: BatchedEnv, place: torch.Tensor, steps: int) -> None:
    """Move the tool straight towards a place, world frame, metres `(num_envs, 3)`."""
    for _ in range(steps):
        env.step((12.0 * (place - env.task.arm.tool.position)).clamp(-0.5, 0.5))


def test_a_pillar_blocks_the_arm(env: BatchedEnv) -> None:
    """Between the pillars the tool goes down, then aside to where one of them is, or is not."""
    pillar = env.task.pillar_position[:, 1]
    go(env, torch.stack([pillar[:, 0], torch.zeros(NUM_ENVS), torch.full((NUM_ENVS,), 0.3)], dim=-1), 60)
    assert (env.task.arm.tool.position[:, 2] < 0.32).all()
    go(env, torch.stack([pillar[:, 0], torch.full((NUM_ENVS,), 0.3), torch.full((NUM_ENVS,), 0.3)], dim=-1), 80)
    y = env.task.arm.tool.position[:, 1]
    assert (y[EASIER] > 0.28).all()
    assert (y < pillar[:, 1] - RADIUS)[~EASIER].all(), "not even the middle of the fingers gets into it"
    assert torch.equal(torch.stack([p.position for p in env.task._pillars], dim=1), env.task.pillar_position)


def test_pillars_stand_at_full_difficulty_only(env: BatchedEnv) -> None:
    middle = env.observation["policy"][:, env.observation_layout["policy"]["pillar_position"]].view(NUM_ENVS, 2, 3)
    assert torch.equal(middle, env.task.pillar_position)
    assert (middle[~EASIER, :, 2] == HEIGHT / 2).all() and (middle[EASIER, :, 2] == SUNK).all()
    apart = torch.linalg.vector_norm(middle[:, 0, :2] - middle[:, 1, :2], dim=-1)
    assert (apart >= 2 * CLEARANCE - 1e-6).all() and len(middle[:, 0, 0].unique()) == NUM_ENVS


def test_targets_keep_off_the_pillars(env: BatchedEnv) -> None:
    near = 0
    for seed in range(0, 40 * NUM_ENVS, NUM_ENVS):
        env.reset(seed=seed)
        away = env.task.target[:, None, :2] - env.task.pillar_position[..., :2]
        distance = torch.linalg.vector_norm(away, dim=-1)
        assert (distance > CLEARANCE - 1e-5).all()
        near += int((distance < CLEARANCE + 1e-5).sum())
        assert (env.task.target >= env.task._low - 1e-6).all() and (env.task.target <= env.task._high + 1e-6).all()
    assert near > 40, "some were moved, and only as far as needed"


def test_a_reset_moves_the_pillars_of_its_environments_only(env: BatchedEnv) -> None:
    """Those of the others stay sunk, although their next episode will be at full difficulty."""

    def places() -> torch.Tensor:
        pillars = torch.stack([pillar.position for pillar in env.task._pillars], dim=1)
        return torch.cat([pillars, env.task.pillar_position, env.task.target[:, None]], dim=1)

    before = places()
    env.reset(~EASIER)
    assert torch.equal(before[EASIER], places()[EASIER])
    assert (before != places())[~EASIER].any(-1).all()


def test_a_box_without_room_for_pillars_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"must be at least 0.2 m along x and 0.4 m along y"):
        BatchedEnv(ReachObstacles(target_low=(0.4, -0.1, 0.2), target_high=(0.6, 0.1, 0.4)), num_envs=2)
