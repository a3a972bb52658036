"""Training an algorithm on a batched scene, into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import ResultsWriter
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecMonitor

from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import RunFolderError
from genesis_gym.learning.training.hooks import (
    Checkpoints,
    PeriodicEvaluation,
    StaggeredStart,
    ThresholdReached,
    TrainingLog,
    stopping_in_order,
)
from genesis_gym.learning.agents.checkpoint import carry_over, read_checkpoint, resume, save_checkpoint
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.evaluation.evaluate import EvaluationResult
from genesis_gym.learning.evaluation.faults import FaultDump
from genesis_gym.learning.runs.files import check_folder
from genesis_gym.learning.runs.logs import make_logger
from genesis_gym.learning.agents.policy import (
    Act,
    ObservationNormalizer,
    deterministic,
    make_model,
    save_policy,
    save_sb3_archives,
)
from genesis_gym.learning.config.presets import Sb3Hyperparameters
from genesis_gym.learning.runs.folder import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    FAULTS_FOLDER,
    POLICY_FILE,
    remove_torn,
    write_json,
)
from genesis_gym.learning.agents.ranks import of_first_rank, rank


def train(
    config: TrainConfig,
    env: BatchedEnv,
    folder: Path,
    callbacks: Sequence[BaseCallback] = (),
    *,
    show_evaluation: Callable[[EvaluationResult], None] = lambda result: None,
    begin_with: Path | None = None,
    wandb_project: str | None = None,
    dump_faults: bool = False,
) -> Act:
    """Train what a config describes and write the run folder.

    With several ranks each calls this with its share of the rows, within `joined`; only rank 0 writes.

    A folder that holds the checkpoint of an interrupted run is gone on with: on the CPU of the same machine, bit
    for bit as if it had never been interrupted.

    Args:
        config: The config.
        env: The environment, with `rows_of_rank(config)` rows, made with `config.training_env()`.
        folder: The run folder.
        callbacks: Further SB3 callbacks, such as a progress bar.
        show_evaluation: Called with the result of each evaluation during training.
        begin_with: Run folder whose policy, optimiser and normaliser a new run begins with; None to begin afresh.
        wandb_project: Project of Weights & Biases to log to, too; None for none.
        dump_faults: Write the steps that led to each fault into the folder `faults`.

    Returns:
        The trained policy. The folder holds the config, the policy, a checkpoint, episode statistics, TensorBoard
        and CSV logs.

    Raises:
        RunFolderError: A checkpoint cannot be read or does not fit.
        MissingDependencyError: `wandb_project` is given and the package is not installed.
        KeyboardInterrupt: SIGINT or SIGTERM stopped training; the checkpoint is written then.
    """
    check_folder(folder)
    rows = GenesisSb3VecEnv(env)
    vec_env = VecMonitor(rows, info_keywords=("is_success",))
    model = make_model(config, vec_env, env.device)  # seeds it
    evaluation = PeriodicEvaluation(config, env, folder, show_evaluation)
    checkpoints = Checkpoints(evaluation, env, folder)
    if (folder / CHECKPOINT_FILE).exists():
        evaluation.best = resume(read_checkpoint(folder), model, env)
        rows._reset_seeds()  # they were for a beginning
        start: list[BaseCallback] = []
    else:
        if begin_with is not None:
            carry_over(read_checkpoint(begin_with), model, env)
        start = [StaggeredStart(env)]

    if of_first_rank(model.num_timesteps) != (model.num_timesteps,):
        raise RunFolderError(f"{folder} is not here as rank 0 sees it: every machine must have the run folder")
    if dump_faults:
        env.witness = FaultDump(folder / FAULTS_FOLDER, config)
    # Nothing is written before this line: what does not fit leaves nothing behind.
    first = rank() == 0
    timesteps = model.num_timesteps
    logger = make_logger(folder, config, timesteps, wandb_project) if first else Logger(None, [])
    model.set_logger(logger)
    try:
        if first:
            _begin_records(config, vec_env, folder)
        with stopping_in_order(checkpoints):
            model.learn(
                config.timesteps - timesteps,
                callback=[*start, evaluation, checkpoints, TrainingLog(env), *callbacks],
                # PPO counts rollouts between two log lines, the others count episodes.
                log_interval=1 if isinstance(model, OnPolicyAlgorithm) else config.num_envs,
                reset_num_timesteps=False,
            )
    except ThresholdReached:
        pass
    finally:
        logger.close()
        if vec_env.results_writer is not None:
            vec_env.results_writer.close()
    save_checkpoint(model, env, folder, evaluation.best)
    if first:
        save_policy(model, folder / POLICY_FILE)
        if isinstance(config.hyperparameters, Sb3Hyperparameters):
            save_sb3_archives(model, folder)
    return deterministic(model.policy, ObservationNormalizer.of(model))


def _begin_records(config: TrainConfig, vec_env: VecMonitor, folder: Path) -> None:
    """Write the config, and begin a file of episodes."""
    remove_torn(folder)
    write_json(folder / CONFIG_FILE, config.model_dump(mode="json"))
    # One more file for each time that the run is resumed; SB3's `load_results` reads them all.
    episodes = folder / f"{len(list(folder.glob('*.monitor.csv')))}.monitor.csv"
    header: dict[str, float | str] = {"t_start": vec_env.t_start, "env_id": config.env}
    vec_env.results_writer = ResultsWriter(str(episodes), header=header, extra_keys=vec_env.info_keywords)
