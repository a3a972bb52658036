"""Training an SB3 algorithm on a batched scene, into a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import CSVOutputFormat, Logger, TensorBoardOutputFormat
from stable_baselines3.common.vec_env import VecMonitor

from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.core import BatchedEnv
from genesis_gym.learning.config import TrainConfig
from genesis_gym.learning.policy import Act, ObservationNormalizer, deterministic, make_model, save_policy
from genesis_gym.learning.runs import (
    CONFIG_FILE,
    PROGRESS_FILE,
    TENSORBOARD_FOLDER,
    write_json,
)


class RewardTerms(BaseCallback):
    """Logs the mean of each reward term over the rows, once for each rollout."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        infos = self.locals["infos"]
        for name in infos[0]:
            if name.startswith("reward/"):
                self.logger.record(name, float(np.mean([info[name] for info in infos])))


def train(config: TrainConfig, env: BatchedEnv, folder: Path, callbacks: Sequence[BaseCallback] = ()) -> Act:
    """Train what a config describes and write the run folder.

    Args:
        config: The config.
        env: The environment, with `config.num_envs` rows.
        folder: A new, empty folder.
        callbacks: Further SB3 callbacks, such as a progress bar.

    Returns:
        The trained policy. The folder holds the config, the policy, TensorBoard and CSV logs.
    """
    write_json(folder / CONFIG_FILE, config.model_dump(mode="json"))
    vec_env = VecMonitor(GenesisSb3VecEnv(env))
    vec_env.seed(config.seed)
    model = make_model(config, vec_env, env.device)
    formats = [
        CSVOutputFormat(str(folder / PROGRESS_FILE)),
        TensorBoardOutputFormat(str(folder / TENSORBOARD_FOLDER)),
    ]
    model.set_logger(Logger(str(folder), formats))
    # PPO counts rollouts between two log lines, SAC and TD3 count episodes.
    log_interval = 1 if config.algorithm == "PPO" else config.num_envs
    model.learn(config.timesteps, callback=[RewardTerms(), *callbacks], log_interval=log_interval)
    model.logger.close()
    save_policy(model, folder)
    return deterministic(model.policy, ObservationNormalizer.of(model))
