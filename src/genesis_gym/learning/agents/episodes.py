"""Statistics of the episodes of a training, for logs: the same for every learner."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.monitor import ResultsWriter

from genesis_gym.learning.agents.state import check_like

#: Metrics that are averaged over episodes, by their first part → what the log calls it.
AVERAGED = {"reward_sum": "reward", "end": "end"}


class EpisodeStatistics:
    """Follows the episodes of all environments.

    Faulty episodes, which were cut off where a state or an action was not finite, have no return: they are counted
    in the core's `fault_counts` and left out here.

    Attributes:
        finished: Episodes that ended, all in all.
        writer: Where a line for each episode goes; None for nowhere.
    """

    writer: ResultsWriter | None = None

    def __init__(self, num_envs: int) -> None:
        self.finished = 0
        self._return = np.zeros(num_envs)
        self._length = np.zeros(num_envs, dtype=np.int64)
        #: Return, length and success of the last episodes, at least one of each environment.
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=max(100, num_envs))
        self._since_log: dict[str, list[float]] = {}
        self._begin = time.monotonic()

    def step(self, reward: NDArray[Any], done: NDArray[Any], metrics: Callable[[int], Mapping[str, Any]]) -> None:
        """Take note of one step.

        Args:
            reward: `(num_envs,)`, as the task gave it.
            done: bool `(num_envs,)`: environments whose episode ended with this step.
            metrics: Number of an environment that ended → its metrics at the end.
        """
        self._return += reward
        self._length += 1
        for env in done.nonzero()[0].tolist():
            self._finish(env, metrics(env))
        self._return[done] = 0.0
        self._length[done] = 0

    def _finish(self, env: int, metrics: Mapping[str, Any]) -> None:
        self.finished += 1
        fault, success = bool(metrics.get("fault", False)), bool(metrics["is_success"])
        episode = (float(self._return[env]), float(self._length[env]), float(success))
        if not fault:
            self._recent.append(episode)
        for name, value in metrics.items():
            kind, _, rest = name.partition("/")
            if kind in AVERAGED and not (fault and kind == "reward_sum"):
                self._since_log.setdefault(f"{AVERAGED[kind]}/{rest}", []).append(float(value))
        if self.writer is not None:
            self.writer.write_row(
                {
                    "r": float("nan") if fault else round(episode[0], 6),
                    "l": int(episode[1]),
                    "t": round(time.monotonic() - self._begin, 6),
                    "is_success": success,
                }
            )

    def recent(self) -> dict[str, float]:
        """Means over the last episodes; nothing before the first has ended."""
        if not self._recent:
            return {}
        returns, lengths, successes = np.mean(self._recent, axis=0).tolist()
        return {
            "rollout/ep_rew_mean": returns,
            "rollout/ep_len_mean": lengths,
            "rollout/success_rate": successes,
        }

    def figures(self) -> dict[str, float]:
        """Means over the last episodes, and over those since the last call.

        Of the latter `reward/<term>` is the term's weighted sum over an episode, `end/<reason>` the share of
        episodes that ended for this reason.
        """
        averages = {name: float(np.mean(values)) for name, values in self._since_log.items()}
        self._since_log = {}
        return {**self.recent(), **averages}

    def state_dict(self) -> dict[str, Any]:
        """All that later figures depend on."""
        names = list(self._since_log)
        return {
            "return": torch.from_numpy(self._return.copy()),
            "length": torch.from_numpy(self._length.copy()),
            "recent": torch.tensor(list(self._recent), dtype=torch.float64).reshape(-1, 3),
            "since_log": {name: torch.tensor(self._since_log[name], dtype=torch.float64) for name in names},
            "finished": self.finished,
        }

    def check_state_dict(self, state: Any) -> None:
        """Refuse a state that does not fit.

        Raises:
            ValueError: It does not.
        """
        fixed = {name: value for name, value in self.state_dict().items() if name not in ("recent", "since_log")}
        check_like({**fixed, "recent": None, "since_log": None}, state, "episodes", unchecked=True)
        recent, since = state["recent"], state["since_log"]
        columns = [recent[:, 0] if isinstance(recent, torch.Tensor) and recent.shape[1:] == (3,) else None]
        columns += list(since.values()) if isinstance(since, dict) else [None]
        for column in columns:
            if not isinstance(column, torch.Tensor) or column.ndim != 1 or column.dtype != torch.float64:
                raise ValueError("episodes are no table of numbers")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `check_state_dict` accepts."""
        self._return = state["return"].numpy().copy()
        self._length = state["length"].numpy().copy()
        self._recent.clear()
        self._recent.extend((r, length, success) for r, length, success in state["recent"].tolist())
        self._since_log = {name: values.tolist() for name, values in state["since_log"].items()}
        self.finished = state["finished"]
