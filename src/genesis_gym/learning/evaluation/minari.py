"""Demonstrations as a dataset in Minari's format."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Dict

from genesis_gym.adapters.spaces import action_space, observation_space, to_numpy
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, MissingDependencyError
from genesis_gym.learning.evaluation.demonstrations import Demonstration
from genesis_gym.registration import find_spec

#: Where Minari looks for datasets; unset, in `~/.minari/datasets`.
MINARI_FOLDER = "MINARI_DATASETS_PATH"

#: Entry point of environments of other packages, which are made from their id.
RECOVER = "genesis_gym.learning.evaluation.recover:make_registered"


def check_dataset(dataset: str) -> Path:
    """Refuse the id of a dataset that cannot be written, before a scene is built.

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


def recoverable_spec(env_id: str, settings: dict[str, Any], modules: Sequence[str] = ()) -> EnvSpec:
    """The registration that a dataset carries, from which its environment can be made again.

    Minari keeps it as JSON, which the environments of this package survive as they are. One whose registration
    holds objects, such as a task of the user's own, is made again from its id, after an import of the modules that
    register it.

    Args:
        env_id: Id of the environment.
        settings: Arguments of the environment that differ from its registration.
        modules: Modules that the user named to register environments.

    Returns:
        The registration.

    Raises:
        ArgumentError: It cannot be made again from a file, in no other process than this.
    """
    spec = deepcopy(find_spec(env_id))
    spec.kwargs.update(settings)
    if _survives_json(spec):
        return spec
    prefix = env_id.rpartition(":")[0]
    classes = {type(value) if not isinstance(value, type) else value for value in spec.kwargs.values()}
    homes = [kind.__module__ for kind in classes if kind.__module__ not in ("builtins",)]
    named = list(dict.fromkeys([*modules, *([prefix] if prefix else []), *homes]))
    named = [name for name in named if name != "__main__" and not name.startswith("genesis_gym.")]
    spec.entry_point = RECOVER
    spec.kwargs = {"env_id": find_spec(env_id).id, "modules": named, **settings}
    if not named or "__main__" in homes or not _survives_json(spec):
        raise ArgumentError(
            f"env={env_id!r} cannot be made again from a dataset, since its registration holds objects: define "
            "the task and register it in a module, and name that by --import"
        )
    return spec


def _survives_json(spec: EnvSpec) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's, of what it cannot write
            again = EnvSpec.from_json(spec.to_json())
        return json.dumps(spec.kwargs, sort_keys=True) == json.dumps(again.kwargs, sort_keys=True)
    except (TypeError, ValueError, AttributeError):
        return False


def write_minari(
    demonstrations: Sequence[Demonstration],
    env: BatchedEnv,
    dataset: str,
    *,
    spec: EnvSpec,
    policy: str,
) -> Path:
    """Write a dataset that `minari.load_dataset` reads, whole or not at all.

    Args:
        demonstrations: The episodes.
        env: The environment that they are from.
        dataset: Its id, such as `namespace/name-v0`; the version is a part of it.
        spec: From `recoverable_spec`.
        policy: The policy in words.

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
                env=_Declared(env, spec),
                algorithm_name=policy,
                description=f"Successful episodes of {spec.id}, written by genesis-gym.",
                requirements=["genesis-gym"],
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        (Path(part) / dataset).rename(folder)
    return folder


class _Declared(gymnasium.Env[Any, Any]):
    """Spaces and registration, which Minari asks an environment for, without a second scene."""

    def __init__(self, env: BatchedEnv, spec: EnvSpec) -> None:
        self.observation_space = observation_space(env)
        self.action_space = action_space(env)
        self.spec = spec


def _buffer(minari: Any, env: BatchedEnv, episode: Demonstration) -> Any:
    groups = {name: to_numpy(values.clone()) for name, values in episode.observations.items()}
    several = isinstance(observation_space(env), Dict)
    return minari.data_collector.EpisodeBuffer(
        seed=episode.seed,
        observations=groups if several else next(iter(groups.values())),
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
