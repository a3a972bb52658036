"""Draw the learning curves of runs, one panel for each environment and one line for each run.

python docs/curves.py docs/images/manipulation.png runs/lift-0 runs/lift-1 runs/push-0
"""

from __future__ import annotations

import csv
import json
import sys
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, PercentFormatter

from genesis_gym.learning.report.plots import Panel, Theme, save_picture
from genesis_gym.learning.runs.folder import EVALUATION_FILE, read_config

picture, *runs = map(Path, sys.argv[1:])


def successes(run: Path) -> tuple[list[float], list[float]]:
    """Environment steps, and success at the evaluation after each, that of the last policy included."""
    with (run / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    points = {
        float(row["time/total_timesteps"]): float(rate) for row in rows if (rate := row.get("eval/success_rate"))
    }
    last = run / EVALUATION_FILE
    if last.is_file():
        points[float(rows[-1]["time/total_timesteps"])] = json.loads(last.read_text())["success_rate"]
    return list(points), list(points.values())


def panel(env: str, runs: list[Path]) -> Panel:
    """The evaluations of some runs of one environment."""

    def draw(axes: Axes, theme: Theme) -> None:
        for run in runs:
            axes.plot(*successes(run), color=theme.good, alpha=0.7)
        axes.axhline(0.95, color=theme.muted, linewidth=0.8, linestyle=":")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))

    return Panel(env.removeprefix("Genesis/Franka").removesuffix("-v0"), draw)


by_env = groupby(sorted(runs, key=lambda run: read_config(run).env), key=lambda run: read_config(run).env)
save_picture([panel(env, list(group)) for env, group in by_env], picture)
