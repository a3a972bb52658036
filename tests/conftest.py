"""Scenes shared by the tests of a module: each costs seconds, and the first on a machine a minute of compilation."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import genesis_gym

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # RSL-RL's GitPython then does without a git command

torch.set_num_threads(1)  # the workers of pytest share the cores

ENV_ID = "Genesis/FrankaReach-v0"

#: Episodes of an evaluation, of which learners have a hundred.
EPISODES = 8


@pytest.fixture(autouse=True)
def few_episodes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short evaluations during and after training, unless a test is marked `full_evaluation`."""
    if request.node.get_closest_marker("full_evaluation") is None:
        for module, name in (("training.hooks", "PERIODIC_EPISODES"), ("pipeline.run", "EVALUATION_EPISODES")):
            if loaded := sys.modules.get(f"genesis_gym.learning.{module}"):
                monkeypatch.setattr(loaded, name, EPISODES)


@pytest.fixture(scope="module")
def make_core() -> Iterator[Callable[..., genesis_gym.BatchedEnv]]:
    """Batched environments by their arguments, each built once. Tests reset them and leave no settings behind."""
    built: dict[str, genesis_gym.BatchedEnv] = {}

    def get(num_envs: int, **kwargs: Any) -> genesis_gym.BatchedEnv:
        key = repr((num_envs, *sorted(kwargs.items())))
        if key not in built:
            built[key] = genesis_gym.BatchedEnv(num_envs=num_envs, **kwargs)
        return built[key]

    yield get
    for env in built.values():
        env.close()
    built.clear()
    gc.collect()


@pytest.fixture
def core(make_core: Callable[..., genesis_gym.BatchedEnv]) -> genesis_gym.BatchedEnv:
    """Eight environments of reach, reset with seed 0."""
    env = make_core(8)
    env.reset(seed=0)
    return env


@pytest.fixture(scope="module")
def single() -> Iterator[gymnasium.Env[Any, Any]]:
    """A single reach environment that renders without a display."""
    env = gymnasium.make(ENV_ID, render_mode="rgb_array")
    yield env
    env.close()


def random_actions(steps: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Actions in [-1, 1], float32 `(steps, *shape)`."""
    return np.random.default_rng(seed).uniform(-1, 1, (steps, *shape)).astype(np.float32)
