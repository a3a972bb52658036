"""What does not work and is no fault of ours: each shown on an environment that is not ours, beside ours.

A test that fails here means that the client was mended and its line in README.md can go.
"""

from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector


def sync(mode: AutoresetMode, env_id: str = "Pendulum-v1") -> gymnasium.vector.SyncVectorEnv:
    lengths = iter((3, 5))
    return gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(env_id, max_episode_steps=next(lengths))] * 2, autoreset_mode=mode
    )


def test_observation_wrappers_refuse_same_step(vectors: Callable) -> None:
    for envs in (vectors(AutoresetMode.SAME_STEP), sync(AutoresetMode.SAME_STEP)):
        with pytest.raises(ValueError, match="SAME_STEP"):
            vector.DtypeObservation(envs, np.float64)


def test_conversion_to_torch_fails_at_an_end_in_same_step(vectors: Callable) -> None:
    pytest.importorskip("array_api_compat")
    import torch

    for envs in (vectors(AutoresetMode.SAME_STEP), sync(AutoresetMode.SAME_STEP)):
        converted = vector.NumpyToTorch(envs)
        converted.reset(seed=0)
        with pytest.raises((BufferError, TypeError)):
            for _ in range(20):
                converted.step(torch.zeros(envs.action_space.shape))


def test_statistics_are_lost_by_partial_resets_of_sync_vector_env() -> None:
    """`SyncVectorEnv` takes `reset_mask` out of the options, so that the wrapper resets all environments."""
    envs = vector.RecordEpisodeStatistics(sync(AutoresetMode.DISABLED))
    envs.reset(seed=0)
    for _ in range(5):
        *_, truncated, info = envs.step(np.zeros(envs.action_space.shape, np.float32))
        lengths = info.get("episode", {"l": None})["l"]
        if truncated.any():
            envs.reset(options={"reset_mask": truncated})
    assert lengths[1] == 2, "it had five steps"


def test_statistics_change_their_mask_at_a_partial_reset(vectors: Callable) -> None:
    envs = vector.RecordEpisodeStatistics(vectors(AutoresetMode.DISABLED))
    envs.reset(seed=0)
    ended = np.zeros(4, bool)
    while not ended.any():
        *_, terminated, truncated, info = envs.step(np.zeros((4, 7), np.float32))
        ended = terminated | truncated
    assert info["_episode"].any()
    envs.reset(options={"reset_mask": ended})
    assert not info["_episode"].any()


def test_skrl_renders_sync_and_async_vector_envs_only(vectors: Callable) -> None:
    skrl = pytest.importorskip("skrl.envs.wrappers.torch")
    cart_pole = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="vector_entry_point")
    for envs in (vectors(AutoresetMode.NEXT_STEP), cart_pole):
        with pytest.raises(AttributeError, match="'call'"):
            skrl.wrap_env(envs, verbose=False).render()


def test_torchrl_refuses_next_step(vectors: Callable) -> None:
    torchrl = pytest.importorskip("torchrl.envs")
    for envs in (vectors(AutoresetMode.NEXT_STEP), sync(AutoresetMode.NEXT_STEP)):
        with pytest.raises(RuntimeError, match="NEXT_STEP"):
            torchrl.GymWrapper(envs)
