"""The figures of an evaluation, `evaluation.json` of a run folder, and how they are worded."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

#: Regions along each axis of the goals' space.
REGIONS = 4

#: Bounds on numbers of `evaluation.json` that are drawn: nothing overflows.
Count = Annotated[int, Field(ge=0, le=10**9)]
Metres = Annotated[float, Field(ge=-1e6, le=1e6)]
Distance = Annotated[float, Field(ge=0.0, le=1e6)]

Reason = Annotated[str, Field(max_length=100)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

Counts = tuple[Count, ...]
Edges = tuple[Metres, ...]


@dataclass(frozen=True)
class Quantiles:
    """Seven figures of a distribution: its extremes, its median, and where 5, 25, 75 and 95 % lie below."""

    min: float
    q05: float
    q25: float
    median: float
    q75: float
    q95: float
    max: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Quantiles:
        """Those of a sample `(n,)`."""
        return cls(*np.quantile(values, [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]).tolist())


@dataclass(frozen=True)
class Episodes:
    """The episodes one by one, in the order of their seeds.

    Attributes:
        success: Whether it ended in success.
        reward: Its undiscounted return; None for a faulty episode, which has none.
        length: Its control steps.
        reason: Why it ended: `success`, `time_limit`, `fault` or another reason of the task.
        final_distance: Distance to the target at its end, metres; None for a task without target.
        goal: Where its goal was at its beginning, world frame, metres; None for a task without such a place.
    """

    success: tuple[bool, ...]
    reward: tuple[FiniteFloat | None, ...]
    length: tuple[Count, ...]
    reason: tuple[Reason, ...]
    final_distance: tuple[Distance, ...] | None
    goal: tuple[tuple[Metres, Metres, Metres], ...] | None

    def __post_init__(self) -> None:
        columns = [column for column in vars(self).values() if column is not None]
        if not self.success or any(len(column) != len(self.success) for column in columns):
            raise ValueError("each column must have one entry for each episode")


@dataclass(frozen=True)
class Regions:
    """Success by the place of the goal: a grid over x and y seen from above, and layers over z.

    Attributes:
        x_edges: Borders of the regions along x, world frame, metres.
        y_edges: Along y.
        z_edges: Along z.
        xy_episodes: Episodes with their goal in each region, `[x][y]`.
        xy_successes: How many of them ended in success.
        z_episodes: Episodes with their goal in each layer, `[z]`.
        z_successes: How many of them ended in success.
    """

    x_edges: Edges
    y_edges: Edges
    z_edges: Edges
    xy_episodes: tuple[Counts, ...]
    xy_successes: tuple[Counts, ...]
    z_episodes: Counts
    z_successes: Counts

    def __post_init__(self) -> None:
        x, y, z = (len(edges) - 1 for edges in (self.x_edges, self.y_edges, self.z_edges))
        grids, layers = (self.xy_episodes, self.xy_successes), (self.z_episodes, self.z_successes)
        if min(x, y, z) < 1 or any(len(grid) != x or any(len(column) != y for column in grid) for grid in grids):
            raise ValueError("each region must have its borders and its counts")
        if any(len(layer) != z for layer in layers):
            raise ValueError("each layer must have its borders and its counts")


@dataclass(frozen=True)
class EvaluationResult:
    """Figures over the episodes of an evaluation; `evaluation.json` of a run folder.

    Attributes:
        success_rate: Share of episodes that ended in success, 0 to 1.
        success_interval: Its Wilson score interval at 95 % confidence.
        episodes: How many.
        reasons: Why episodes ended → their share of all.
        faults: Episodes that were cut off by a fault: a state or an action was not finite. They have no return.
        mean_reward: Mean of the undiscounted returns; None if every episode was faulty.
        std_reward: Their standard deviation.
        mean_episode_length: Mean number of control steps.
        std_episode_length: Its standard deviation.
        mean_final_distance: Mean distance to the target at the end, metres; None for a task without target.
        final_distance: Quantiles of that distance, metres.
        tolerance: Distance below which the task speaks of success, metres, if it names one.
        regions: Success by the place of the goal; None for a task without such a place.
        seed: Seed of the first episode.
        records: The episodes, one by one.
    """

    success_rate: float
    success_interval: tuple[float, float]
    episodes: int
    reasons: dict[Reason, Share]
    faults: Count
    mean_reward: float | None
    std_reward: float | None
    mean_episode_length: float
    std_episode_length: float
    mean_final_distance: float | None
    final_distance: Quantiles | None
    tolerance: Distance | None
    regions: Regions | None
    seed: int
    records: Episodes

    def summary(self) -> dict[str, Any]:
        """Everything but the single episodes, ready for JSON."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "records"}


