"""The state of a curriculum: the difficulty of each environment, and its promotion."""

from __future__ import annotations

import torch

from genesis_gym.variation.curriculum import Curriculum
from genesis_gym.world import Component


class CurriculumState(Component):
    """The difficulty of every environment, and what its promotion is judged by.

    Attributes:
        difficulty: float `(num_envs,)`, 0 to 1.
        episodes: Episodes since the last judgement, int64 `(num_envs,)`.
        successes: Those that succeeded, int64 `(num_envs,)`.
    """

    def __init__(self, curriculum: Curriculum, num_envs: int, device: torch.device) -> None:
        self.difficulty = torch.full((num_envs,), curriculum.initial, dtype=torch.float32, device=device)
        self.episodes = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.successes = torch.zeros_like(self.episodes)
        self._curriculum = curriculum

    def count(self, ended: torch.Tensor, success: torch.Tensor) -> None:
        """Count episodes that ended and promote the environments that have earned it.

        Args:
            ended: Environments whose episode ended, bool `(num_envs,)`.
            success: Whether it ended in success, bool `(num_envs,)`.
        """
        if self._curriculum.threshold is None:
            return
        self.episodes = self.episodes + ended
        self.successes = self.successes + (ended & success)
        judged = self.episodes >= self._curriculum.window
        promoted = judged & (self.successes >= self._curriculum.threshold * self.episodes)
        self.increase(promoted)
        self.episodes = self.episodes * ~judged
        self.successes = self.successes * ~judged

    def increase(self, envs: torch.Tensor) -> None:
        """Promote environments by one step.

        Args:
            envs: bool mask `(num_envs,)`.
        """
        # In whole steps from the initial difficulty, so that ten steps of 0.1 end at 1 and not beside it.
        step, initial = self._curriculum.step, self._curriculum.initial
        steps = ((self.difficulty - initial) / step).round() + 1
        self.difficulty = torch.where(envs, (initial + steps * step).clamp(max=1.0), self.difficulty)
