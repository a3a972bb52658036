"""Episodes that succeed, written for offline learning in Minari's format."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from genesis_gym.adapters.spaces import action_space, observation_space, to_numpy, to_observation
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, GenesisGymError, MissingDependencyError, check_positive_int
from genesis_gym.learning.agents.policy import Act
from genesis_gym.registration import find_spec

#: Where Minari looks for datasets; unset, in `~/.minari/datasets`.
MINARI_FOLDER = "MINARI_DATASETS_PATH"

#: A policy that succeeds less often than once in so many episodes demonstrates nothing.
TRIES = 20


@dataclass(frozen=True)
class Demonstration:
    """An episode of one row that ended in success.

    Attributes:
        seed: What the row was reset with.
        observations: Of T steps and the reset, `(T + 1, observation_dim)`.
        actions: `(T, action_dim)` in [-1, 1].
        rewards: `(T,)`.
        terminations: bool `(T,)`: only the last is True.
    """

    seed: int
    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    terminations: torch.Tensor


def collect(env: BatchedEnv, act: Act, episodes: int, seed: int = 0) -> tuple[list[Demonstration], int]:
    """Run episodes side by side until enough have succeeded.

    All rows begin together and each first episode counts, so that quick ones are not preferred.

    Args:
        env: The environment; its episodes in progress are lost.
        act: The policy.
        episodes: How many to keep, at least 1.
        seed: Seed of the first episode that is tried; the next has seed + 1.

    Returns:
        The episodes in the order of their seeds, and how many were tried to have them.

    Raises:
        ArgumentError: `episodes` is below 1, or the environment's episodes have no end.
        GenesisGymError: Of `TRIES` times as many episodes not enough have succeeded.
    """
    check_positive_int("episodes", episodes)
    if env.max_episode_steps is None:
        raise ArgumentError("max_episode_steps=None is not allowed for demonstrations: episodes may never end")
    found: list[Demonstration] = []
    tried = 0
    with env.lent():
        while len(found) < episodes:
            if tried >= TRIES * max(episodes, env.num_envs):
                raise GenesisGymError(
                    f"{len(found)} of {tried} episodes succeeded and {episodes} are wanted: nothing was written"
                )
            found += _successes(env, act, seed + tried)
            tried += env.num_envs
    needed = found[episodes - 1].seed - seed + 1
    return found[:episodes], needed


def _successes(env: BatchedEnv, act: Act, seed: int) -> Iterator[Demonstration]:
    """Those of one episode in each row that succeed."""
    assert env.max_episode_steps is not None
    observation, _ = env.reset(seed=seed)
    observations, steps = [observation], []
    running = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    lengths = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
    succeeded = torch.zeros_like(running)
    for _ in range(env.max_episode_steps):
        action = act(observations[-1]).clamp(-1.0, 1.0)
        result = env.step(action)
        observations.append(result.observation)
        steps.append((action, result.reward, result.terminated))
        lengths += running
        succeeded |= running & result.terminated & result.metrics["is_success"]
        running &= ~(result.terminated | result.truncated)
        if not bool(running.any()):
            break
    seen = torch.stack(observations, dim=1)
    actions, rewards, terminations = (torch.stack(column, dim=1) for column in zip(*steps, strict=True))
    for row in succeeded.nonzero().flatten().tolist():
        end = int(lengths[row])
        yield Demonstration(
            seed + row, seen[row, : end + 1], actions[row, :end], rewards[row, :end], terminations[row, :end]
        )


def check_dataset(dataset: str) -> Path:
    """Refuse the id of a dataset that cannot be written, before a scene is made.

    Args:
        dataset: As Minari has it: `namespace/name-v0`.

    Returns:
        Its folder to be.

    Raises:
        ArgumentError: It is no id, or there is such a dataset already.
        MissingDependencyError: Minari is missing.
    """
    minari = _minari()
    try:
        minari.dataset.minari_dataset.parse_dataset_id(dataset)
    except ValueError as error:
        raise ArgumentError(
            f"dataset={dataset!r} is not allowed; it must be such as 'namespace/name-v0'"
        ) from error
    folder = Path(minari.storage.get_dataset_path("")) / dataset
    if folder.exists():
        raise ArgumentError(f"dataset {dataset!r} exists already, in {folder}")
    return folder


def write_minari(
    demonstrations: Sequence[Demonstration],
    env: BatchedEnv,
    dataset: str,
    *,
    env_id: str,
    settings: dict[str, Any],
    policy: str,
) -> Path:
    """Write a dataset that `minari.load_dataset` reads, whole or not at all.

    Args:
        demonstrations: The episodes.
        env: The environment that they are from.
        dataset: Its id, such as `namespace/name-v0`; the version is a part of it.
        env_id: Id of the environment.
        settings: Arguments of the environment that differ from its registration.
        policy: Who acted, in words.

    Returns:
        The folder.

    Raises:
        ArgumentError: It is no id, or there is such a dataset already.
        MissingDependencyError: Minari is missing.
    """
    minari = _minari()
    folder = check_dataset(dataset)
    root = Path(minari.storage.get_dataset_path(""))
    root.mkdir(parents=True, exist_ok=True)
    namespace = dataset.rpartition("/")[0]
    if namespace and namespace not in minari.namespace.list_local_namespaces():
        minari.namespace.create_namespace(namespace)
    with tempfile.TemporaryDirectory(dir=root, prefix=".") as part:
        with _datasets_in(part), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for an author and a link to the code
            minari.create_dataset_from_buffers(
                dataset,
                [_buffer(minari, env, each) for each in demonstrations],
                env=_Declared(env, env_id, settings),
                algorithm_name=policy,
                description=f"Successful episodes of {env_id}, written by genesis-gym.",
                requirements=["genesis-gym"],
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        (Path(part) / dataset).rename(folder)
    return folder


class _Declared(gymnasium.Env[Any, Any]):
    """What Minari asks an environment for, without a second scene: spaces, and how to make it again."""

    def __init__(self, env: BatchedEnv, env_id: str, settings: dict[str, Any]) -> None:
        self.observation_space = observation_space(env)
        self.action_space = action_space(env)
        self.spec = deepcopy(find_spec(env_id))
        self.spec.kwargs.update(settings)


def _buffer(minari: Any, env: BatchedEnv, episode: Demonstration) -> Any:
    return minari.data_collector.EpisodeBuffer(
        seed=episode.seed,
        observations=to_observation(env, episode.observations.clone()),
        actions=to_numpy(episode.actions.clone()),
        rewards=to_numpy(episode.rewards.double()),
        terminations=to_numpy(episode.terminations.clone()),
        truncations=np.zeros(len(episode.rewards), dtype=np.bool_),
    )


@contextmanager
def _datasets_in(folder: str) -> Iterator[None]:
    """Let Minari write into another folder."""
    before = os.environ.get(MINARI_FOLDER)
    os.environ[MINARI_FOLDER] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[MINARI_FOLDER]
        else:
            os.environ[MINARI_FOLDER] = before


def _minari() -> Any:
    try:
        import h5py  # noqa: F401 - what Minari writes with
        import minari
        import minari.namespace
        import minari.storage
    except ImportError as error:
        raise MissingDependencyError(
            f"demonstrations need Minari ({error}): pip install 'genesis-gym[demos]'"
        ) from error
    return minari
