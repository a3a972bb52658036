"""Pushing: the path on which the reward leads the tool, and the friction of the cube."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

import genesis_gym
from genesis_gym.runtime import genesis_api
from genesis_gym.tasks.manipulation.funnel import through_funnel
from genesis_gym.tasks.manipulation.push import FINGER_FRICTION, FRICTION, FUNNEL_RADIUS, Push

NUM_ENVS = 64


@pytest.fixture
def env(make_core: Callable[..., genesis_gym.BatchedEnv]) -> Iterator[genesis_gym.BatchedEnv]:
    """Environments of push, whose friction is put back."""
    core = make_core(NUM_ENVS, task="push", max_episode_steps=200)
    yield core
    core.world.set_friction(FRICTION)
    core.task.arm.set_friction(FINGER_FRICTION)


@pytest.mark.parametrize(
    ("rubber", "low", "farthest"),
    [(True, 0.03, 0.01), (False, 0.035, 0.005)],  # a brushed cube slides on, and the fingers go down behind it
    ids=["rubber", "as built"],
)
def test_the_path_down_leaves_the_cube_where_it_is(
    env: genesis_gym.BatchedEnv, rubber: bool, low: float, farthest: float
) -> None:
    """The closed fingers come down beside the cube, whichever way it is to go, and not upon its edge.

    Each keeps as far inwards as the funnel allows. Most do not touch the cube, the others brush it. Fingertips are
    down when they are `low`, metres, and `farthest` is how far a cube may have moved until then.
    """
    if rubber:
        env.world.set_friction(1.0)
    env.reset(seed=0)
    task = env.task
    assert isinstance(task, Push)
    before = task.cube.position.clone()
    down = torch.zeros(NUM_ENVS, dtype=torch.bool)
    moved = torch.zeros(NUM_ENVS)
    for _ in range(100):
        displacement = task._to_pushing_point()
        lateral = torch.linalg.vector_norm(displacement[:, :2], dim=-1, keepdim=True)
        inwards = displacement[:, :2] * (1.0 - FUNNEL_RADIUS / lateral.clamp(min=FUNNEL_RADIUS))
        env.step((4.0 * through_funnel(torch.cat([inwards, displacement[:, 2:]], -1), 0.0)).clamp(-1.0, 1.0))
        moved = torch.where(down, moved, torch.linalg.vector_norm(task.cube.position - before, dim=-1))
        down |= task.arm.tool.position[:, 2] < low
    assert down.all(), f"{int((~down).sum())} are not down"
    assert moved.max() < farthest, f"cubes were moved by up to {1000 * moved.max():.0f} mm"
    assert moved.median() < 0.001


def test_the_cube_slides_as_panda_gyms_does(make_core: Callable[..., genesis_gym.BatchedEnv]) -> None:
    """It is slowed by μ g, where panda-gym's was measured to have a μ of 0.25, and a scaled one in proportion."""
    env = make_core(4, task="push")
    env.reset(seed=0)
    task = env.task
    assert isinstance(task, Push)
    ratio = torch.tensor([1.0, 1.0, 0.5, 2.0])
    genesis_api.set_friction_ratio(env.world.scene, ratio)
    task.cube.entity.set_pos(torch.tensor([0.0, 0.6, task.cube_size / 2]).expand(4, 3))  # beyond the arm's reach
    for _ in range(10):  # it settles
        env.world.step()
    task.cube.entity.set_dofs_velocity(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).expand(4, 6))
    speeds = []
    for _ in range(10):
        env.world.step()
        speeds.append(task.cube.linear_velocity[:, 0].clone())
    slowed = (speeds[0] - speeds[-1]) / (9 * env.world.dt * 9.81)
    torch.testing.assert_close(slowed, 0.25 * ratio, rtol=0.05, atol=0.0)
    assert {float(geometry.get_friction()) for geometry in task.arm.entity.geoms} == {0.5}
