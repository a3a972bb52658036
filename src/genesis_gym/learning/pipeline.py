"""One training run from an empty folder to a report: build, train, evaluate, draw, film."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import psutil
from rich.console import Console

from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError, GenesisGymError, WriteError
from genesis_gym.learning.config import TrainConfig
from genesis_gym.learning.evaluate import EVALUATION_SEED, EvaluationResult, evaluate_policy
from genesis_gym.learning.policy import Act, find_algorithm
from genesis_gym.learning.presets import Sb3Hyperparameters
from genesis_gym.learning.progress import TrainingProgress, announced
from genesis_gym.learning.report import describe_run, draw_pictures, write_report
from genesis_gym.learning.runs import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    EVALUATION_FILE,
    RUN_FILE,
    VIDEO_FILE,
    write_json,
)
from genesis_gym.learning.train import train
from genesis_gym.runtime import describe_device, start
from genesis_gym.runtime.ranks import joined, world_size

if TYPE_CHECKING:
    from typing_extensions import Unpack

EVALUATION_EPISODES = 100
VIDEO_EPISODES = 6


@dataclass
class Report:
    """What a run did.

    Attributes:
        folder: The run folder.
        device: The device in words.
        evaluation: Figures over fresh deterministic episodes.
        seconds: Phase → wall-clock seconds, in order; `import` counts from the start of the process.
    """

    folder: Path
    device: str
    evaluation: EvaluationResult
    seconds: dict[str, float]

    @property
    def solved_seconds(self) -> float:
        """Wall-clock seconds from the start of the process to the end of the evaluation."""
        return sum(value for phase, value in self.seconds.items() if phase != "pictures")

    @property
    def files(self) -> list[str]:
        """Names of the files and folders in the run folder."""
        return sorted(path.name for path in self.folder.iterdir())


class RunOptions(TypedDict, total=False):
    """How a run is carried out; none of it changes what is learnt.

    Attributes:
        backend: One of `genesis_gym.runtime.DEVICES`; `"auto"` unless given.
        video: Film the policy into an MP4.
        wandb_project: Project of Weights & Biases to log to, too.
        dump_faults: Write the steps that led to each fault into the folder `faults`.
    """

    backend: str
    video: bool
    wandb_project: str | None
    dump_faults: bool


def run_pipeline(
    config: TrainConfig,
    folder: Path,
    console: Console,
    *,
    begin_with: Path | None = None,
    since: float | None = None,
    **options: Unpack[RunOptions],
) -> Report:
    """Train what a config describes, evaluate the result in the same scene, and write everything down.

    Args:
        config: The config.
        folder: A new, empty folder, or that of an interrupted run, which is gone on with.
        console: Where progress is shown.
        begin_with: Run folder whose policy, optimiser and normaliser a new run begins with.
        since: Time from which the wall clock counts, seconds since the epoch; None for the start of the process.
        **options: As `RunOptions` lists them.

    Returns:
        What it did; the folder holds the same figures, and `report.html` shows them.
    """
    backend, video = options.get("backend", "auto"), options.get("video", False)
    begin = psutil.Process(os.getpid()).create_time() if since is None else since
    seconds: dict[str, float] = {}

    def lap(name: str) -> None:
        seconds[name] = round(time.time() - begin - sum(seconds.values()), 2)

    camera_rows = [0] if video else ()
    try:
        rows = rows_of_rank(config)
        start(backend)
        lap("import")
        find_algorithm(config.algorithm)  # a missing package is told before a scene is built
        with announced(console, f"Building {rows} rows of {config.env}"):
            arguments = config.training_env()
            env = make_core(config.env, rows, backend=backend, camera_rows=camera_rows, **arguments)
    except GenesisGymError:
        _forget(folder)
        raise
    lap("build")
    try:
        facts = describe_run(env, begin_with)
        write_json(folder / RUN_FILE, facts.model_dump())
        with TrainingProgress(console, config) as progress, joined(env.device):
            act = train(
                config,
                env,
                folder,
                callbacks=[progress],
                show_evaluation=progress.show_evaluation,
                begin_with=begin_with,
                wandb_project=options.get("wandb_project"),
                dump_faults=options.get("dump_faults", False),
            )
        lap("training")
        evaluation = evaluate_policy(env, act, EVALUATION_EPISODES)
        lap("evaluation")
        report = Report(folder, describe_device(), evaluation, seconds)
        write_json(folder / EVALUATION_FILE, dataclasses.asdict(evaluation))
        draw_pictures(folder)
        if video:
            _film(env, act, folder, console)
        lap("pictures")
    except OSError as error:
        hint = ""
        if (folder / CHECKPOINT_FILE).is_file():
            hint = f"; its last checkpoint is whole: make room and type genesis-gym train --resume {folder}"
        reason = str(error) if isinstance(error, WriteError) else error.strerror or error
        raise WriteError(f"the run {folder} stopped: {reason}{hint}") from error
    except GenesisGymError:
        _forget(folder)
        raise
    finally:
        env.close()
    write_json(folder / RUN_FILE, facts.model_copy(update={"seconds": seconds}).model_dump())
    write_report(folder)
    return report


def take_part(config: TrainConfig, folder: Path, *, backend: str = "auto", begin_with: Path | None = None) -> None:
    """Train as another rank than the first, whose `run_pipeline` keeps the run folder and speaks to people.

    Args:
        config: As for rank 0.
        folder: The run folder; nothing is written there, but a checkpoint is read.
        backend: As for rank 0.
        begin_with: As for rank 0.
    """
    rows = rows_of_rank(config)
    env = make_core(config.env, rows, backend=backend, **config.training_env())
    try:
        with joined(env.device):
            train(config, env, folder, begin_with=begin_with)
    finally:
        env.close()


def rows_of_rank(config: TrainConfig) -> int:
    """Rows of one rank; `num_envs` is the sum over all.

    Args:
        config: The config.

    Returns:
        How many: all, where torchrun started no second process.

    Raises:
        ArgumentError: The algorithm runs in one process only, or the rows cannot be divided.
    """
    if (ranks := world_size()) == 1:
        return config.num_envs
    if isinstance(config.hyperparameters, Sb3Hyperparameters):
        raise ArgumentError(
            f"{config.algorithm} of Stable-Baselines3 trains in one process, and torchrun started {ranks}; "
            "--backend rsl_rl is what runs on several ranks"
        )
    rows, left = divmod(config.num_envs, ranks)
    hyperparameters: Any = config.hyperparameters
    if left:
        raise ArgumentError(f"num_envs={config.num_envs} cannot be divided among {ranks} ranks")
    if rows * hyperparameters.num_steps_per_env < 2 * hyperparameters.num_mini_batches:
        raise ArgumentError(
            f"num_mini_batches={hyperparameters.num_mini_batches} is too many for the {rows} rows of one rank"
        )
    return rows


def _forget(folder: Path) -> None:
    """Remove what a run wrote whose training was refused before it began, and its folder if that is all."""
    if not (folder / CONFIG_FILE).exists():
        (folder / RUN_FILE).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _film(env: BatchedEnv, act: Act, folder: Path, console: Console) -> None:
    try:
        from genesis_gym.learning.video import record_video
    except ImportError as error:
        console.print(f"No video: {error}; pip install 'genesis-gym[video]' brings it")
        return
    with announced(console, "Filming the policy"):
        record_video(env, act, folder / VIDEO_FILE, VIDEO_EPISODES, EVALUATION_SEED)
