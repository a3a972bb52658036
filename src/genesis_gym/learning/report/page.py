"""The report of a run: one self-contained HTML page, made from the files of the run folder alone."""

from __future__ import annotations

import base64
import csv
import io
from array import array
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import jinja2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from genesis_gym.errors import RunFolderError
from genesis_gym.learning.config.presets import find_preset
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.evaluation.result import EvaluationResult, describe
from genesis_gym.learning.report.facts import RunFacts, changes, command_of, word
from genesis_gym.learning.report.plots import (
    DARK,
    LIGHT,
    PANEL_WIDTH,
    Panel,
    Series,
    draw_svg,
    evaluation_panels,
    line_panel,
    save_picture,
)
from genesis_gym.learning.runs.files import MAX_EVALUATION, MAX_LOG, read_file
from genesis_gym.learning.runs.folder import (
    CURVE_FILE,
    EVALUATION_FILE,
    EVALUATION_PICTURE_FILE,
    PROGRESS_FILE,
    REPORT_FILE,
    RUN_FILE,
    TERMS_FILE,
    VIDEO_FILE,
    read_config,
    write_whole,
)

Kind = TypeVar("Kind")

#: A larger video is not embedded, so that the page can be sent by mail.
VIDEO_BYTES = 8_000_000

#: Title of a panel → its columns of `progress.csv`, each with the name of its line.
LEARNING = {
    "Success rate": {"rollout/success_rate": "training", "eval/success_rate": "evaluation"},
    "Return": {"rollout/ep_rew_mean": "training", "eval/mean_reward": "evaluation"},
    "Episode length": {"rollout/ep_len_mean": "training", "eval/mean_ep_length": "evaluation"},
}

#: Title of a section → beginning of the columns that are drawn in it, each in a panel of its own.
GROUPS = {
    "Reward terms, sums over an episode": "reward/",
    "Why episodes ended": "end/",
    "Curriculum": "curriculum/",
    "Evaluation during training": "eval/",
    "Memory": "memory",
}

#: Beginnings of the columns of `progress.csv` that are drawn, and bounds: a log may come from a stranger.
DRAWN = ("rollout/", *GROUPS.values())
MAX_COLUMNS = 100
MAX_POINTS = 5_000
MAX_NUMBER = 1e30


def draw_pictures(folder: Path) -> None:
    """Draw the PNGs of a run from its logs, those for which there is something to draw.

    Args:
        folder: The run folder.
    """
    progress, _ = _read_progress(folder, read_config(folder), _read(folder / RUN_FILE, RunFacts)[0])
    evaluation, _ = _read(folder / EVALUATION_FILE, EvaluationResult)
    pictures = {
        CURVE_FILE: (_learning_panels(progress), 3),
        TERMS_FILE: (_group_panels(progress, GROUPS["Reward terms, sums over an episode"]), 3),
        EVALUATION_PICTURE_FILE: (evaluation_panels(evaluation) if evaluation else [], 2),
    }
    for name, (panels, columns) in pictures.items():
        if panels:
            write_whole(folder / name, partial(save_picture, panels, columns=columns))


def write_report(folder: Path) -> Path:
    """Write `report.html` from the files of a run folder; missing files are named there in one line each.

    Args:
        folder: The run folder.

    Returns:
        The page.

    Raises:
        RunFolderError: It is no run folder, or its config cannot be read.
    """
    config = read_config(folder)
    facts, no_facts = _read(folder / RUN_FILE, RunFacts)
    evaluation, no_evaluation = _read(folder / EVALUATION_FILE, EvaluationResult)
    progress, no_progress = _read_progress(folder, config, facts)
    video, no_video = _read_video(folder)
    curves = _learning_panels(progress)
    if progress and not curves:
        no_progress = f"{PROGRESS_FILE} has no metrics of whole episodes"
    learning = {"Learning": curves} | {
        title: _group_panels(progress, beginning) for title, beginning in GROUPS.items()
    }
    page = _template().render(
        config=config,
        facts=facts,
        no_facts=no_facts,
        evaluation=evaluation,
        no_evaluation=no_evaluation,
        words=describe(evaluation) if evaluation else {},
        evaluation_pictures=_draw(evaluation_panels(evaluation)) if evaluation else [],
        learning={title: _draw(panels, width=3.3) for title, panels in learning.items() if panels},
        no_progress=no_progress,
        video=video,
        no_video=no_video,
        settings=_settings(config),
        hyperparameters=_hyperparameters(config),
        command=command_of(config, facts),
    )
    write_whole(folder / REPORT_FILE, lambda path: path.write_text(page, encoding="utf-8"))
    return folder / REPORT_FILE


def _settings(config: TrainConfig) -> dict[str, str]:
    """Every field except the hyperparameters, as text."""
    settings = {}
    for name, value in config:
        if name in ("version", "hyperparameters"):
            continue
        entries = value.items() if isinstance(value, Mapping) else value if isinstance(value, BaseModel) else None
        if entries is None:
            settings[name] = "none" if value is None else word(value)
        else:
            settings[name] = ", ".join(f"{key} {word(entry)}" for key, entry in entries) or "none"
    return settings


