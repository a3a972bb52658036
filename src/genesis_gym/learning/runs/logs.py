"""Logs of a training: metrics over steps (CSV, TensorBoard, Weights & Biases), and a line for each episode."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import CSVOutputFormat, KVWriter, Logger, TensorBoardOutputFormat
from stable_baselines3.common.monitor import ResultsWriter

from genesis_gym.errors import MissingDependencyError, RunFolderError
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.runs.files import read_file
from genesis_gym.learning.runs.folder import PROGRESS_FILE, TENSORBOARD_FOLDER

#: Largest log that a resumed run continues, bytes.
MAX_EARLIER = 1_000_000_000

#: Column of environment steps; TensorBoard has it as the step of every metric.
STEPS_COLUMN = "time/total_timesteps"


class RunLog:
    """Writes metrics to all formats.

    Attributes:
        latest: The metrics written last.
    """

    def __init__(self, formats: Sequence[KVWriter] = ()) -> None:
        self.latest: dict[str, float] = {}
        self._logger = Logger(None, list(formats))

    def write(self, timesteps: int, figures: Mapping[str, float]) -> None:
        """Write metrics at one step.

        Args:
            timesteps: Environment steps so far.
            figures: Name → number.
        """
        self.latest = dict(figures)
        for name, figure in figures.items():
            self._logger.record(name, figure)
        self._logger.record(STEPS_COLUMN, timesteps, exclude="tensorboard")
        self._logger.dump(timesteps)

    def close(self) -> None:
        """Close the files."""
        self._logger.close()


def make_log(folder: Path, config: TrainConfig, timesteps: int = 0, wandb_project: str | None = None) -> RunLog:
    """Make the log of a run; that of a resumed run continues where its checkpoint is.

    Args:
        folder: The run folder.
        config: The run's config.
        timesteps: Environment steps of the checkpoint; later rows of the CSV are dropped.
        wandb_project: Project of Weights & Biases to log to as well; None for none.

    Returns:
        The log.

    Raises:
        MissingDependencyError: `wandb_project` is given and the package is not installed.
    """
    # Weights & Biases first: it may be missing, and then nothing is written.
    formats: list[KVWriter] = [] if wandb_project is None else [WandbOutput(wandb_project, config, folder)]
    formats.append(ContinuedCSV(folder / PROGRESS_FILE, timesteps))
    formats.append(TensorBoardOutputFormat(str(folder / TENSORBOARD_FOLDER)))
    return RunLog(formats)


def make_episode_log(folder: Path, env_id: str) -> ResultsWriter:
    """Begin a file of episodes in the format of SB3's `Monitor`, one more each time that a run is resumed.

    Args:
        folder: The run folder; SB3's `load_results` reads all files in it.
        env_id: Id of the environment.

    Returns:
        The writer: return `r`, length `l`, seconds since the start `t`, and `is_success`.
    """
    path = folder / f"{len(list(folder.glob('*.monitor.csv')))}.monitor.csv"
    return ResultsWriter(str(path), header={"t_start": time.time(), "env_id": env_id}, extra_keys=("is_success",))


class ContinuedCSV(CSVOutputFormat):
    """SB3's CSV log, which keeps the rows of an earlier one."""

    def __init__(self, path: Path, timesteps: int) -> None:
        earlier = read_file(path, MAX_EARLIER).decode(errors="replace") if path.exists() else ""
        # A kill may have torn the last line; it is the only one without an end.
        header, *rows = earlier.split("\n")[:-1] or [""]
        try:
            keys = header.split(",") if header else []
            place = keys.index(STEPS_COLUMN) if keys else 0
            kept = [row for row in rows if float(row.split(",")[place]) <= timesteps]
        except (ValueError, IndexError) as error:
            raise RunFolderError(f"{path} cannot be continued: {error}") from error
        super().__init__(str(path))
        if keys:
            self.keys = keys
            self.file.write("\n".join([header, *kept]) + "\n")


class WandbOutput(KVWriter):
    """Sends the metrics to Weights & Biases."""

    def __init__(self, project: str, config: TrainConfig, folder: Path) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingDependencyError(
                "--wandb needs the package wandb, which is not installed: pip install 'genesis-gym[wandb]'"
            ) from error
        self._run = wandb.init(
            project=project, config=config.model_dump(mode="json"), dir=str(folder), name=folder.name
        )

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Send metrics of one step."""
        numbers = {name: value for name, value in key_values.items() if isinstance(value, int | float)}
        self._run.log(numbers, step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
