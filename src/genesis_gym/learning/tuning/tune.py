"""Hyperparameter search: Optuna's TPE and median pruner over short trainings in one scene.

The default search space is the training guide's for PPO, to the letter. The guide has one environment, and SB3's
`n_steps` is for each environment: with `num_envs` environments a rollout holds `n_steps` × `num_envs` steps, and
50,000 steps hold fewer rollouts: 97, 48 or 24 with one environment (`n_steps` 512, 1024 or 2048), 12, 6 or 3 with
eight, the default. Trials of 50,000 steps rank hyperparameters; they do not finish a training.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError, GenesisGymError, check_positive_int
from genesis_gym.learning.agents.learner import DivergedError, Hook, Learner, StopTraining
from genesis_gym.learning.agents.policy import Act
from genesis_gym.learning.config.seeds import TUNING_SEED
from genesis_gym.learning.config.train_config import TrainConfig, parse_config
from genesis_gym.learning.console import status
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.runs.folder import new_run_folder, write_json
from genesis_gym.learning.training.train import train
from genesis_gym.learning.tuning.plots import plot_study
from genesis_gym.learning.tuning.study import (
    CONFIG_ATTRIBUTE,
    FAILURE_ATTRIBUTE,
    OBJECTIVES,
    SEARCHED_ATTRIBUTE,
    TuneConfig,
    check_trials,
    one_line,
    open_study,
)
from genesis_gym.learning.tuning.trials import TrialFailedError, is_counted, run_trials

#: A trial is evaluated after each such part of its steps, its last rollout included, and may be pruned there.
EVALUATIONS = 5

BEST_FILE = "best.json"
TRIALS_FOLDER = "trials"


@dataclass(frozen=True)
class TuneResult:
    """What a study has found.

    Attributes:
        folder: The study's folder.
        objective: A key of `OBJECTIVES`.
        best_value: The greatest value of a complete trial; None if there is none.
        best_trial: Its number.
        best: Its hyperparameters, those that were searched.
        complete: How many trials were trained and evaluated to their end.
        pruned: How many were stopped early by the median pruner.
        failed: How many broke down.
        interrupted: How many were interrupted and made up for.
        failures: Number of a trial that broke down → why.
    """

    folder: Path
    objective: str
    best_value: float | None
    best_trial: int | None
    best: dict[str, Any]
    complete: int
    pruned: int
    failed: int
    interrupted: int
    failures: dict[int, str]


def tune(
    config: TuneConfig,
    folder: Path,
    *,
    trials: int = 50,
    storage: str | None = None,
    env: BatchedEnv | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> TuneResult:
    """Search for good hyperparameters, or resume a search.

    Each trial is a training run of its own in `trials/` of the folder, all of them in one scene. It depends on its
    hyperparameters and the seed only, not on the trials before it; whether it is pruned depends on those too.
    `best.json` is the config of the best complete trial so far, pictures of the search are drawn at the end.

    Called again with the same folder, it resumes where it ended or was killed. Several processes may share a
    study, by the same folder or, on several machines, by `storage` and folders of the same name.

    Args:
        config: From `make_tune_config`.
        folder: From `study_folder`.
        trials: How many trials the study is to have; those that were interrupted are made up for.
        storage: URL of an SQL database; None for SQLite in the folder.
        env: An environment to use, with `config.num_envs` environments; None to build one.
        device: `"auto"`, `"cpu"` or `"gpu"`, for the scene that is built.
        console: Where progress is shown.

    Returns:
        What was found.

    Raises:
        RunFolderError: The folder or the database holds a study with other settings.
        ArgumentError: An argument has a value that is not allowed, or the database fails.
    """
    check_positive_int("trials", trials)
    if env is not None and env.num_envs != config.num_envs:
        raise ArgumentError(f"env has {env.num_envs} environments; it must have num_envs={config.num_envs}")
    console = console or Console(quiet=True)
    with _quiet_optuna():
        try:
            study = open_study(config, folder, storage)
            check_trials(study, folder)
            if sum(map(is_counted, study.get_trials(deepcopy=False))) < trials:
                with _scene(config, env, device, console) as scene:
                    _search(study, config, scene, folder, trials, console)
            _write_best(study, folder)
            plot_study(study, folder, config.objective)
            return _result(study, config, folder)
        except (StorageInternalError, SQLAlchemyError) as error:
            raise ArgumentError(f"the study's database fails: {one_line(error.__cause__ or error)}") from error


def _search(
    study: optuna.Study, config: TuneConfig, env: BatchedEnv, folder: Path, total: int, console: Console
) -> None:
    """Run the trials that are missing, and print the outcome of each."""

    def objective(trial: optuna.Trial) -> float:
        line.update(f"Trial {trial.number}")
        return _run_trial(trial, config, env, folder / TRIALS_FOLDER / f"{trial.number:04d}")

    def on_trial(trial: FrozenTrial) -> None:
        counted = sum(map(is_counted, study.get_trials(deepcopy=False)))
        if is_counted(trial):
            console.print(f"{counted}/{total}  {_in_words(trial, config)}", soft_wrap=True)
        _write_best(study, folder)

    def on_wait(running: int) -> None:
        line.update(f"Waiting for {running} trials of other processes, or for those to be declared dead")

    # Without a terminal a line for each trial is enough.
    line = console.status("") if console.is_terminal else Console(quiet=True).status("")
    with line:
        run_trials(study, objective, total, on_trial, on_wait)


def _run_trial(trial: optuna.Trial, config: TuneConfig, env: BatchedEnv, folder: Path) -> float:
    """Train and evaluate with the hyperparameters that a trial draws; its run folder stays."""
    hyperparameters = config.suggest(trial)
    train_config = config.train_config(hyperparameters)
    trial.set_user_attr(CONFIG_ATTRIBUTE, train_config.model_dump(mode="json"))
    trial.set_user_attr(SEARCHED_ATTRIBUTE, hyperparameters)
    pruning = _Pruning(trial, config, train_config, env)
    try:
        policy = train(train_config, env, new_run_folder(folder, ""), [pruning])
        if pruning.pruned:
            raise optuna.TrialPruned
        return _evaluate(policy, config, env)
    except (ArgumentError, DivergedError) as error:  # the algorithm refuses or cannot bear these hyperparameters
        raise TrialFailedError(one_line(error)) from error
    except (GenesisGymError, OptunaError):
        raise
    # torch and SB3 raise these of networks that are too large, and of hyperparameters that do not fit.
    except (ArithmeticError, AssertionError, RuntimeError, ValueError) as error:
        raise TrialFailedError(one_line(error)) from error


class _Pruning(Hook):
    """Evaluates a trial between rollouts, in the scene that it trains in, and stops it when it is pruned."""

    def __init__(
        self, trial: optuna.Trial, config: TuneConfig, train_config: TrainConfig, env: BatchedEnv
    ) -> None:
        self.pruned = False
        self._trial = trial
        self._config = config
        self._timesteps = train_config.timesteps
        self._env = env
        self._reported = 0

    def before_rollout(self, learner: Learner) -> None:
        """Evaluate after each part of the steps."""
        # Rollouts differ in length: evaluations are compared by the part of the steps that was taken.
        part = learner.timesteps * EVALUATIONS // self._config.timesteps
        if part <= self._reported or learner.timesteps >= self._timesteps:
            return
        self._reported = part
        self._trial.report(_evaluate(learner.act, self._config, self._env), part)
        self.pruned = self._trial.should_prune()
        if self.pruned:
            raise StopTraining


def _evaluate(act: Act, config: TuneConfig, env: BatchedEnv) -> float:
    """The objective of a policy."""
    result = evaluate_policy(env, act, config.episodes, TUNING_SEED)
    value = getattr(result, OBJECTIVES[config.objective])
    if value is None:
        raise TrialFailedError("every episode of its evaluation was faulty")
    return float(value)


def _in_words(trial: FrozenTrial, config: TuneConfig) -> str:
    """A finished trial in a line."""
    if trial.state is TrialState.FAIL:
        outcome = f"failed: {trial.user_attrs[FAILURE_ATTRIBUTE]}"
    else:
        outcome = f"{config.objective} {trial.value:.4g}{' (pruned)' if trial.state is TrialState.PRUNED else ''}"
    seconds = trial.duration.total_seconds() if trial.duration else math.nan
    return f"trial {trial.number}: {outcome}, {seconds:.0f} s, {describe(trial.user_attrs[SEARCHED_ATTRIBUTE])}"


def describe(hyperparameters: Mapping[str, Any]) -> str:
    """Hyperparameters in a line.

    Args:
        hyperparameters: Name → value.

    Returns:
        Such as `learning_rate=0.00031 n_steps=512`.
    """
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in hyperparameters.items()
    )


def _best(study: optuna.Study) -> FrozenTrial | None:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return study.best_trial if complete else None


def _write_best(study: optuna.Study, folder: Path) -> None:
    best = _best(study)
    if best is not None:
        config = parse_config(best.user_attrs[CONFIG_ATTRIBUTE], f"trial {best.number}")
        write_json(folder / BEST_FILE, config.model_dump(mode="json"))


def _result(study: optuna.Study, config: TuneConfig, folder: Path) -> TuneResult:
    trials = study.get_trials(deepcopy=False)
    failures = {t.number: t.user_attrs[FAILURE_ATTRIBUTE] for t in trials if FAILURE_ATTRIBUTE in t.user_attrs}
    best = _best(study)
    return TuneResult(
        folder=folder,
        objective=config.objective,
        best_value=None if best is None else best.value,
        best_trial=None if best is None else best.number,
        best={} if best is None else best.user_attrs[SEARCHED_ATTRIBUTE],
        complete=sum(trial.state is TrialState.COMPLETE for trial in trials),
        pruned=sum(trial.state is TrialState.PRUNED for trial in trials),
        failed=len(failures),
        interrupted=sum(trial.state is TrialState.FAIL for trial in trials) - len(failures),
        failures=failures,
    )


@contextlib.contextmanager
def _scene(config: TuneConfig, env: BatchedEnv | None, device: str, console: Console) -> Iterator[BatchedEnv]:
    """The scene that all trials share: the caller's, or one that is built and closed."""
    if env is not None:
        yield env
        return
    with status(console, f"Building {config.num_envs} environments of {config.env}"):
        env = make_core(config.env, config.num_envs, device=device)
    try:
        yield env
    finally:
        env.close()


@contextlib.contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Leave the words to this module: what Optuna logs is all in the table and on the console."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
