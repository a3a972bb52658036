"""Curriculum, applied: the difficulty of each row, raised by the row's own success."""

from __future__ import annotations

import torch

from genesis_gym.variation.curriculum import Curriculum


class RowDifficulty:
    """The difficulty of every row, and what its promotion is judged by.

    Attributes:
        difficulty: float `(rows,)`, 0 to 1.
        episodes: Episodes since the last judgement, int64 `(rows,)`.
        successes: Those that succeeded, int64 `(rows,)`.
    """

    def __init__(self, curriculum: Curriculum, rows: int, device: torch.device) -> None:
        self.difficulty = torch.full((rows,), curriculum.initial, device=device)
        self.episodes = torch.zeros(rows, dtype=torch.int64, device=device)
        self.successes = torch.zeros_like(self.episodes)
        self._curriculum = curriculum

    def count(self, ended: torch.Tensor, success: torch.Tensor) -> None:
        """Count episodes that ended and promote the rows that have earned it.

        Args:
            ended: Rows whose episode ended, bool `(rows,)`.
            success: Whether it ended in success, bool `(rows,)`.
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

    def increase(self, rows: torch.Tensor) -> None:
        """Promote rows by one step.

        Args:
            rows: bool mask `(rows,)`.
        """
        # In whole steps from the initial difficulty, so that ten steps of 0.1 end at 1 and not beside it.
        step, initial = self._curriculum.step, self._curriculum.initial
        steps = ((self.difficulty - initial) / step).round() + 1
        self.difficulty = torch.where(rows, (initial + steps * step).clamp(max=1.0), self.difficulty)

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        return {"difficulty": self.difficulty, "episodes": self.episodes, "successes": self.successes}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave.

        Args:
            state: The tensors, of as many rows as this.
        """
        self.difficulty = state["difficulty"].to(self.difficulty)
        self.episodes = state["episodes"].to(self.episodes)
        self.successes = state["successes"].to(self.successes)
