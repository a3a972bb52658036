"""The episodes of every environment: their clocks, faults and ends, and what they were worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from genesis_gym.core.result import Metrics
from genesis_gym.runtime.masks import known_empty
from genesis_gym.runtime.state import Stateful
from genesis_gym.tasks.task import Evaluation


class Judgement(NamedTuple):
    """What a step means for the episodes; masks are bool `(num_envs,)`.

    Attributes:
        any_fault: False where it is known that no environment is faulty.
        faulty: Environments with a non-finite action or state, until they are reset.
        newly_faulty: Those that became faulty in this step.
        terminated: Ended by the task.
        truncated: Cut short by the clock, the task or a fault.
        ended: Episodes that ended in this step for the first time since their reset.
        timed_out: Cut short by the clock.
    """

    any_fault: bool
    faulty: torch.Tensor
    newly_faulty: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    ended: torch.Tensor
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
        self._no_reward = torch.zeros(num_envs, dtype=torch.float32, device=device)

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
        any_fault = not known_empty(faulty | self._faulty)
        newly_faulty = self._none
        if any_fault:
            newly_faulty = faulty & ~self._faulty & ~self._done
            faulty = self._faulty | faulty
            self.fault_counts = self.fault_counts + newly_faulty
            self._faulty = self._faulty | newly_faulty
        if terms:
            counted = torch.where(faulty | self._done, 0.0, torch.stack(list(terms.values())))
            self._reward_sums = self._reward_sums + counted

        terminated = self._any(evaluation.terminated, faulty if any_fault else None)
        truncated = faulty | self._any(evaluation.truncated, terminated) if evaluation.truncated else faulty
        timed_out = self._none
        if max_steps is not None:
            timed_out = (self.clock >= max_steps) & ~(terminated | truncated)
            truncated = truncated | timed_out
        ended = (terminated | truncated) & ~self._done
        self._done = self._done | ended
        return Judgement(any_fault, faulty, newly_faulty, terminated, truncated, ended, timed_out)

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
        terms = {name: self._no_reward.clone() for name in self._terms} if terms is None else terms
        metrics = {name: value.clone() for name, value in evaluation.metrics.items()}
        metrics |= {f"reward/{name}": term for name, term in terms.items()}
        metrics |= zip((f"reward_sum/{name}" for name in self._terms), self._reward_sums.clone(), strict=True)
        ends = {f"end/{reason}": mask.clone() for reason, mask in evaluation.truncated.items()}
        ends |= {f"end/{reason}": mask.clone() for reason, mask in evaluation.terminated.items()}
        if judged is not None and judged.any_fault:
            faulty, sound = judged.faulty, ~judged.faulty
            metrics = {name: torch.where(faulty, 0.0, value) for name, value in metrics.items()}
            ends = {name: mask & sound for name, mask in ends.items()}
        ends["end/time_limit"] = (self._none if judged is None else judged.timed_out).clone()
        ends["end/fault"] = ends["fault"] = (self._none if judged is None else judged.faulty).clone()
        ends["is_success"] = ends["end/success"] if "end/success" in ends else self._none.clone()
        return metrics | ends

    def _any(self, reasons: Mapping[str, torch.Tensor], unless: torch.Tensor | None) -> torch.Tensor:
        """Environments for which a reason holds, without some."""
        envs = self._none
        for mask in reasons.values():
            envs = envs | mask
        return envs if unless is None else envs & ~unless
