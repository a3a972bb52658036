"""The episodes of every environment: their clocks, faults and ends, and what they were worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from genesis_gym.core.result import Metrics
from genesis_gym.runtime.state import Stateful
from genesis_gym.tasks.task import Evaluation


class Judgement(NamedTuple):
    """What a step means for the episodes, each bool `(num_envs,)`.

    Attributes:
        faulty: Environments with a non-finite action or state, until they are reset.
        newly_faulty: Those that became faulty in this step.
        terminated: Ended by the task.
        truncated: Cut short by the clock, the task or a fault.
        ended: Episodes that ended in this step for the first time since their reset.
        success: Whether the step is a success.
        timed_out: Cut short by the clock.
    """

    faulty: torch.Tensor
    newly_faulty: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    ended: torch.Tensor
    success: torch.Tensor
    timed_out: torch.Tensor


class Episodes(Stateful):
    """What an episode was worth is latched at its end: a step that is taken before its reset counts for nothing.

    Attributes:
        clock: Control steps that each episode has taken, int64 `(num_envs,)`.
        fault_counts: Faults of each environment since it was made, int64 `(num_envs,)`.
    """

    def __init__(self, num_envs: int, reward_terms: Sequence[str], device: torch.device) -> None:
        """Begin without an episode.

        Args:
            num_envs: Environments.
            reward_terms: Terms of the reward whose weight is not 0.
            device: Where tensors live.
        """
        self._none = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._terms = tuple(reward_terms)
        self._reward_sums = torch.zeros(len(self._terms), num_envs, dtype=torch.float32, device=device)
        self.clock = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.fault_counts = torch.zeros_like(self.clock)
        self._faulty = self._done = self._none

    def reset(self, envs: torch.Tensor) -> None:
        """Begin an episode in some environments."""
        self.clock = torch.where(envs, 0, self.clock)
        self._faulty, self._done = self._faulty & ~envs, self._done & ~envs
        self._reward_sums = torch.where(envs, 0.0, self._reward_sums)

    def aborted(self, envs: torch.Tensor) -> torch.Tensor:
        """Of some environments, those whose episode has begun and not ended."""
        return envs & ~self._done & (self.clock > 0)

    def judge(
        self,
        evaluation: Evaluation,
        terms: Mapping[str, torch.Tensor],
        faulty: torch.Tensor,
        max_steps: int | None,
    ) -> Judgement:
        """Take note of a step.

        Args:
            evaluation: Of the state after the step.
            terms: Weighted terms of its reward.
            faulty: Environments with a non-finite action or state in it.
            max_steps: Control steps after which an episode is truncated; None for never.
        """
        newly_faulty = faulty & ~self._faulty & ~self._done
        faulty = self._faulty | faulty
        self.fault_counts = self.fault_counts + newly_faulty
        self._faulty = self._faulty | newly_faulty
        if terms:
            counted = torch.where(faulty | self._done, 0.0, torch.stack(list(terms.values())))
            self._reward_sums = self._reward_sums + counted

        terminated = self._any(evaluation.terminated) & ~faulty
        timed_out = self._none
        if max_steps is not None:
            timed_out = (self.clock >= max_steps) & ~terminated & ~faulty
        truncated = faulty | timed_out | (self._any(evaluation.truncated) & ~terminated)
        ended = (terminated | truncated) & ~self._done
        self._done = self._done | ended
        success = evaluation.terminated.get("success", self._none) & ~faulty
        return Judgement(faulty, newly_faulty, terminated, truncated, ended, success, timed_out)

    def metrics(
        self,
        evaluation: Evaluation,
        terms: Mapping[str, torch.Tensor] | None = None,
        judged: Judgement | None = None,
    ) -> Metrics:
        """Metrics for logging: fresh tensors, zero where the environment is faulty.

        Args:
            evaluation: Of the present state.
            terms: Weighted terms of the step's reward; None after a reset.
            judged: What the step means; None after a reset.
        """
        none = self._none
        faulty = none if judged is None else judged.faulty
        zero = torch.zeros_like(none, dtype=torch.float32)
        terms = dict.fromkeys(self._terms, zero) if terms is None else terms
        measured = {**evaluation.metrics, **{f"reward/{name}": term for name, term in terms.items()}}
        measured |= zip((f"reward_sum/{name}" for name in self._terms), self._reward_sums, strict=True)
        metrics = {name: torch.where(faulty, 0.0, value) for name, value in measured.items()}
        reasons = {**evaluation.truncated, **evaluation.terminated}
        metrics |= {f"end/{reason}": mask & ~faulty for reason, mask in reasons.items()}
        metrics["end/time_limit"] = (none if judged is None else judged.timed_out).clone()
        metrics["end/fault"], metrics["fault"] = faulty.clone(), faulty.clone()
        success = evaluation.terminated.get("success", none) if judged is None else judged.success
        metrics["is_success"] = success.clone()
        return metrics

    def _any(self, reasons: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Environments for which a reason holds."""
        envs = self._none
        for mask in reasons.values():
            envs = envs | mask
        return envs
