"""From a config to an SB3 model, and from a run folder to a policy that only acts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from genesis_gym.adapters.spaces import action_space, observation_space
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import RunFolderError
from genesis_gym.learning.config import TrainConfig
from genesis_gym.learning.runs import POLICY_FILE, SB3_FILE, write_whole

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"PPO": PPO, "SAC": SAC, "TD3": TD3}

#: Observations `(num_envs, observation_dim)` → actions `(num_envs, action_dim)`.
Act = Callable[[torch.Tensor], torch.Tensor]


def make_model(config: TrainConfig, env: VecEnv, device: torch.device) -> BaseAlgorithm:
    """Make the SB3 model that a config describes.

    Args:
        config: The config.
        env: What it will train on.
        device: Where its networks live.

    Returns:
        The untrained model.
    """
    arguments: dict[str, Any] = config.hyperparameters.model_dump()
    policy_arguments = _policy_arguments(arguments)
    noise = arguments.pop("action_noise_std", 0.0)
    if noise:
        dim = env.action_space.shape[0]  # type: ignore[index]
        arguments["action_noise"] = NormalActionNoise(np.zeros(dim), np.full(dim, noise))
    algorithm: Any = ALGORITHMS[config.algorithm]
    model: BaseAlgorithm = algorithm(
        "MlpPolicy",
        env,
        seed=config.seed,
        device=device,
        policy_kwargs=policy_arguments,
        stats_window_size=max(100, env.num_envs),  # one episode of each row
        **arguments,
    )
    return model


def save_policy(model: BaseAlgorithm, folder: Path) -> None:
    """Write the policy's tensors, and SB3's own archive for use without this package.

    Args:
        model: The trained model.
        folder: The run folder.
    """
    tensors = {name: value.contiguous().cpu() for name, value in model.policy.state_dict().items()}
    write_whole(folder / POLICY_FILE, lambda path: safetensors.torch.save_file(tensors, path))
    write_whole(folder / SB3_FILE, model.save)


def load_policy(folder: Path, config: TrainConfig, env: BatchedEnv) -> Act:
    """Read the policy of a run.

    Args:
        folder: The run folder.
        config: Its config.
        env: The environment it will act in.

    Returns:
        The deterministic policy.

    Raises:
        RunFolderError: The file is missing, damaged, or does not fit the config and the environment.
    """
    path = folder / POLICY_FILE
    if not path.is_file():
        raise RunFolderError(f"{folder} has no {POLICY_FILE}: its training did not finish")
    algorithm: Any = ALGORITHMS[config.algorithm]
    policy: BasePolicy = algorithm.policy_aliases["MlpPolicy"](
        observation_space(env),
        action_space(env),
        lambda _: 0.0,
        **_policy_arguments(config.hyperparameters.model_dump()),
    )
    try:
        policy.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise RunFolderError(f"{path} cannot be loaded: {reason}") from error
    return deterministic(policy.to(env.device))


def deterministic(policy: BasePolicy) -> Act:
    """Act by the policy's mean, without gradients.

    Args:
        policy: An SB3 policy.

    Returns:
        The deterministic policy.
    """
    policy.set_training_mode(False)

    def act(observation: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return policy._predict(observation, deterministic=True)

    return act


def _policy_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments of the policy network out of those of the algorithm."""
    names = [name for name in ("net_arch", "log_std_init") if name in arguments]
    return {name: list(value) if isinstance(value := arguments.pop(name), tuple) else value for name in names}
