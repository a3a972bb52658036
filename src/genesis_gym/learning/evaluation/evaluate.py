"""Evaluation: deterministic episodes of a policy, side by side in the environments of a scene."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genesis_gym.core import Core
from genesis_gym.errors import check_positive_int
from genesis_gym.learning.agents.load import open_run
from genesis_gym.learning.agents.policy import Act
from genesis_gym.learning.config.seeds import EVALUATION_SEED
from genesis_gym.learning.evaluation.episodes import PlayStep, episodes
from genesis_gym.learning.evaluation.result import (
    Episodes,
    EvaluationResult,
    Quantiles,
    success_by_region,
    wilson_interval,
)

#: Beginning of the metrics that say why an episode ended.
REASON = "end/"

#: Metric of tasks with a target, metres.
DISTANCE = "distance_to_target"

#: Most environments of a scene that `evaluate_run` builds.
MAX_ENVS = 256


def evaluate_policy(env: Core, act: Act, count: int, seed: int = EVALUATION_SEED) -> EvaluationResult:
    """Evaluate a policy; the environment's own episodes are restored afterwards.

    Args:
        env: The environment.
        act: The policy.
        count: Episodes, at least 1.
        seed: Seed of the first; episode k starts from seed + k whatever the number of environments.

    Returns:
        The figures.

    Raises:
        ArgumentError: `count` is below 1, or the environment's episodes have no end.
    """
    tally = _Tally(env)
    with env.evaluation_mode():
        for step in episodes(env, act, count, seed):
            tally.add(step)
    return tally.result(seed)


def evaluate_run(
    run: Path,
    episodes: int,
    seed: int = EVALUATION_SEED,
    device: str = "auto",
    *,
    best: bool = False,
    trust: bool = False,
) -> EvaluationResult:
    """Evaluate the policy of a run folder in a scene of its own.

    Args:
        run: The run folder, or with `trust` an archive of SB3 in it.
        episodes: How many, at least 1.
        seed: Seed of the first.
        device: `"auto"`, `"cpu"` or `"gpu"`.
        best: Take the best policy of the evaluations during training instead of the last.
        trust: Unpickle an archive, which runs any code that it holds.

    Returns:
        The figures.

    Raises:
        RunFolderError: It is no run folder, or its files cannot be read.
        ArgumentError: `episodes`, `seed` or `device` is not allowed.
    """
    check_positive_int("episodes", episodes)
    _, env, act = open_run(run, min(episodes, MAX_ENVS), device=device, best=best, trust=trust)
    try:
        return evaluate_policy(env, act, episodes, seed)
    finally:
        env.close()


class _Tally:
    """Sums up the episodes of an evaluation, round by round."""

    def __init__(self, env: Core) -> None:
        self._env = env
        self._columns: dict[str, list[Any]] = {}
        self._round: dict[str, torch.Tensor] = {}

    def add(self, step: PlayStep) -> None:
        """Take note of a step."""
        if step.step == 0:
            self._begin(step)
        running, now = step.running, self._round
        now["reward"] = now["reward"] + torch.where(running, step.reward, 0.0)
        now["length"] = now["length"] + (running & (step.step > 0))
        now["success"] = now["success"] | (step.terminated & step.metrics["is_success"])
        now["fault"] = now["fault"] | (step.truncated & step.metrics["fault"])
        if "final_distance" in now:  # a faulty environment keeps its last good one
            good = running & ~step.metrics["fault"]
            now["final_distance"] = torch.where(good, step.metrics[DISTANCE].double(), now["final_distance"])
        for number, name in reversed([*enumerate(self._reasons)]):  # the first reason wins
            now["reason"] = torch.where(step.ended & step.metrics[name], number, now["reason"])
        if step.last:
            for name, values in now.items():
                self._columns.setdefault(name, []).extend(values.tolist())

    def _begin(self, step: PlayStep) -> None:
        no = torch.zeros_like(step.running)
        self._reasons = [name for name in step.metrics if name.startswith(REASON)]
        goal = self._env.task.goal()
        self._round = {
            "reward": torch.zeros_like(step.reward, dtype=torch.float64),
            "length": no.long(),
            "success": no,
            "fault": no,
            "reason": no.long() - 1,
        }
        if DISTANCE in step.metrics:
            self._round["final_distance"] = step.metrics[DISTANCE].double()
        if goal is not None and len(goal) == self._env.num_envs:  # of several processes only the first tells
            self._round["goal"] = goal[: step.count].clone()

    def result(self, seed: int) -> EvaluationResult:
        """The figures of all episodes."""
        columns = {name: np.array(values) for name, values in self._columns.items()}
        success, length, fault = columns["success"], columns["length"], columns["fault"]
        returns = columns["reward"][~fault]
        distance, goal = columns.get("final_distance"), columns.get("goal")
        tolerance = getattr(self._env.task, "tolerance", None) if distance is not None else None
        names = [*(name.removeprefix(REASON) for name in self._reasons), "unknown"]
        reasons = [names[number] for number in columns["reason"]]
        return EvaluationResult(
            success_rate=float(success.mean()),
            success_interval=wilson_interval(int(success.sum()), len(success)),
            episodes=len(success),
            reasons={name: number / len(success) for name, number in Counter(reasons).most_common()},
            faults=int(fault.sum()),
            mean_reward=float(returns.mean()) if len(returns) else None,
            std_reward=float(returns.std()) if len(returns) else None,
            mean_episode_length=float(length.mean()),
            std_episode_length=float(length.std()),
            mean_final_distance=None if distance is None else float(distance.mean()),
            final_distance=None if distance is None else Quantiles.of(distance),
            tolerance=tolerance if isinstance(tolerance, float) else None,
            regions=None if goal is None else success_by_region(goal, success),
            seed=seed,
            records=Episodes(
                success=tuple(success.tolist()),
                reward=tuple(
                    None if faulty else reward
                    for reward, faulty in zip(columns["reward"].tolist(), fault.tolist(), strict=True)
                ),
                length=tuple(length.tolist()),
                reason=tuple(reasons),
                final_distance=None if distance is None else tuple(distance.tolist()),
                goal=None if goal is None else tuple(map(tuple, goal.tolist())),
            ),
        )
