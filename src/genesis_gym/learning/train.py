"""Training an SB3 algorithm on a batched scene, into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.core import BatchedEnv
from genesis_gym.learning.callbacks import Checkpoints, PeriodicEvaluation, ThresholdReached, TrainingLog
from genesis_gym.learning.checkpoint import carry_over, resume, save_checkpoint
from genesis_gym.learning.config import TrainConfig
from genesis_gym.learning.evaluate import EvaluationResult
from genesis_gym.learning.files import check_folder
from genesis_gym.learning.logs import make_logger
from genesis_gym.learning.policy import (
    Act,
    ObservationNormalizer,
    deterministic,
    make_model,
    save_policy,
    save_sb3_archives,
)
from genesis_gym.learning.runs import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    POLICY_FILE,
    write_json,
)


def train(
    config: TrainConfig,
    env: BatchedEnv,
    folder: Path,
    callbacks: Sequence[BaseCallback] = (),
    *,
    show_evaluation: Callable[[EvaluationResult], None] = lambda result: None,
    begin_with: Path | None = None,
    wandb_project: str | None = None,
) -> Act:
    """Train what a config describes and write the run folder.

    A folder that holds a checkpoint of an interrupted run is gone on with.

    Args:
        config: The config.
        env: The environment, with `config.num_envs` rows, made with `config.training_env()`.
        folder: The run folder.
        callbacks: Further SB3 callbacks, such as a progress bar.
        show_evaluation: Called with the result of each evaluation during training.
        begin_with: Run folder whose policy, optimiser and normaliser a new run begins with; None to begin afresh.
        wandb_project: Project of Weights & Biases to log to, too; None for none.

    Returns:
        The trained policy. The folder holds the config, the policy, a checkpoint, episode statistics, TensorBoard
        and CSV logs.

    Raises:
        RunFolderError: A checkpoint cannot be read or does not fit.
        MissingDependencyError: `wandb_project` is given and the package is not installed.
    """
    check_folder(folder)
    write_json(folder / CONFIG_FILE, config.model_dump(mode="json"))
    # One more file for each time that the run is resumed; SB3's `load_results` reads them all.
    episodes = folder / f"{len(list(folder.glob('*.monitor.csv')))}.monitor.csv"
    vec_env = VecMonitor(GenesisSb3VecEnv(env), str(episodes), info_keywords=("is_success",))
    vec_env.seed(config.seed)
    model = make_model(config, vec_env, env.device)
    if (folder / CHECKPOINT_FILE).exists():
        vec_env.reset()  # takes the seed, which the checkpoint then moves on from
        resume(folder, model, env)
    elif begin_with is not None:
        carry_over(begin_with, model, env)

    logger = make_logger(folder, config, wandb_project)
    model.set_logger(logger)
    all_callbacks = [
        PeriodicEvaluation(config, env, folder, show_evaluation),
        Checkpoints(config.timesteps, env, folder),
        TrainingLog(),
        *callbacks,
    ]
    try:
        if model.num_timesteps < config.timesteps:
            model.learn(
                config.timesteps - model.num_timesteps,
                callback=all_callbacks,
                # PPO counts rollouts between two log lines, SAC and TD3 count episodes.
                log_interval=1 if config.algorithm == "PPO" else config.num_envs,
                reset_num_timesteps=False,
            )
    except ThresholdReached:
        pass
    finally:
        logger.close()
        if vec_env.results_writer is not None:
            vec_env.results_writer.close()
    save_checkpoint(model, env, folder)
    save_policy(model, folder / POLICY_FILE)
    save_sb3_archives(model, folder)
    return deterministic(model.policy, ObservationNormalizer.of(model))
