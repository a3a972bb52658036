"""One training run from an empty folder to a report: build, train, evaluate, draw, film."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import psutil
from rich.console import Console

from genesis_gym.core import BatchedEnv, Core
from genesis_gym.core.make import make_core, make_sharded_core
from genesis_gym.errors import ArgumentError, GenesisGymError, WriteError
from genesis_gym.learning.agents.make import check_library
from genesis_gym.learning.agents.policy import Act
from genesis_gym.learning.agents.ranks import joined, world_size
from genesis_gym.learning.config.hyperparameters import Sb3Hyperparameters
from genesis_gym.learning.config.seeds import EVALUATION_SEED
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.console import status
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.evaluation.result import EvaluationResult
from genesis_gym.learning.report.facts import describe_run
from genesis_gym.learning.report.page import draw_pictures, write_report
from genesis_gym.learning.runs.folder import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    EVALUATION_FILE,
    RUN_FILE,
    VIDEO_FILE,
    write_json,
)
from genesis_gym.learning.training.progress import TrainingProgress
from genesis_gym.learning.training.train import train
from genesis_gym.runtime import describe_device, start

if TYPE_CHECKING:
    from typing_extensions import Unpack

EVALUATION_EPISODES = 100
VIDEO_EPISODES = 6


@dataclass
class RunSummary:
    """The outcome of a run.

    Attributes:
        folder: The run folder.
        device: The device in words.
        evaluation: Figures over deterministic episodes that nothing was selected on.
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
        device: `"auto"`, the default, `"cpu"` or `"gpu"`.
        video: Film the policy into an MP4.
        wandb_project: Project of Weights & Biases to log to as well.
        dump_faults: Write the steps that led to each fault into the folder `faults`.
        imports: Modules that register environments, for the report's command line; nothing is imported here.
    """

    device: str
    video: bool
    wandb_project: str | None
    dump_faults: bool
    imports: Sequence[str]


class _Laps:
    """Durations of phases, by a clock that is never set back."""

    def __init__(self, since: float | None) -> None:
        begun = psutil.Process(os.getpid()).create_time()
        # The age of the process by the wall clock, which may have been set since.
        self._last = since if since is not None else time.monotonic() - max(0.0, time.time() - begun)
        self.seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End a phase."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def run_pipeline(
    config: TrainConfig,
    folder: Path,
    console: Console,
    *,
    init_from: Path | None = None,
    since: float | None = None,
    **options: Unpack[RunOptions],
) -> RunSummary:
    """Train what a config describes, evaluate the result in the same scene, and write everything down.

    Args:
        config: The config.
        folder: A new, empty folder, or that of an interrupted run, which is resumed.
        console: Where progress is shown.
        init_from: Run folder whose policy, optimiser and normaliser a new run begins with.
        since: Time by `time.monotonic()` from which durations count; None for the start of the process.
        **options: As `RunOptions` lists them.

    Returns:
        The outcome; the folder holds the same figures, and `report.html` shows them.
    """
    device, video = options.get("device", "auto"), options.get("video", False)
    laps = _Laps(since)
    try:
        envs = envs_of_rank(config)
        check_library(config)  # a missing package is reported before a scene is built
        start(device)
        laps.lap("import")
        with status(console, f"Building {envs} environments of {config.env}"):
            env = _make_env(config, envs, device, camera_envs=[0] if video else ())
    except GenesisGymError:
        _forget(folder)
        raise
    laps.lap("build")
    try:
        facts = describe_run(env, init_from, options.get("imports", ()))
        write_json(folder / RUN_FILE, facts.model_dump())
        with TrainingProgress(console, config) as progress, joined(env.device):
            act = train(
                config,
                env,
                folder,
                hooks=[progress],
                show_evaluation=progress.show_evaluation,
                init_from=init_from,
                wandb_project=options.get("wandb_project"),
                dump_faults=options.get("dump_faults", False),
            )
        laps.lap("training")
        evaluation = evaluate_policy(env, act, EVALUATION_EPISODES)
        laps.lap("evaluation")
        summary = RunSummary(folder, describe_device(), evaluation, laps.seconds)
        write_json(folder / EVALUATION_FILE, dataclasses.asdict(evaluation))
        draw_pictures(folder)
        if video:
            assert isinstance(env, BatchedEnv), "several processes have no camera"
            _film(env, act, folder, console)
        laps.lap("pictures")
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
    write_json(folder / RUN_FILE, facts.model_copy(update={"seconds": laps.seconds}).model_dump())
    write_report(folder)
    return summary


def take_part(config: TrainConfig, folder: Path, *, device: str = "auto", init_from: Path | None = None) -> None:
    """Train as another rank than the first, whose `run_pipeline` writes the run folder and logs.

    Args:
        config: As for rank 0.
        folder: The run folder; nothing is written there, but a checkpoint is read.
        device: As for rank 0.
        init_from: As for rank 0.
    """
    env = _make_env(config, envs_of_rank(config), device)
    try:
        with joined(env.device):
            train(config, env, folder, init_from=init_from)
    finally:
        env.close()


def _make_env(config: TrainConfig, envs: int, device: str, camera_envs: Sequence[int] = ()) -> Core:
    """Build the environment of a training."""
    arguments = {"device": device, "camera_envs": camera_envs, **config.training_env()}
    if config.num_workers == 1:
        return make_core(config.env, envs, **arguments)
    return make_sharded_core(config.env, envs, config.num_workers, **arguments)


def envs_of_rank(config: TrainConfig) -> int:
    """Environments of one rank; `num_envs` is the sum over all.

    Args:
        config: The config.

    Returns:
        How many: all, where torchrun started no second process.

    Raises:
        ArgumentError: The algorithm runs in one process only, or the environments cannot be divided.
    """
    if (ranks := world_size()) == 1:
        return config.num_envs
    if isinstance(config.hyperparameters, Sb3Hyperparameters):
        raise ArgumentError(
            f"{config.algorithm} of Stable-Baselines3 trains in one process, and torchrun started {ranks}; "
            "--library rsl_rl runs on several ranks"
        )
    envs, left = divmod(config.num_envs, ranks)
    hyperparameters: Any = config.hyperparameters
    if left:
        raise ArgumentError(f"num_envs={config.num_envs} cannot be divided among {ranks} ranks")
    if envs * hyperparameters.num_steps_per_env < 2 * hyperparameters.num_mini_batches:
        raise ArgumentError(
            f"num_mini_batches={hyperparameters.num_mini_batches} is too many for {envs} environments of a rank"
        )
    return envs


def _forget(folder: Path) -> None:
    """Remove the files of a run whose training was refused before it began, and its folder if it is empty then."""
    if not (folder / CONFIG_FILE).exists():
        (folder / RUN_FILE).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _film(env: BatchedEnv, act: Act, folder: Path, console: Console) -> None:
    try:
        from genesis_gym.learning.report.video import record_video
    except ImportError as error:
        console.print(f"No video: {error}; pip install 'genesis-gym[video]' brings it")
        return
    with status(console, "Filming the policy"):
        record_video(env, act, folder / VIDEO_FILE, VIDEO_EPISODES, EVALUATION_SEED)
