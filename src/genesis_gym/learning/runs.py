"""Run folders: what a training run leaves behind, and how it is read back.

Nothing here unpickles: a policy is tensors (safetensors) and a validated JSON config. `model.zip` and
`vec_normalize.pkl`, written for people who go on with SB3 by hand, are read by `archive.py` alone, if trusted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError

from genesis_gym.errors import ArgumentError, RunFolderError, WriteError
from genesis_gym.learning.config import TrainConfig, parse_config
from genesis_gym.learning.files import check_folder, read_json

CONFIG_FILE = "config.json"
POLICY_FILE = "policy.safetensors"
BEST_POLICY_FILE = "best_policy.safetensors"
CHECKPOINT_FILE = "checkpoint.safetensors"
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
#: How the name of a folder ends in which a file is being written.
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
        # A folder of its own takes what a library writes beside its file, as safetensors does, and has a name that
        # nobody can know before: a link of that name in a folder from a stranger would be written through.
        with TemporaryDirectory(prefix=f".{path.stem}.", suffix=PARTIAL, dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's error into its own
        reason = getattr(error, "strerror", None) or str(error)
        raise WriteError(f"{path} cannot be written: {reason}") from error


def remove_torn(folder: Path) -> None:
    """Remove what a killed process was writing when it died, also in folders within; links are not followed.

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
    """Tell the run folder from an archive of SB3 in it.

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
