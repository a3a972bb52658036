"""Opening a run: its environment and its policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import GenesisGymError, RunFolderError
from genesis_gym.learning.agents.make import make_policy
from genesis_gym.learning.agents.policy import Act, Policy, load_tensors
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.runs.files import MAX_POLICY, read_tensors
from genesis_gym.learning.runs.folder import BEST_POLICY_FILE, POLICY_FILE, locate, read_config


def load_policy(folder: Path, config: TrainConfig, env: BatchedEnv, *, best: bool = False) -> Policy:
    """Read the policy of a run.

    Args:
        folder: The run folder.
        config: Its config.
        env: The environment it will act in.
        best: Take the best policy of the evaluations during training instead of the last.

    Returns:
        The deterministic policy, on the environment's device.

    Raises:
        RunFolderError: The file is missing, damaged, or does not fit the config and the environment.
    """
    path, tensors = _read_policy(folder, best)
    policy = make_policy(config, env)
    load_tensors(policy, tensors, path)
    return policy.to(env.device)


def open_run(
    run: Path, num_envs: int, *, best: bool = False, trust: bool = False, **kwargs: Any
) -> tuple[TrainConfig, BatchedEnv, Act]:
    """Build the environment of a run and read its policy; the caller closes the environment.

    Args:
        run: The run folder, or with `trust` an archive of SB3 in it.
        num_envs: Environments.
        best: As in `load_policy`.
        trust: Unpickle an archive, which runs any code that it holds.
        **kwargs: `device`, `show_viewer` and `camera_envs` of `BatchedEnv`.

    Returns:
        The config, the environment and the deterministic policy.

    Raises:
        RunFolderError: It is no run folder, or its files cannot be read.
    """
    folder, archive = locate(run, trust=trust)
    config = read_config(folder)
    if archive is None:
        _read_policy(folder, best)  # a damaged file is reported before a scene is built
    env = make_core(config.env, num_envs, **config.evaluation_env(), **kwargs)
    try:
        if archive is not None:
            from genesis_gym.learning.agents.archive import load_archive

            return config, env, load_archive(archive, config, env)
        return config, env, load_policy(folder, config, env, best=best)
    except GenesisGymError:
        env.close()
        raise


def _read_policy(folder: Path, best: bool) -> tuple[Path, dict[str, torch.Tensor]]:
    """The file of a run's policy, and its tensors."""
    path = folder / (BEST_POLICY_FILE if best else POLICY_FILE)
    if not path.exists():
        reason = "no evaluation took place during its training" if best else "its training did not finish"
        raise RunFolderError(f"{folder} has no {path.name}: {reason}")
    _, tensors = read_tensors(path, MAX_POLICY)
    return path, tensors
