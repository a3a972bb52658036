"""Surroundings: the ground is at z = 0 in each, and each holds what it says."""

from __future__ import annotations

import pytest
import torch

from genesis_gym import BatchedEnv
from genesis_gym.tasks.arm import SCENES
from genesis_gym.world.objects import BIN_HIGH, BIN_LOW, BIN_THICKNESS, TABLE_HEIGHT

#: Where the three cubes are put, metres: on the ground, beyond the table's edge, and beside the bin's wall.
PLACES = torch.tensor([[0.5, 0.0, 0.1], [0.5, 1.0, 0.1], [0.5, BIN_HIGH[1] - 0.04, 0.02]])


@pytest.fixture(params=SCENES)
def env(request, make_core) -> BatchedEnv:
    core: BatchedEnv = make_core(3, task="push", scene_type=request.param)
    core.reset(seed=0)
    return core


def settle(env: BatchedEnv, velocity: torch.Tensor) -> torch.Tensor:
    """Where the cubes come to rest, metres `(3, 3)`, thrown from `PLACES`."""
    env.task.cube.entity.set_pos(PLACES)
    env.task.cube.entity.set_dofs_velocity(torch.cat([velocity, torch.zeros(3, 3)], dim=-1))
    for _ in range(50):
        env.step(torch.zeros(3, env.action_dim))
    return env.task.cube.position


def test_a_cube_comes_to_rest_on_the_ground(env: BatchedEnv, request) -> None:
    scene = request.node.callspec.params["env"]
    place = settle(env, torch.zeros(3, 3))
    half = env.task.cube_size / 2
    assert place[[0, 2], 2].sub(half).abs().max() < 1e-3
    floor = 0.0 if scene == "empty" else -TABLE_HEIGHT
    assert place[1, 2].item() == pytest.approx(half + floor, abs=2e-3), "off the edge it falls to the floor"


def test_a_bin_keeps_what_slides(env: BatchedEnv, request) -> None:
    velocity = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.5, 0.0]])
    y = settle(env, velocity)[2, 1]
    inside = BIN_LOW[1] < y < BIN_HIGH[1] - env.task.cube_size / 2 + 2e-3
    assert inside == (request.node.callspec.params["env"] == "bin")
    assert inside or y > BIN_HIGH[1] + BIN_THICKNESS


def test_the_arm_stands_free_of_its_surroundings(env: BatchedEnv, make_core) -> None:
    """Holding still at home, it sags as it does with nothing around it."""

    def held(core: BatchedEnv) -> torch.Tensor:
        core.reset(seed=0)
        for _ in range(20):
            core.step(torch.zeros(3, core.action_dim))
        return core.task.arm.joint_position

    empty = make_core(3, task="push", scene_type="empty")
    torch.testing.assert_close(held(env), held(empty), atol=1e-5, rtol=0)
