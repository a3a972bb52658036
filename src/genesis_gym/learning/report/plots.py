"""Plots: panels, drawn one by one or together, on a light or a dark background."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from genesis_gym.learning.evaluation.result import EvaluationResult, Regions, success_by_region, wilson_interval

#: Inches of one panel: its width, and its height for each inch of width.
PANEL_WIDTH = 4.2
PANEL_HEIGHT = 0.7

#: Environment steps and values.
Series = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Theme:
    """Colours on a ground. Good and bad are from the palette for all kinds of colour vision of Okabe & Ito, 2008.

    Attributes:
        ground: What lies below.
        ink: Words that matter.
        muted: Words and marks that do not.
        line: Grid.
        good: Success, and whatever stands alone.
        bad: Failure, or the second of two.
        none_to_all: The two ends of a scale from no success to nothing but success; ink can be read on both.
    """

    ground: str
    ink: str
    muted: str
    line: str
    good: str
    bad: str
    none_to_all: tuple[str, str]


LIGHT = Theme("#ffffff", "#1a1c1e", "#5d6469", "#e6e7e5", "#0072b2", "#d55e00", ("#f4f6f8", "#86c1e6"))
DARK = Theme("#1b1e21", "#eceeef", "#9aa3aa", "#30363a", "#56b4e9", "#e69f00", ("#22272b", "#1d6a9a"))


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Attributes:
        title: What it shows.
        draw: Draws it.
    """

    title: str
    draw: Callable[[Axes, Theme], None]


