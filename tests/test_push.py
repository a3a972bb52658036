"""Pushing: the way that the reward leads the tool."""

from __future__ import annotations

from collections.abc import Callable

import torch

import genesis_gym
from genesis_gym.tasks.funnel import through_funnel
from genesis_gym.tasks.push import SPOUT, Push

ROWS = 64


def test_the_way_down_leaves_the_cube_where_it_is(make_core: Callable[..., genesis_gym.BatchedEnv]) -> None:
    """The closed fingers come down beside the cube, whichever way it is to go, and not upon its edge.

    Each row keeps as far inwards as the funnel allows. Most do not touch the cube, the others brush it.
    """
    env = make_core(ROWS, task="push", max_episode_steps=200)
    env.reset(seed=0)
    task = env.task
    assert isinstance(task, Push)
    before = task.cube_position.clone()
    down = torch.zeros(ROWS, dtype=torch.bool)
    moved = torch.zeros(ROWS)
    for _ in range(100):
        way = task._way_behind()
        aside = torch.linalg.vector_norm(way[:, :2], dim=-1, keepdim=True)
        inwards = way[:, :2] * (1.0 - SPOUT / aside.clamp(min=SPOUT))
        env.step((4.0 * through_funnel(torch.cat([inwards, way[:, 2:]], -1), 0.0)).clamp(-1.0, 1.0))
        moved = torch.where(down, moved, torch.linalg.vector_norm(task.cube_position - before, dim=-1))
        down |= task.robot.tool_position[:, 2] < 0.03
    assert down.all(), f"{int((~down).sum())} rows are not down"
    assert moved.max() < 0.01, f"cubes were moved by up to {1000 * moved.max():.0f} mm"
    assert moved.median() < 0.001
