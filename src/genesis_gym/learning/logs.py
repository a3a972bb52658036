"""Where the figures of a training go: CSV, TensorBoard and, if asked for, Weights & Biases."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import CSVOutputFormat, KVWriter, Logger, TensorBoardOutputFormat

from genesis_gym.errors import MissingDependencyError
from genesis_gym.learning.config import TrainConfig
from genesis_gym.learning.files import read_file
from genesis_gym.learning.runs import PROGRESS_FILE, TENSORBOARD_FOLDER

#: Largest log that a resumed run goes on with, bytes.
MAX_EARLIER = 1_000_000_000


def make_logger(folder: Path, config: TrainConfig, wandb_project: str | None = None) -> Logger:
    """Make the logger of a run; a resumed run's CSV goes on where it stopped.

    Args:
        folder: The run folder.
        config: The run's config.
        wandb_project: Project of Weights & Biases to log to, too; None for none.

    Returns:
        The logger.

    Raises:
        MissingDependencyError: `wandb_project` is given and the package is not installed.
    """
    formats: list[KVWriter] = [
        ContinuedCSV(folder / PROGRESS_FILE),
        TensorBoardOutputFormat(str(folder / TENSORBOARD_FOLDER)),
    ]
    if wandb_project is not None:
        formats.append(WandbOutput(wandb_project, config, folder))
    return Logger(str(folder), formats)


class ContinuedCSV(CSVOutputFormat):
    """SB3's CSV log, without its habit of emptying a file that is there."""

    def __init__(self, path: Path) -> None:
        earlier = read_file(path, MAX_EARLIER).decode(errors="replace") if path.exists() else ""
        super().__init__(str(path))
        if earlier:
            self.keys = next(csv.reader(earlier.splitlines()), [])
            self.file.write(earlier)


class WandbOutput(KVWriter):
    """Sends each row of the log to Weights & Biases."""

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
        """Send one row."""
        numbers = {name: value for name, value in key_values.items() if isinstance(value, int | float)}
        self._run.log(numbers, step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
