"""Reward terms, their weights, and observations that tasks share."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from conftest import random_actions
from genesis_gym.errors import ArgumentError

#: The weights of the training guide's `compute_shaped_reward`, but for its progress.
GUIDE = {"distance": -2.0, "velocity": -0.01, "action": -0.001, "success": 10.0}


@pytest.fixture(scope="module")
def shaped():
    envs = gym.make_vec("Genesis/FrankaReach-v0", num_envs=8, reward_weights=GUIDE, autoreset_mode="SameStep")
    yield envs
    envs.close()


def test_each_term_is_what_the_guide_writes(shaped) -> None:
    """Recomputed in numpy from the observation, as the guide's `compute_shaped_reward` does."""
    observation, _ = shaped.reset(seed=0)
    for action in random_actions(30, 8, 7):
        observation, reward, terminated, truncated, info = shaped.step(action)
        distance = info["distance_to_target"]
        if (terminated | truncated).any():
            continue
        velocity = np.square(observation[:, 7:14]).sum(-1)
        expected = {
            "distance": -2.0 * distance,
            "velocity": -0.01 * velocity,
            "action": -0.001 * np.square(action).sum(-1),
            "success": 10.0 * (distance < 0.05),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(info[f"reward/{name}"], value, rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(reward, sum(expected.values()), rtol=1e-4, atol=1e-4)


def test_terms_of_weight_zero_are_left_out(core) -> None:
    result = core.step(torch.zeros(8, 7))
    assert {n for n in result.metrics if n.startswith("reward/")} == {"reward/distance", "reward/success"}
    assert core.reward_weights == {"distance": -5, "success": 10, "velocity": 0, "action": 0}


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ({"distanse": 1.0}, "'distanse' is not known (did you mean 'distance'?)"),
        ({"distance": "big"}, "distance='big'"),
        ({"distance": float("nan")}, "distance=nan"),
        ({"success": True}, "success=True"),
    ],
)
def test_wrong_weights_are_named(weights: dict, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        gym.make_vec("Genesis/FrankaReach-v0", num_envs=2, reward_weights=weights)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_a_declared_observation_orders_and_fills(make_core, core) -> None:
    parts = {"to_target": 3, "gripper": 2, "joint_position": 7, "joint_velocity": 7, "target": 3}
    env = make_core(8, observation_parts=parts)
    observation = env.reset(seed=0)[0]["policy"]
    plain = core.reset(seed=0)[0]["policy"]
    layout = env.observation_layout["policy"]
    assert observation.shape == (8, 22) and list(layout) == list(parts)
    for name, place in core.observation_layout["policy"].items():
        assert torch.equal(observation[:, layout[name]], plain[:, place])
    assert not observation[:, layout["gripper"]].any()


@pytest.mark.parametrize(
    ("parts", "named"),
    [({"target": 3}, "joint_position=7"), ({"target": 0}, "observation_parts: target=0")],
)
def test_a_declared_observation_that_lacks_a_part_is_refused(parts: dict, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        gym.make_vec("Genesis/FrankaReach-v0", num_envs=2, observation_parts=parts)
