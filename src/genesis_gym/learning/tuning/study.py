"""A study: its settings, and the folder and the database that hold it.

The database is SQLite in the study's folder unless another one is named. SQLite, and not Optuna's journal file,
because a process may be killed at any moment: a transaction is either in the file or not, the kernel releases the
lock of a dead process, and Optuna's heartbeat, which journals do not have, tells a dead process's trial from one
that runs. A journal whose last line was torn cannot be read any more, and its lock outlives its owner by 30 s.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, field_serializer
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from genesis_gym.errors import (
    ArgumentError,
    RunFolderError,
    check_choice,
    check_positive_int,
    is_number,
    safe_repr,
)
from genesis_gym.learning.config.train_config import TrainConfig, make_config, parse_config
from genesis_gym.learning.runs.files import MAX_DATABASE, check_file, check_folder, read_json
from genesis_gym.learning.runs.folder import new_run_folder, write_json
from genesis_gym.learning.tuning.search_space import SPACES, Parameter, SearchSpace, SpaceFunction, parse_space

STUDY_FILE = "study.json"
DATABASE_FILE = "study.db"

#: Objective → the field of `EvaluationResult` that is maximised.
OBJECTIVES = {"reward": "mean_reward", "success": "success_rate"}

#: Seconds between two signs of life of a running trial, and those without one after which it counts as dead.
HEARTBEAT_SECONDS = 5
GRACE_SECONDS = 30

#: Attributes of a trial: what it trained, what of that was searched, and why it failed. A failed trial without a
#: reason was interrupted.
CONFIG_ATTRIBUTE = "config"
SEARCHED_ATTRIBUTE = "searched"
FAILURE_ATTRIBUTE = "failure"


class TuneConfig(BaseModel):
    """What every trial of a study has in common; `study.json` of its folder.

    Attributes:
        env: Id of the environment.
        algorithm: A key of `SPACES`.
        preset: The preset that gives the hyperparameters which are not searched.
        objective: A key of `OBJECTIVES`.
        timesteps: Environment steps of a trial over all environments; never more, and for PPO whole rollouts.
        num_envs: Environments.
        episodes: Episodes of an evaluation.
        seed: Seed of every trial, and of the search.
        space: The search space; as a function it is known by its name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    env: str
    algorithm: str
    preset: str
    objective: Literal["reward", "success"]
    timesteps: int
    num_envs: int
    episodes: int
    seed: int
    space: dict[str, Parameter] | SpaceFunction

    @field_serializer("space", when_used="json")
    def _name_space(self, space: dict[str, Parameter] | SpaceFunction) -> Any:
        if isinstance(space, dict):
            return {name: parameter.model_dump(mode="json") for name, parameter in space.items()}
        return f"{getattr(space, '__module__', '?')}:{getattr(space, '__qualname__', type(space).__name__)}"

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Let a trial draw its hyperparameters.

        Args:
            trial: The trial.

        Returns:
            Hyperparameter → value.
        """
        if isinstance(self.space, dict):
            return {name: parameter.suggest(name, trial) for name, parameter in self.space.items()}
        return dict(self.space(trial))

    def train_config(self, hyperparameters: Mapping[str, Any]) -> TrainConfig:
        """The training run of a trial.

        Args:
            hyperparameters: Name → value of those that differ from the preset's.

        Returns:
            The config. PPO trains in whole rollouts of `n_steps` × `num_envs` steps and would take one more than
            `timesteps` holds, which gives long rollouts an advantage of up to a third: here it takes one less.

        Raises:
            ArgumentError: A name or a value is not allowed.
        """
        config = make_config(
            self.env,
            self.algorithm,
            preset=self.preset,
            seed=self.seed,
            num_envs=self.num_envs,
            timesteps=self.timesteps,
            hyperparameters=hyperparameters,
        )
        rollout = getattr(config.hyperparameters, "n_steps", 1) * self.num_envs
        return config.model_copy(update={"timesteps": max(rollout, self.timesteps // rollout * rollout)})


def make_tune_config(
    env: str = "Genesis/FrankaReach-v0",
    algorithm: str = "PPO",
    *,
    preset: str = "guide",
    objective: str = "reward",
    timesteps: int = 50_000,
    num_envs: int = 8,
    episodes: int = 10,
    seed: int = 0,
    space: SearchSpace | SpaceFunction | None = None,
) -> TuneConfig:
    """Describe a study. The defaults are the training guide's, but for its single environment.

    Args:
        env: Id of the environment.
        algorithm: A key of `SPACES`.
        preset: The preset that gives the hyperparameters which are not searched.
        objective: A key of `OBJECTIVES`: mean return or success rate of the evaluation.
        timesteps: Environment steps of a trial over all environments.
        num_envs: Environments.
        episodes: Episodes of an evaluation.
        seed: Seed of every trial, and of the search.
        space: A mapping of hyperparameters to `Parameter` objects, or a function that draws from an Optuna trial
            and returns hyperparameters; None for the algorithm's default.

    Returns:
        The config.

    Raises:
        ArgumentError: A name or a value is not allowed.
    """
    check_choice("algorithm", algorithm, SPACES)
    check_choice("objective", objective, OBJECTIVES)
    for name, value in {"timesteps": timesteps, "num_envs": num_envs, "episodes": episodes}.items():
        check_positive_int(name, value)
    config = TuneConfig(
        env=env,
        algorithm=algorithm,
        preset=preset,
        objective=objective,  # type: ignore[arg-type]  # checked above
        timesteps=timesteps,
        num_envs=num_envs,
        episodes=episodes,
        seed=seed,
        space=space if callable(space) else dict(parse_space(space or SPACES[algorithm], algorithm, "space")),
    )
    config.train_config({})
    return config


class SeededSampler(optuna.samplers.BaseSampler):
    """Optuna's TPE, seeded for each trial by the seed of the study and the trial's number.

    So processes that share a study do not draw the same hyperparameters, and an interrupted study resumes as if it
    had not been interrupted.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _sampler(self, trial: FrozenTrial) -> optuna.samplers.TPESampler:
        (seed,) = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        return optuna.samplers.TPESampler(seed=int(seed))

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        """See `BaseSampler`."""
        return self._sampler(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        """See `BaseSampler`."""
        return self._sampler(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """See `BaseSampler`."""
        return self._sampler(trial).sample_independent(study, trial, param_name, param_distribution)


def study_folder(out: Path | None, stem: str) -> Path:
    """The folder of a new study, or of one to resume.

    Args:
        out: Where; it must not exist, be empty, or hold a study. None for a fresh name below `runs/`.
        stem: Beginning of the fresh name.

    Returns:
        The folder, which exists.

    Raises:
        RunFolderError: It holds something else, or cannot be created.
    """
    if out is None or not (out.exists() or out.is_symlink()):
        try:
            return new_run_folder(out, stem)
        except RunFolderError:
            if out is None or not out.is_dir():  # another process has just created it
                raise
    if not out.is_dir():
        raise RunFolderError(f"--out {out} is no folder")
    check_folder(out)
    # A leading dot: another process is writing the study file at this moment.
    if not (out / STUDY_FILE).is_file() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise RunFolderError(f"--out {out} exists already and holds no study; name a study or a new folder")
    return out


def open_study(config: TuneConfig, folder: Path, storage: str | None = None) -> optuna.Study:
    """Create a study, or open the one that is there.

    Args:
        config: Its settings.
        folder: From `study_folder`.
        storage: URL of an SQL database as SQLAlchemy writes it, for several machines; the study is called after
            the folder there, so that the same command on another machine joins it. None for SQLite in the folder.

    Returns:
        The study.

    Raises:
        RunFolderError: The folder or the database holds a study with other settings.
        ArgumentError: The database cannot be opened.
    """
    database = None if storage is None else _open_database(storage)  # first: a wrong URL leaves nothing behind
    settings = config.model_dump(mode="json")
    path = folder / STUDY_FILE
    if not path.is_file():
        write_json(path, {**settings, "storage": "folder" if storage is None else "elsewhere"})
    written = read_json(path)
    place = written.pop("storage", None) if isinstance(written, dict) else None
    if place != ("folder" if storage is None else "elsewhere"):
        hint = "leave --storage out" if place == "folder" else "name its database by --storage"
        raise RunFolderError(
            f"{folder} holds a study with its trials {place if isinstance(place, str) else 'nowhere'}; {hint}"
        )
    _require_same(written, settings, str(folder))

    if storage is None:
        _check_database(folder / DATABASE_FILE)
    with _foreign_errors(folder):
        study = optuna.create_study(
            storage=database or _open_database(f"sqlite:///{quote(str((folder / DATABASE_FILE).resolve()))}"),
            study_name=folder.resolve().name if storage else "study",
            load_if_exists=True,
            direction="maximize",
            sampler=SeededSampler(config.seed),
            pruner=optuna.pruners.MedianPruner(),
        )
        if not study.user_attrs:
            study.set_user_attr("settings", settings)
        given = study.user_attrs.get("settings")
    _require_same(given, settings, f"study {study.study_name!r} of the database")
    return study


def _check_database(path: Path) -> None:
    """Refuse a database that does more than hold tables: a view may be a query without end."""
    if not path.exists():
        return
    check_file(path, MAX_DATABASE)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
            (others,) = database.execute(
                "SELECT count(*) FROM sqlite_master "
                "WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
            ).fetchone()
    except sqlite3.Error as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    if others:
        raise RunFolderError(f"{path} is no study of this release: it holds views, triggers or virtual tables")


def check_trials(study: optuna.Study, folder: Path) -> None:
    """Refuse trials that do not hold what those of this release hold.

    Args:
        study: From `open_study`.
        folder: Its folder.

    Raises:
        RunFolderError: A trial holds something else; it is named.
    """
    with _foreign_errors(folder):
        for trial in study.get_trials(deepcopy=False):
            values = trial.user_attrs
            if not isinstance(trial.number, int):
                raise TypeError("a trial has no number")
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                parse_config(values[CONFIG_ATTRIBUTE], f"trial {trial.number}")
                if not isinstance(values[SEARCHED_ATTRIBUTE], dict):
                    raise TypeError(f"{SEARCHED_ATTRIBUTE} is no mapping")
            if trial.state is TrialState.COMPLETE and not is_number(trial.value):
                raise TypeError(f"trial {trial.number} has no value")
            if not isinstance(values.get(FAILURE_ATTRIBUTE, ""), str):
                raise TypeError(f"{FAILURE_ATTRIBUTE} is no text")


@contextlib.contextmanager
def _foreign_errors(folder: Path) -> Iterator[None]:
    """Turn what Optuna raises of tables that it did not write, which it does not foresee, into one line."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise RunFolderError(f"the study of {folder} is damaged: {reason}") from error


def _require_same(written: Any, settings: dict[str, Any], source: str) -> None:
    if not isinstance(written, dict) or written.keys() != settings.keys():
        raise RunFolderError(f"{source} holds no study of this release")
    for name, value in settings.items():
        if written[name] != value:
            raise RunFolderError(
                f"{source} holds a study with {name}={safe_repr(written[name])}, not {safe_repr(value)}; "
                "repeat its settings or name a new folder by --out"
            )


def _open_database(url: str) -> optuna.storages.RDBStorage:
    if url.startswith("redis"):  # Optuna reads its snapshots there by unpickling
        raise ArgumentError("--storage redis is not supported; allowed are SQL databases, such as postgresql://")
    patience = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    for attempts_left in (2, 1, 0):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    url,
                    engine_kwargs=patience,
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                )
        except (SQLAlchemyError, OptunaError, ImportError, RuntimeError, AssertionError) as error:
            # Two processes that create the tables at the same moment disturb each other, once.
            if attempts_left and isinstance(error, DBAPIError | OptunaError | AssertionError):
                time.sleep(0.5)
                continue
            raise ArgumentError(
                f"--storage {_without_password(url)} cannot be opened: {one_line(error)}"
            ) from error
    raise AssertionError("unreachable")


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return repr(url)


def one_line(error: BaseException) -> str:
    """The first line of an error, of SQLAlchemy's that of the database.

    Args:
        error: The error.

    Returns:
        At most 200 characters.
    """
    text = str(getattr(error, "orig", None) or error) or type(error).__name__
    return text.splitlines()[0][:200].rstrip()
