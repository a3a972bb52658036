"""Reward terms, their weights, potential-based progress, and observations that tasks share."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from conftest import random_actions
from genesis_gym.errors import ArgumentError

#: The weights of the training guide's `compute_shaped_reward`.
GUIDE = {"distance": -2.0, "velocity": -0.01, "action": -0.001, "success": 10.0, "progress": 5.0}


def weights_of(env) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(env.reward_weights.items()))


@pytest.fixture(scope="module")
def shaped():
    envs = gym.make_vec("Genesis/FrankaReach-v0", num_envs=8, reward_weights=GUIDE, autoreset_mode="SameStep")
    yield envs
    envs.close()


def test_each_term_is_what_the_guide_writes(shaped) -> None:
    """Recomputed in numpy from the observation, as the guide's `compute_shaped_reward` does."""
    observation, info = shaped.reset(seed=0)
    before = info["distance_to_target"]
    for action in random_actions(30, 8, 7):
        observation, reward, terminated, truncated, info = shaped.step(action)
        last = info
        distance = info["distance_to_target"]
        if (terminated | truncated).any():
            before = distance
            continue
        velocity = np.square(observation[:, 7:14]).sum(-1)
        expected = {
            "distance": -2.0 * distance,
            "velocity": -0.01 * velocity,
            "action": -0.001 * np.square(action).sum(-1),
            "success": 10.0 * (distance < 0.05),
            "progress": 5.0 * (before - distance),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(last[f"reward/{name}"], value, rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(reward, sum(expected.values()), rtol=1e-4, atol=1e-4)
        before = distance


def test_progress_adds_up_over_each_episode_and_begins_anew_at_a_reset(shaped) -> None:
    """Σ Φ(s') − Φ(s) = Φ(last) − Φ(first), for episodes that end and are reset within a step."""
    assert shaped.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    _, info = shaped.reset(seed=100)
    first, total, episodes = info["distance_to_target"].copy(), np.zeros(8), 0
    for action in random_actions(230, 8, 7, seed=1):
        _, _, terminated, truncated, info = shaped.step(action)
        ended = terminated | truncated
        if not ended.any():
            total += info["reward/progress"]
            continue
        final = info["final_info"]
        total += np.where(ended, final["reward/progress"], info["reward/progress"])
        np.testing.assert_allclose(
            total[ended], 5.0 * (first - final["distance_to_target"])[ended], rtol=1e-3, atol=1e-4
        )
        episodes += ended.sum()
        first = np.where(ended, info["distance_to_target"], first)
        total = np.where(ended, 0.0, total)
    assert episodes >= 16


def test_terms_of_weight_zero_are_left_out(core) -> None:
    result = core.step(torch.zeros(8, 7))
    assert {n for n in result.metrics if n.startswith("reward/")} == {"reward/distance", "reward/success"}
    assert core.reward_weights == {"distance": -5, "success": 10, "velocity": 0, "action": 0, "progress": 0}


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
    env = make_core(8, observation_parts=_Frozen(parts))
    observation, _ = env.reset(seed=0)
    plain, _ = core.reset(seed=0)
    assert observation.shape == (8, 22) and list(env.observation_layout) == list(parts)
    for name, place in core.observation_layout.items():
        assert torch.equal(observation[:, env.observation_layout[name]], plain[:, place])
    assert not observation[:, env.observation_layout["gripper"]].any()


class _Frozen(dict):
    """A dictionary that the fixture can use as part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


@pytest.mark.parametrize(
    ("parts", "named"),
    [({"target": 3}, "joint_position=7"), ({"target": 0}, "observation_parts: target=0")],
)
def test_a_declared_observation_that_lacks_a_part_is_refused(parts: dict, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        gym.make_vec("Genesis/FrankaReach-v0", num_envs=2, observation_parts=parts)