def wilson_interval(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a success rate, sound for few episodes and for rates of 0 and 1.

    The score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    J. Am. Stat. Assoc. 22 (1927), 209–212, recommended by Brown, Cai & DasGupta, "Interval estimation for a
    binomial proportion", Statistical Science 16 (2001), 101–133.

    Args:
        successes: From 0 to `episodes`.
        episodes: At least 1.
        confidence: Above 0 and below 1.

    Returns:
        Its lower and its upper end.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, z2_n = successes / episodes, z**2 / episodes
    centre = (rate + z2_n / 2) / (1 + z2_n)
    half = math.sqrt(rate * (1 - rate) * z2_n + z2_n**2 / 4) / (1 + z2_n)
    low = 0.0 if successes == 0 else centre - half  # exact where rounding is not
    high = 1.0 if successes == episodes else centre + half
    return low, high


def success_by_region(goal: NDArray[Any], success: NDArray[Any]) -> Regions:
    """Count episodes and successes in the regions of the goals' bounding box.

    Args:
        goal: Goals in the world frame, metres `(episodes, 3)`.
        success: bool `(episodes,)`.

    Returns:
        The counts.
    """
    x_edges, y_edges, z_edges = (_edges(axis) for axis in goal.T)

    def count(goals: NDArray[Any]) -> tuple[tuple[Counts, ...], Counts]:
        xy, _, _ = np.histogram2d(goals[:, 0], goals[:, 1], bins=(x_edges, y_edges))
        z, _ = np.histogram(goals[:, 2], bins=z_edges)
        return tuple(tuple(map(int, column)) for column in xy), tuple(map(int, z))

    xy_episodes, z_episodes = count(goal)
    xy_successes, z_successes = count(goal[success])
    return Regions(
        tuple(x_edges.tolist()),
        tuple(y_edges.tolist()),
        tuple(z_edges.tolist()),
        xy_episodes,
        xy_successes,
        z_episodes,
        z_successes,
    )


def describe(result: EvaluationResult) -> dict[str, str]:
    """Put the figures of an evaluation into words.

    Args:
        result: The figures.

    Returns:
        Name of a figure → its value in words.
    """
    low, high = result.success_interval
    words = {
        "success rate": f"{result.success_rate:.2f}, 95 % CI {low:.2f} to {high:.2f}, {result.episodes} episodes",
        "return": _return_in_words(result),
        "episode length": f"{result.mean_episode_length:.1f} ± {result.std_episode_length:.1f} steps",
    }
    if result.final_distance is not None:
        cm = {name: f"{100 * value:.1f}" for name, value in vars(result.final_distance).items()}
        words["final distance"] = f"median {cm['median']} cm, 95 % below {cm['q95']} cm, largest {cm['max']} cm"
    if result.regions is not None and result.success_rate < 1:
        words["weakest region"] = _weakest(result.regions)
    if result.reasons:
        words["episodes ended by"] = ", ".join(f"{reason} {share:.0%}" for reason, share in result.reasons.items())
    words["first seed"] = str(result.seed)
    return words


def _return_in_words(result: EvaluationResult) -> str:
    faulty = f"{result.faults} of {result.episodes} episodes were faulty and have none"
    if result.mean_reward is None:
        return faulty
    words = f"{result.mean_reward:.2f} ± {result.std_reward:.2f}"
    return f"{words}; {faulty}" if result.faults else words


def _edges(axis: NDArray[Any]) -> NDArray[Any]:
    """Borders of the regions along one axis; a single region of a centimetre where all goals lie in one plane."""
    low, high = float(axis.min()), float(axis.max())
    if high - low < 1e-3:
        return np.array([low - 0.005, high + 0.005])
    return np.linspace(low, high, REGIONS + 1)


def _weakest(regions: Regions) -> str:
    episodes, successes = np.array(regions.xy_episodes), np.array(regions.xy_successes)
    rate = np.where(episodes > 0, successes / np.maximum(episodes, 1), np.inf)
    x, y = np.unravel_index(int(np.argmin(rate)), rate.shape)
    where = ", ".join(
        f"{name} from {edges[i]:.2f} to {edges[i + 1]:.2f} m"
        for name, edges, i in (("x", regions.x_edges, x), ("y", regions.y_edges, y))
    )
    return f"{successes[x, y]} of {episodes[x, y]} where the goal has {where}"
