"""Pushing: the way that the reward leads the tool."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

import genesis_gym
from genesis_gym.tasks.funnel import through_funnel
from genesis_gym.tasks.push import FINGER_FRICTION, FRICTION, SPOUT, Push

ROWS = 64


@pytest.fixture
def env(make_core: Callable[..., genesis_gym.BatchedEnv]) -> Iterator[genesis_gym.BatchedEnv]:
    """Rows of push, whose friction is put back."""
    core = make_core(ROWS, task="push", max_episode_steps=200)
    yield core
    core.simulation.set_friction(FRICTION)
    core.robot.set_friction(FINGER_FRICTION)


@pytest.mark.parametrize(
    ("rubber", "low", "farthest"),
    [(True, 0.03, 0.01), (False, 0.035, 0.005)],  # a brushed cube slides on, and the fingers go down behind it
    ids=["rubber", "as built"],
)
def test_the_way_down_leaves_the_cube_where_it_is(
    env: genesis_gym.BatchedEnv, rubber: bool, low: float, farthest: float
) -> None:
    """The closed fingers come down beside the cube, whichever way it is to go, and not upon its edge.

    Each row keeps as far inwards as the funnel allows. Most do not touch the cube, the others brush it. Fingertips
    are down when they are `low`, metres, and `farthest` is how far a cube may have moved until then.
    """
    if rubber:
        env.simulation.set_friction(1.0)
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
        down |= task.robot.tool_position[:, 2] < low
    assert down.all(), f"{int((~down).sum())} rows are not down"
    assert moved.max() < farthest, f"cubes were moved by up to {1000 * moved.max():.0f} mm"
    assert moved.median() < 0.001


def test_the_cube_slides_as_panda_gyms_does(make_core: Callable[..., genesis_gym.BatchedEnv]) -> None:
    """It is slowed by μ g, where panda-gym's was measured to have a μ of 0.25, and a scaled one in proportion."""
    env = make_core(4, task="push")
    env.reset(seed=0)
    task = env.task
    assert isinstance(task, Push)
    ratio = torch.tensor([1.0, 1.0, 0.5, 2.0])
    env.simulation.set_friction_ratio(ratio)
    task._cube.set_pos(torch.tensor([0.0, 0.6, task.cube_size / 2]).expand(4, 3))  # beyond the arm's reach
    for _ in range(10):  # it settles
        env.simulation.step()
    task._cube.set_dofs_velocity(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).expand(4, 6))
    speeds = []
    for _ in range(10):
        env.simulation.step()
        speeds.append(task._cube.get_vel()[:, 0].clone())
    slowed = (speeds[0] - speeds[-1]) / (9 * env.simulation.dt * 9.81)
    torch.testing.assert_close(slowed, 0.25 * ratio, rtol=0.05, atol=0.0)
    assert {float(geometry.get_friction()) for geometry in task.robot.entity.geoms} == {0.5}