def save_picture(panels: Sequence[Panel], picture: Path, columns: int = 3) -> None:
    """Draw panels side by side on light ground.

    Args:
        panels: At least one.
        picture: The file; its suffix tells the format.
        columns: Panels in one row, at most.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with _style(LIGHT):
        height = PANEL_WIDTH * PANEL_HEIGHT + 0.3  # for the title
        figure = Figure(figsize=(PANEL_WIDTH * columns, height * rows), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
        for place, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(rows, columns, place)
            title = panel.title if len(panel.title) <= 40 else f"{panel.title[:39]}…"
            axes.set_title(title, loc="left")
            panel.draw(axes, LIGHT)
        figure.savefig(picture, dpi=120)


def draw_svg(panel: Panel, theme: Theme, width: float = PANEL_WIDTH) -> bytes:
    """Draw one panel without its title, on transparent ground.

    Args:
        panel: The panel.
        theme: The colours.
        width: Inches; the narrower, the larger the words are beside the rest.

    Returns:
        The SVG; the same figures give the same bytes.
    """
    with _style(theme):
        figure = Figure(figsize=(width, width * PANEL_HEIGHT), layout="constrained")
        panel.draw(figure.add_subplot(), theme)
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def line_panel(title: str, lines: Mapping[str, Series], *, share: bool = False) -> Panel:
    """Lines over environment steps.

    Args:
        title: What they show.
        lines: Name → line, one or two; names are shown if there are two.
        share: The values are shares of one.

    Returns:
        The panel.
    """

    def draw(axes: Axes, theme: Theme) -> None:
        for (steps, values), color in zip(lines.values(), (theme.good, theme.bad), strict=False):
            marker = "o" if len(steps) < 12 else ""
            axes.plot(steps, values, color=color, marker=marker, markersize=4, solid_capstyle="round")
        if share:
            axes.set_ylim(-0.03, 1.03)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        axes.set_xlabel("environment steps")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if len(lines) > 1:
            axes.legend(axes.lines, list(lines), loc="best", handlelength=1.2)

    return Panel(title, draw)


def evaluation_panels(result: EvaluationResult) -> list[Panel]:
    """The picture of an evaluation: where episodes ended, how long they took, where the goals were.

    Args:
        result: The evaluation.

    Returns:
        The panels that its task allows.
    """
    success = np.array(result.records.success)
    panels = [Panel("Episode length", lambda axes, theme: _lengths(axes, theme, result, success))]
    if result.records.final_distance is not None:
        distance = np.array(result.records.final_distance)
        panels.insert(
            0, Panel("Final distance", lambda axes, theme: _distances(axes, theme, result, distance, success))
        )
    if result.records.goal is not None:
        goal = np.array(result.records.goal)
        regions = success_by_region(goal, success)
        panels += [
            Panel("Success by goal position", lambda axes, theme: _map(axes, theme, regions, goal, success)),
            Panel("Success by goal height", lambda axes, theme: _layers(axes, theme, regions)),
        ]
    return panels


def _distances(
    axes: Axes, theme: Theme, result: EvaluationResult, distance: NDArray[Any], success: NDArray[Any]
) -> None:
    scale, unit = (100.0, "cm") if distance.max() < 1 else (1.0, "m")
    reach = max(float(distance.max()), result.tolerance or 0.0) or 1.0
    width = reach / 25
    # A border of the bins is the border of success, unless the bins were too many then.
    if result.tolerance and result.tolerance > width / 8:
        width = result.tolerance / max(1, round(result.tolerance / width))
    edges = scale * np.arange(0.0, reach + 1.01 * width, width)
    _by_outcome(axes, theme, scale * distance, success, edges)
    axes.set_xlabel(f"distance to the target at the end ({unit})")
    if result.tolerance:
        axes.axvline(scale * result.tolerance, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            "tolerance",
            (scale * result.tolerance, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-5 if result.tolerance > reach / 2 else 5, -2),
            textcoords="offset points",
            ha="right" if result.tolerance > reach / 2 else "left",
            va="top",
            color=theme.ink,
        )


def _lengths(axes: Axes, theme: Theme, result: EvaluationResult, success: NDArray[Any]) -> None:
    length = np.array(result.records.length)
    width = max(1, -(-int(length.max()) // 30))
    edges = np.arange(0, length.max() + width + 1, width) + 0.5
    _by_outcome(axes, theme, length, success, edges)
    axes.set_xlabel("control steps")
    handles = axes.containers
    names = [f"success ({success.sum()})", f"failure ({(~success).sum()})"]
    axes.legend(handles, names, loc="best", handlelength=0.8, handleheight=0.8)


def _by_outcome(
    axes: Axes, theme: Theme, values: NDArray[Any], success: NDArray[Any], edges: NDArray[Any]
) -> None:
    axes.hist(
        [values[success], values[~success]],
        bins=edges.tolist(),
        stacked=True,
        color=[theme.good, theme.bad],
        edgecolor=theme.ground,
        linewidth=0.6,
    )
    axes.margins(y=0.15)
    axes.set_ylabel("episodes")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _map(axes: Axes, theme: Theme, regions: Regions, goal: NDArray[Any], success: NDArray[Any]) -> None:
    episodes, successes = np.array(regions.xy_episodes), np.array(regions.xy_successes)
    rate = np.ma.masked_where(episodes == 0, successes / np.maximum(episodes, 1))
    scale = LinearSegmentedColormap.from_list("success", theme.none_to_all)
    axes.pcolormesh(
        regions.y_edges,
        regions.x_edges,
        rate,
        cmap=scale,
        vmin=0,
        vmax=1,
        edgecolors=theme.ground,
        linewidth=2,
    )
    for i, j in zip(*np.nonzero(episodes), strict=True):
        axes.annotate(
            f"{successes[i, j]}/{episodes[i, j]}",
            (regions.y_edges[j + 1], regions.x_edges[i + 1]),
            xytext=(5, -4),
            textcoords="offset points",
            va="top",
            color=theme.ink,
            fontsize=7.5,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": theme.ground, "alpha": 0.75, "linewidth": 0},
        )
    axes.scatter(goal[success, 1], goal[success, 0], s=8, color=theme.ink, alpha=0.4, linewidths=0, clip_on=False)
    axes.scatter(
        goal[~success, 1], goal[~success, 0], s=34, marker="x", color=theme.bad, linewidths=1.8, clip_on=False
    )
    if not success.all():
        cross = "\N{MULTIPLICATION SIGN} failure"
        axes.set_title(cross, loc="right", color=theme.bad, fontsize=8, fontweight="normal")
    axes.set(xticks=regions.y_edges, yticks=regions.x_edges, xlabel="y (m)", ylabel="x (m)", aspect="equal")
    axes.xaxis.set_major_formatter(_place)
    axes.yaxis.set_major_formatter(_place)
    axes.tick_params(pad=6)
    axes.invert_xaxis()  # as seen from above and behind the robot: x ahead, y to the left
    axes.grid(visible=False)


def _layers(axes: Axes, theme: Theme, regions: Regions) -> None:
    edges = np.array(regions.z_edges)
    for low, high, episodes, successes in zip(
        edges, edges[1:], regions.z_episodes, regions.z_successes, strict=False
    ):
        if episodes:
            middle = (low + high) / 2
            axes.plot(wilson_interval(successes, episodes), [middle] * 2, color=theme.good, linewidth=2, alpha=0.5)
            axes.plot(successes / episodes, middle, "o", color=theme.good, markersize=7, clip_on=False, zorder=3)
            axes.annotate(
                f"{successes}/{episodes}",
                (0.0, middle),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=theme.muted,
                fontsize=8,
            )
    axes.set(xlim=(-0.03, 1.03), ylim=(edges[0], edges[-1]), yticks=edges)
    axes.set(xlabel="success rate, 95 % interval", ylabel="z (m)")
    axes.yaxis.set_major_formatter(_place)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def _place(metres: float, _: object) -> str:
    return f"{round(metres, 2) + 0.0:.2f}"  # no −0.00


def _style(theme: Theme) -> Any:
    """What all pictures share. Names from files are drawn as they are, never read as mathematics."""
    return mpl.rc_context(
        {
            "text.parse_math": False,
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.titleweight": "bold",
            "axes.titlepad": 10,
            "text.color": theme.ink,
            "axes.titlecolor": theme.ink,
            "axes.labelcolor": theme.muted,
            "xtick.color": theme.muted,
            "ytick.color": theme.muted,
            "axes.edgecolor": theme.line,
            "grid.color": theme.line,
            "grid.linewidth": 0.8,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.facecolor": theme.ground,
            "figure.facecolor": theme.ground,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "xtick.major.size": 0,
            "ytick.major.size": 0,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "svg.hashsalt": "genesis-gym",
        }
    )
