"""Training a learner in a batched scene, into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from genesis_gym.core import Core
from genesis_gym.errors import RunFolderError
from genesis_gym.learning.agents.checkpoint import Score, load_model, resume, save_checkpoint
from genesis_gym.learning.agents.learner import DivergedError, Hook, Learner, StopTraining
from genesis_gym.learning.agents.make import make_learner
from genesis_gym.learning.agents.policy import Policy, save_policy
from genesis_gym.learning.agents.ranks import of_first_rank, rank
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.evaluation.faults import FaultRecorder
from genesis_gym.learning.evaluation.result import EvaluationResult
from genesis_gym.learning.runs.files import check_folder
from genesis_gym.learning.runs.folder import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    FAULTS_FOLDER,
    POLICY_FILE,
    remove_torn,
    write_json,
)
from genesis_gym.learning.runs.logs import RunLog, make_episode_log, make_log
from genesis_gym.learning.training.hooks import (
    Checkpoints,
    FiniteCheck,
    PeriodicEvaluation,
    RandomEpisodeLength,
    TrainingLog,
    graceful_stop,
)


def train(
    config: TrainConfig,
    env: Core,
    folder: Path,
    hooks: Sequence[Hook] = (),
    *,
    show_evaluation: Callable[[EvaluationResult], None] = lambda result: None,
    init_from: Path | None = None,
    wandb_project: str | None = None,
    dump_faults: bool = False,
) -> Policy:
    """Train what a config describes and write the run folder.

    With several ranks each calls this with its share of the environments, within `joined`; only rank 0 writes.

    Resumes if the folder holds a checkpoint: on the CPU of the same machine, bit for bit as if the run had never
    been interrupted.

    Args:
        config: The config.
        env: The environment, with `envs_of_rank(config)` environments, made with `config.training_env()`.
        folder: The run folder.
        hooks: Further hooks, such as a progress bar.
        show_evaluation: Called with the result of each evaluation during training.
        init_from: Run folder whose policy, optimiser and normaliser a new run begins with; None to begin afresh.
        wandb_project: Project of Weights & Biases to log to as well; None for none.
        dump_faults: Write the steps that led to each fault into the folder `faults`.

    Returns:
        The trained policy. The folder holds the config, the policy, a checkpoint, episode statistics, TensorBoard
        and CSV logs.

    Raises:
        RunFolderError: A checkpoint cannot be read or does not fit.
        ArgumentError: The hyperparameters do not fit the algorithm or the environment.
        DivergedError: The policy is not finite any more; the last checkpoint is kept.
        MissingDependencyError: `wandb_project` is given and the package is not installed.
        KeyboardInterrupt: SIGINT or SIGTERM stopped training; the checkpoint is written then.
    """
    check_folder(folder)
    learner = make_learner(config, env)
    best, start = Score(), [RandomEpisodeLength(env)]
    if (folder / CHECKPOINT_FILE).exists():
        best, start = resume(folder, learner), []
    elif init_from is not None:
        load_model(init_from, learner)
    if of_first_rank(learner.timesteps) != (learner.timesteps,):
        raise RunFolderError(f"{folder} is not as rank 0 sees it: every machine must have the run folder")
    # Nothing is written before this line: a refused run leaves nothing behind.
    log, recorder = RunLog(), env.recorder
    try:
        if dump_faults:
            env.recorder = FaultRecorder(folder / FAULTS_FOLDER, config)
        if rank() == 0:
            log = make_log(folder, config, learner.timesteps, wandb_project)
            remove_torn(folder)
            write_json(folder / CONFIG_FILE, config.model_dump(mode="json"))
            learner.episodes.writer = make_episode_log(folder, config.env)
        evaluation = PeriodicEvaluation(config, folder, log, show_evaluation)
        evaluation.best = best
        checkpoints = Checkpoints(evaluation, folder)
        with graceful_stop(checkpoints):
            _learn(
                learner, [*start, FiniteCheck(), evaluation, checkpoints, TrainingLog(env, config, log), *hooks]
            )
    except DivergedError as error:
        kept = (folder / CHECKPOINT_FILE).is_file()
        raise DivergedError(
            f"{error}; {'the last checkpoint is kept' if kept else 'no checkpoint is written'}"
        ) from error
    finally:
        env.recorder = recorder
        log.close()
        if learner.episodes.writer is not None:
            learner.episodes.writer.close()
    save_checkpoint(learner, folder, evaluation.best)
    if rank() == 0:
        save_policy(learner.policy, folder / POLICY_FILE)
        learner.save_extras(folder)
    return learner.policy


def _learn(learner: Learner, hooks: Sequence[Hook]) -> None:
    """Learn until the end, or until a hook stops it."""
    try:
        learner.learn(learner.config.timesteps, hooks)
    except StopTraining:
        return
    learner.check_finite()
