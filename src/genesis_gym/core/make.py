"""From a registered environment id to its batched core."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import gymnasium

from genesis_gym.core.env import BatchedEnv
from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.registration import ENVIRONMENTS


def make_core(env_id: str, num_envs: int, **kwargs: Any) -> BatchedEnv:
    """Make the batched core of a registered environment, for learners that need no numpy.

    Args:
        env_id: An id in Gymnasium's registry whose kwargs name a `task`, optionally with a module prefix.
        num_envs: Rows, at least 1.
        **kwargs: Further arguments of `BatchedEnv`; they override the registered ones.

    Returns:
        The environment, with the registered episode length.

    Raises:
        ArgumentError: The id is unknown, or its environment has no task of this package.
    """
    module, _, name = env_id.rpartition(":")
    try:
        if module:
            import_module(module)
        spec = gymnasium.spec(name)
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        if not module:
            check_choice("env", env_id, ENVIRONMENTS)
        raise ArgumentError(f"env={env_id!r} cannot be made: {error}") from error
    if "task" not in spec.kwargs:
        raise ArgumentError(f"env={env_id!r} has no genesis-gym task; allowed: {', '.join(ENVIRONMENTS)}")
    return BatchedEnv(num_envs=num_envs, **{"max_episode_steps": spec.max_episode_steps, **spec.kwargs, **kwargs})
