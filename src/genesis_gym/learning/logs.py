"""Where the figures of a training go: CSV, TensorBoard and, if asked for, Weights & Biases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import CSVOutputFormat, KVWriter, Logger, TensorBoardOutputFormat

from genesis_gym.errors import MissingDependencyError, RunFolderError
from genesis_gym.learning.config import TrainConfig
from genesis_gym.learning.files import read_file
from genesis_gym.learning.runs import PROGRESS_FILE, TENSORBOARD_FOLDER

#: Largest log that a resumed run goes on with, bytes.
MAX_EARLIER = 1_000_000_000


def make_logger(folder: Path, config: TrainConfig, timesteps: int = 0, wandb_project: str | None = None) -> Logger:
    """Make the logger of a run; a resumed run's CSV goes on where its checkpoint is.

    Args:
        folder: The run folder.
        config: The run's config.
        timesteps: Environment steps at which training goes on; what the CSV has beyond is dropped.
        wandb_project: Project of Weights & Biases to log to, too; None for none.

    Returns:
        The logger.

    Raises:
        MissingDependencyError: `wandb_project` is given and the package is not installed.
    """
    # The one that may be missing comes first, before anything is written.
    formats: list[KVWriter] = [] if wandb_project is None else [WandbOutput(wandb_project, config, folder)]
    formats.append(ContinuedCSV(folder / PROGRESS_FILE, timesteps))
    formats.append(TensorBoardOutputFormat(str(folder / TENSORBOARD_FOLDER)))
    return Logger(str(folder), formats)


class ContinuedCSV(CSVOutputFormat):
    """SB3's CSV log, without its habit of emptying a file that is there."""

    def __init__(self, path: Path, timesteps: int) -> None:
        earlier = read_file(path, MAX_EARLIER).decode(errors="replace") if path.exists() else ""
        # A kill may have torn the last line; it is the only one without an end.
        header, *rows = earlier.split("\n")[:-1] or [""]
        try:
            keys = header.split(",") if header else []
            place = keys.index("time/total_timesteps") if keys else 0
            kept = [row for row in rows if float(row.split(",")[place]) <= timesteps]
        except (ValueError, IndexError) as error:
            raise RunFolderError(f"{path} cannot be gone on with: {error}") from error
        super().__init__(str(path))
        if keys:
            self.keys = keys
            self.file.write("\n".join([header, *kept]) + "\n")


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
