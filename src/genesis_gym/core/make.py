"""From a registered environment id to its batched core."""

from __future__ import annotations

from typing import Any

from genesis_gym.core.env import BatchedEnv
from genesis_gym.registration import find_spec, merged


def make_core(env_id: str, num_envs: int, **kwargs: Any) -> BatchedEnv:
    """Make the batched core of a registered environment, for learners that need no numpy.

    Args:
        env_id: An id that `genesis_gym.registration.find_spec` finds.
        num_envs: Environments, at least 1.
        **kwargs: Further arguments of `BatchedEnv`; they override the registered ones.

    Returns:
        The environment, with the registered episode length.

    Raises:
        ArgumentError: The id is unknown, or another argument has a value that is not allowed.
    """
    spec = find_spec(env_id)
    given = {"max_episode_steps": spec.max_episode_steps, **spec.kwargs, **kwargs}
    return BatchedEnv(num_envs=num_envs, **merged(given))
