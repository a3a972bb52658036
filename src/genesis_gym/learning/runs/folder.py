"""Run folders: the files of a training run, how they are written and read back.

A policy is tensors (safetensors) and a validated JSON config. `model.zip` and `vec_normalize.pkl`, written for use
with SB3 without this package, are unpickled by `agents/archive.py` alone, and only with `--trust`.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from safetensors import SafetensorError

from genesis_gym.errors import ArgumentError, RunFolderError, WriteError
from genesis_gym.learning.config.train_config import TrainConfig, parse_config
from genesis_gym.learning.runs.files import check_folder, read_json

CONFIG_FILE = "config.json"
POLICY_FILE = "policy.safetensors"
BEST_POLICY_FILE = "best_policy.safetensors"
CHECKPOINT_FILE = "checkpoint.pt"
PLAN_FILE = "stages.yaml"
SB3_FILE = "model.zip"
SB3_NORMALIZE_FILE = "vec_normalize.pkl"
PROGRESS_FILE = "progress.csv"
TENSORBOARD_FOLDER = "tensorboard"
RUN_FILE = "run.json"
CURVE_FILE = "learning_curve.png"
TERMS_FILE = "reward_terms.png"
EVALUATION_FILE = "evaluation.json"
EVALUATION_PICTURE_FILE = "evaluation.png"
REPORT_FILE = "report.html"
VIDEO_FILE = "policy.mp4"
FAULTS_FOLDER = "faults"
#: Suffix of a folder in which a file is being written.
PARTIAL = ".partial"


def new_run_folder(out: Path | None, stem: str) -> Path:
    """Create the folder of a new run.

    Args:
        out: Where; it must not exist. None for a fresh name below `runs/`.
        stem: Beginning of the fresh name.

    Returns:
        The folder.

    Raises:
        RunFolderError: It exists or cannot be created.
    """
    folder = out or Path("runs") / f"{stem}-{datetime.now():%Y%m%d-%H%M%S-%f}"
    if folder.exists() or folder.is_symlink():
        raise RunFolderError(f"--out {folder} exists already; name a folder that does not exist")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunFolderError(f"--out {folder} cannot be created: {error.strerror}") from error
    return folder


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all: in a folder beside it first, flushed, then moved into its place.

    Args:
        path: The file.
        write: Called with the temporary path, which has the name of `path`.

    Raises:
        WriteError: The disk is full, or the folder may not be written to; what was there is as it was.
    """
    try:
        # A folder of its own, since libraries write beside their file, as safetensors does. Its random name cannot
        # be that of a link prepared in a folder from a stranger, which would be written through.
        with TemporaryDirectory(prefix=f".{path.stem}.", suffix=PARTIAL, dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            temporary.touch()
            mode = stat.S_IMODE(temporary.stat().st_mode)  # as the umask has it
            write(temporary)
            temporary.chmod(mode)  # safetensors writes for the owner alone
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's error into its own
        reason = getattr(error, "strerror", None) or str(error)
        raise WriteError(f"{path} cannot be written: {reason}") from error


def write_state(path: Path, state: Any) -> None:
    """Write a nested dict of tensors and plain values, whole or not at all.

    Args:
        path: The file.
        state: As `files.read_state` reads it.
    """
    import torch

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            keeping: Any = _KeepingError(file)
            try:
                torch.save(state, keeping)
            except RuntimeError:  # torch hides the system's error behind its own
                if keeping.error is not None:
                    raise keeping.error from None
                raise

    write_whole(path, write)


class _KeepingError:
    """A file that keeps the error of a failed write."""

    def __init__(self, file: BinaryIO) -> None:
        self.error: OSError | None = None
        self._file = file

    def write(self, data: Any) -> int:
        """Write, and keep the error."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Flush, and keep the error."""
        try:
            self._file.flush()
        except OSError as error:
            self.error = error
            raise


def remove_torn(folder: Path) -> None:
    """Remove the partial files of a killed process, also in subfolders; links are not followed.

    Args:
        folder: The run folder; no other process writes to it.
    """
    for torn in list(folder.rglob(f".*{PARTIAL}")):
        shutil.rmtree(torn, ignore_errors=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON, whole or not at all.

    Args:
        path: The file.
        data: What to write.
    """
    write_whole(path, lambda file: file.write_text(json.dumps(data, indent=2) + "\n"))


def locate(run: Path, *, trust: bool) -> tuple[Path, Path | None]:
    """Split a path into the run folder and an archive of SB3 in it.

    Args:
        run: The run folder, or with `trust` an archive.
        trust: Whether an archive may be unpickled.

    Returns:
        The run folder, and the archive that was named instead; None for none.
    """
    return (run.parent, run) if trust and run.suffix == ".zip" else (run, None)


def read_config(folder: Path) -> TrainConfig:
    """Read the config of a run.

    Args:
        folder: The run folder.

    Returns:
        The config.

    Raises:
        RunFolderError: It is no run folder, or its config cannot be read.
    """
    check_folder(folder)
    path = folder / CONFIG_FILE
    if not path.exists():
        raise RunFolderError(f"{folder} is no run folder: it has no {CONFIG_FILE}")
    return read_config_file(path)


def read_config_file(path: Path) -> TrainConfig:
    """Read a config such as a run's `config.json` or the result of tuning.

    Args:
        path: The JSON file.

    Returns:
        The config.

    Raises:
        RunFolderError: It cannot be read.
    """
    try:
        return parse_config(read_json(path), str(path))
    except ArgumentError as error:
        raise RunFolderError(str(error)) from error
