"""Pictures of figures."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure


def plot_learning_curve(progress: Path, picture: Path, first: int) -> None:
    """Draw return and success rate over environment steps.

    Args:
        progress: SB3's `progress.csv`.
        picture: The PNG to write.
        first: Environment steps before which nothing is drawn.
    """
    with progress.open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["time/total_timesteps"] or 0) >= first]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = {"rollout/success_rate": "success rate", "rollout/ep_rew_mean": "mean return"}
    for axes, (column, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        points = [(int(r["time/total_timesteps"]), float(r[column])) for r in rows if r.get(column)]
        axes.plot([x / 1000 for x, _ in points], [y for _, y in points])
        axes.set(xlabel="environment steps (thousands)", ylabel=label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylim(-0.02, 1.02)
    figure.savefig(picture, dpi=120)
