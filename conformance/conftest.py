"""Scenes that the clients share, each built once, in the public ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode

import genesis_gym  # noqa: F401 - registers the environments
from conformance.rollouts import ENV_ID, EPISODE, TOLERANCE


def make_vec(num_envs: int = 4, **kwargs: object) -> gymnasium.vector.VectorEnv:
    """Short episodes of different lengths: some environments succeed before the clock runs out."""
    return gymnasium.make_vec(ENV_ID, num_envs=num_envs, max_episode_steps=EPISODE, tolerance=TOLERANCE, **kwargs)


@pytest.fixture(scope="session")
def vectors() -> Iterator[Callable[[AutoresetMode], gymnasium.vector.VectorEnv]]:
    """Four environments by autoreset mode. Tests reset them with a seed and leave them open."""
    made = []

    @cache
    def get(mode: AutoresetMode) -> gymnasium.vector.VectorEnv:
        made.append(make_vec(autoreset_mode=mode))
        return made[-1]

    yield get
    for envs in made:
        envs.close()


@pytest.fixture(params=list(AutoresetMode), ids=lambda mode: mode.name)
def envs(request: pytest.FixtureRequest, vectors: Callable) -> gymnasium.vector.VectorEnv:
    """Four environments in each autoreset mode."""
    return vectors(request.param)


@pytest.fixture
def next_step(vectors: Callable) -> gymnasium.vector.VectorEnv:
    """Four environments as `make_vec` gives them by default."""
    return vectors(AutoresetMode.NEXT_STEP)


@pytest.fixture(scope="session")
def env() -> Iterator[gymnasium.Env]:
    """A single environment that renders, as `gymnasium.make` gives it. Tests reset it and leave it open."""
    env = gymnasium.make(ENV_ID, max_episode_steps=EPISODE, render_mode="rgb_array")
    yield env
    env.close()


def frames_of(video: Path) -> int:
    """Decode a video, to know that it plays; returns how many frames it has."""
    av = pytest.importorskip("av")
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))
