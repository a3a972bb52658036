"""From a registered environment id to its batched core."""

from __future__ import annotations

from typing import Any

from genesis_gym.core.env import BatchedEnv
from genesis_gym.core.sharded import Core, share_out
from genesis_gym.registration import find_spec


def make_core(env_id: str, num_envs: int, **kwargs: Any) -> BatchedEnv:
    """Make the batched core of a registered environment, for learners that need no numpy.

    Args:
        env_id: An id that `genesis_gym.registration.find_spec` finds.
        num_envs: Rows, at least 1.
        **kwargs: Further arguments of `BatchedEnv`; they override the registered ones.

    Returns:
        The environment, with the registered episode length.

    Raises:
        ArgumentError: The id is unknown, or another argument has a value that is not allowed.
    """
    return BatchedEnv(num_envs=num_envs, **_arguments(env_id, kwargs))


def make_sharded_core(env_id: str, num_envs: int, num_workers: int, **kwargs: Any) -> Core:
    """Make the batched core of a registered environment, its rows shared out among processes.

    Args:
        env_id: An id that `genesis_gym.registration.find_spec` finds.
        num_envs: Rows, at least `num_workers`.
        num_workers: Processes, this one included; 1 is what `make_core` makes.
        **kwargs: Further arguments of `BatchedEnv`; they override the registered ones.

    Returns:
        The environment, with the registered episode length.

    Raises:
        ArgumentError: The id is unknown, or another argument has a value that is not allowed.
        WorkerError: A worker could not build its scene.
    """
    return share_out(num_envs=num_envs, num_workers=num_workers, **_arguments(env_id, kwargs))


def _arguments(env_id: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    spec = find_spec(env_id)
    given = {"max_episode_steps": spec.max_episode_steps, **spec.kwargs, **kwargs}
    if "robot_type" in given:  # what Gymnasium's faces call it
        given["robot"] = kwargs.get("robot", given.pop("robot_type"))
    return given
