"""Pictures of a hyperparameter search.

Optuna's own matplotlib pictures are experimental, warn on every use and go through pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from genesis_gym.learning.runs.folder import write_whole

HISTORY_FILE = "history.png"
IMPORTANCES_FILE = "importances.png"
SLICES_FILE = "slices.png"

#: Complete trials below which importances are noise, and are not drawn.
ENOUGH_TRIALS = 10


def plot_study(study: optuna.Study, folder: Path, objective: str) -> None:
    """Draw what a study holds: values over trials, over each hyperparameter, and the importances of those.

    Args:
        study: The study.
        folder: Where the PNGs go; none is written of what there is not enough of.
        objective: What the values are, in a word.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    pruned = study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
    if not trials:
        return
    _save(_draw_history(trials, pruned, objective), folder / HISTORY_FILE)
    names = sorted({name for trial in trials for name in trial.distributions})
    if names:
        _save(_draw_slices(trials, names, objective), folder / SLICES_FILE)
    if len(names) > 1 and len(trials) >= ENOUGH_TRIALS:
        importances = optuna.importance.get_param_importances(study)
        _save(_draw_importances(importances), folder / IMPORTANCES_FILE)


def _draw_history(trials: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial], objective: str) -> Figure:
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    points = np.array([(trial.number, trial.value) for trial in trials], dtype=float)
    stopped = np.array([(t.number, t.value) for t in pruned if t.value is not None], dtype=float).reshape(-1, 2)
    axes.scatter(*stopped.T, marker="x", color="0.6", label="pruned, where it stopped")
    axes.scatter(*points.T, label="complete")
    axes.step(points[:, 0], np.maximum.accumulate(points[:, 1]), where="post", label="best so far")
    _label(axes, "trial", objective)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize="small")
    return figure


def _draw_slices(trials: Sequence[FrozenTrial], names: Sequence[str], objective: str) -> Figure:
    figure = Figure(figsize=(3 * len(names), 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for axes, name in zip(panels, names, strict=True):
        drawn = [trial for trial in trials if name in trial.params]
        distribution = drawn[-1].distributions[name]
        points = np.array([(_place(trial, name, distribution), trial.value) for trial in drawn], dtype=float)
        marks = axes.scatter(*points.T, c=[trial.number for trial in drawn])
        _label(axes, name, objective if axes is panels[0] else "")
        if isinstance(distribution, CategoricalDistribution):
            axes.set_xticks(range(len(distribution.choices)), [str(choice) for choice in distribution.choices])
        elif getattr(distribution, "log", False):
            axes.set_xscale("log")
    figure.colorbar(marks, ax=list(panels), label="trial")
    return figure


def _draw_importances(importances: dict[str, float]) -> Figure:
    figure = Figure(figsize=(6, 1 + 0.4 * len(importances)), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(importances)[::-1], list(importances.values())[::-1])
    _label(axes, "importance (PED-ANOVA), sum 1", "")
    return figure


def _place(trial: FrozenTrial, name: str, distribution: BaseDistribution) -> float:
    """Where a trial stands on the axis of a hyperparameter: a choice at its number."""
    value = trial.params[name]
    return distribution.to_internal_repr(value) if isinstance(distribution, CategoricalDistribution) else value


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, picture: Path) -> None:
    write_whole(picture, lambda path: figure.savefig(path, dpi=120))
