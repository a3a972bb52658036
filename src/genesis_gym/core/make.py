"""From a registered environment id to its batched core."""

from __future__ import annotations

from typing import Any

from genesis_gym.core.env import BatchedEnv
from genesis_gym.core.sharded import ShardedEnv
from genesis_gym.errors import check_positive_int
from genesis_gym.registration import find_spec, merged
from genesis_gym.tasks import Task

#: What adapters and learners take: environments in one process or in several.
Core = BatchedEnv | ShardedEnv


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
    return BatchedEnv(num_envs=num_envs, **_registered(env_id, kwargs))


def make_sharded_core(env_id: str, num_envs: int, num_workers: int, **kwargs: Any) -> Core:
    """Make the core of a registered environment, divided among processes.

    Args:
        env_id: As for `make_core`.
        num_envs: Environments, in all processes together.
        num_workers: Processes, this one included; 1 gives a plain `BatchedEnv`.
        **kwargs: As for `make_core`.

    Returns:
        The environment; each of its environments is the same, bit for bit, whatever `num_workers`.

    Raises:
        ArgumentError: The id is unknown, or another argument has a value that is not allowed.
        WorkerError: A worker could not build its scene.
    """
    return divide(num_envs=num_envs, num_workers=num_workers, **_registered(env_id, kwargs))


def divide(
    task: str | type[Task] | Task = "reach", *, num_envs: int, num_workers: int = 1, **options: Any
) -> Core:
    """Make an environment in one process or divided among several.

    Args:
        task: As for `BatchedEnv`.
        num_envs: Environments.
        num_workers: Processes, this one included; 1 gives a plain `BatchedEnv`.
        **options: Further arguments of `BatchedEnv`.

    Returns:
        The environment.

    Raises:
        ArgumentError: An argument has a value that is not allowed.
        WorkerError: A worker could not build its scene.
    """
    check_positive_int("num_workers", num_workers)
    if num_workers == 1:
        return BatchedEnv(task, num_envs=num_envs, **options)
    return ShardedEnv(task, num_envs=num_envs, num_workers=num_workers, **options)


def _registered(env_id: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `BatchedEnv` for a registered environment; those given override the registered ones."""
    spec = find_spec(env_id)
    return merged({"max_episode_steps": spec.max_episode_steps, **spec.kwargs, **kwargs})
