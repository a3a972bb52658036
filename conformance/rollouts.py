"""The same actions through a bare and a wrapped environment, so that what a wrapper promises can be computed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

ENV_ID = "Genesis/FrankaReach-v0"
EPISODE = 8  # control steps
STEPS = 30  # enough for several ends of every environment
TOLERANCE = 0.21  # metres: some environments succeed before the clock runs out


class Rollout(NamedTuple):
    """What an environment returned; observations have one more entry, that of `reset`."""

    observations: list[Any]
    rewards: list[Any]
    terminated: list[Any]
    truncated: list[Any]
    infos: list[Any]


def random_actions(steps: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, *shape)).astype(np.float32)


def unchanged(value: Any) -> Any:
    return value


def roll_vector(envs: gymnasium.vector.VectorEnv, action=unchanged, steps: int = STEPS) -> Rollout:
    """Step from seed 0; in DISABLED mode reset by hand what ends, and keep its new observation."""
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    rollout = Rollout([observation], [], [], [], [])
    for actions in random_actions(steps, *envs.action_space.shape):
        observation, *rest = deepcopy(envs.step(action(actions)))
        ended = np.asarray(rest[1]) | np.asarray(rest[2])
        if envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
            observation, _ = envs.reset(options={"reset_mask": ended})
        assert observation in envs.observation_space
        for kept, value in zip(rollout, (observation, *rest), strict=True):
            kept.append(value)
    return rollout


def roll(env: gymnasium.Env, action=unchanged, steps: int = STEPS) -> Rollout:
    """Step from seed 0; the observation that follows an end is that of the next `reset`."""
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    rollout = Rollout([observation], [], [], [], [])
    for actions in random_actions(steps, *env.action_space.shape):
        observation, *rest = env.step(action(actions))
        if rest[1] or rest[2]:
            observation, _ = env.reset()
        assert observation in env.observation_space
        for kept, value in zip(rollout, (observation, *rest), strict=True):
            kept.append(value)
    return rollout


def episodes(rollout: Rollout, mode: AutoresetMode) -> list[tuple[int, int, float, int]]:
    """Step, environment, return and length of every episode that ended, added up by hand."""
    found = []
    for env in range(len(rollout.rewards[0])):
        total, length, resetting = 0.0, 0, False
        for step, reward in enumerate(rollout.rewards):
            if resetting:  # NEXT_STEP: the step that follows an end belongs to no episode
                resetting = False
                continue
            total, length = total + reward[env], length + 1
            if rollout.terminated[step][env] or rollout.truncated[step][env]:
                found.append((step, env, total, length))
                total, length, resetting = 0.0, 0, mode is AutoresetMode.NEXT_STEP
    return sorted(found)


def close(ours: Any, theirs: Any) -> None:
    """Compare lists of arrays, or of dictionaries of arrays."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            close(list(a.values()), [b[name] for name in a])
            continue
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