def _hyperparameters(config: TrainConfig) -> list[dict[str, str]]:
    """Name, value and, where it differs, the preset's value."""
    preset = find_preset(config.env, config.algorithm, config.preset)
    changed = changes(config.hyperparameters, preset.hyperparameters) if preset else {}
    return [
        {
            "name": name,
            "value": word(value),
            "usual": word(getattr(preset.hyperparameters, name)) if preset and name in changed else "",
        }
        for name, value in config.hyperparameters
    ]


def _read(path: Path, kind: type[Kind]) -> tuple[Kind | None, str]:
    """Read and validate a JSON file; None and the reason if that cannot be done."""
    if not path.exists():
        return None, f"this folder has no {path.name}"
    try:
        return TypeAdapter(kind).validate_json(read_file(path, MAX_EVALUATION)), ""
    except RunFolderError as error:
        return None, _beside(path, error)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return None, f"{path.name} cannot be read: {where}: {first['msg']}"


def _read_video(folder: Path) -> tuple[str, str]:
    """The video as a data URI; empty, and the reason, if there is none to show."""
    path = folder / VIDEO_FILE
    if not path.exists():
        return "", f"this folder has no {VIDEO_FILE}"
    if path.is_file() and path.stat().st_size > VIDEO_BYTES:
        return (
            "",
            f"{VIDEO_FILE} has {path.stat().st_size / 1e6:.0f} MB, too large for this page; it is beside it",
        )
    try:
        return _data_uri("video/mp4", read_file(path, VIDEO_BYTES)), ""
    except RunFolderError as error:
        return "", _beside(path, error)


def _beside(path: Path, error: RunFolderError) -> str:
    """The error without the file's path: the page may be passed on."""
    return str(error).replace(str(path), path.name)


def _read_progress(folder: Path, config: TrainConfig, facts: RunFacts | None) -> tuple[dict[str, Series], str]:
    """Column → its finite values over environment steps; nothing, and the reason, if there are none.

    Until every environment has had time for a whole episode, only quick episodes have ended, most of them
    successes: figures of episodes (`rollout/…`) begin after that.
    """
    path = folder / PROGRESS_FILE
    if not path.exists():
        return {}, f"this folder has no {PROGRESS_FILE}"
    points: dict[str, tuple[array[float], array[float]]] = {}
    first = config.num_envs * ((facts and facts.max_episode_steps) or 0)
    try:
        text = read_file(path, MAX_LOG).decode("utf-8-sig", errors="replace")  # with the BOM of a spreadsheet
        rows = csv.DictReader(io.StringIO(text, newline=""))
        columns = [name for name in rows.fieldnames or () if name.startswith(DRAWN)]
        if len(columns) > MAX_COLUMNS:
            return {}, f"{PROGRESS_FILE} has {len(columns)} columns to draw; at most {MAX_COLUMNS} are drawn"
        for row in rows:
            step = _number(row.get("time/total_timesteps"))
            for column in columns:
                value = _number(row[column])
                if step is not None and value is not None and not (column.startswith("rollout/") and step < first):
                    steps, values = points.setdefault(column, (array("d"), array("d")))
                    steps.append(step)
                    values.append(value)
    except csv.Error as error:
        return {}, f"{PROGRESS_FILE} cannot be read: {error}"
    except RunFolderError as error:
        return {}, _beside(path, error)
    progress = {column: (_thinned(steps), _thinned(values)) for column, (steps, values) in points.items()}
    return progress, "" if progress else f"{PROGRESS_FILE} holds no metrics"


def _thinned(numbers: array[float]) -> NDArray[np.float64]:
    """At most `MAX_POINTS` of the numbers, evenly, which is more than a curve shows."""
    return np.array(numbers)[:: 1 + len(numbers) // MAX_POINTS]


def _number(cell: Any) -> float | None:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < MAX_NUMBER else None


def _learning_panels(progress: Mapping[str, Series]) -> list[Panel]:
    panels = []
    for title, columns in LEARNING.items():
        lines = {name: progress[column] for column, name in columns.items() if column in progress}
        if lines:
            panels.append(line_panel(title, lines, share=title == "Success rate"))
    return panels


def _group_panels(progress: Mapping[str, Series], beginning: str) -> list[Panel]:
    drawn = {column for columns in LEARNING.values() for column in columns}
    names = sorted(name for name in progress if name.startswith(beginning) and name not in drawn)
    return [line_panel(name.partition("/")[2] or name, {name: progress[name]}) for name in names]


def _draw(panels: Iterable[Panel], width: float = PANEL_WIDTH) -> list[dict[str, str]]:
    return [
        {
            "title": panel.title,
            "light": _data_uri("image/svg+xml", draw_svg(panel, LIGHT, width)),
            "dark": _data_uri("image/svg+xml", draw_svg(panel, DARK, width)),
        }
        for panel in panels
    ]


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _template() -> jinja2.Template:
    """The page; everything inserted into it is escaped."""
    loader = jinja2.PackageLoader("genesis_gym.learning.report", ".")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html")
