"""The progress of a training on a console."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from genesis_gym.learning.agents.learner import Hook, Learner
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.evaluation.result import EvaluationResult


class TrainingProgress(Hook):
    """A live dashboard on a terminal: progress, success, return, reward terms, difficulty, the last evaluation.

    Without a terminal it prints one line for each tenth of the training; on a quiet console nothing.
    """

    def __init__(self, console: Console, config: TrainConfig) -> None:
        self._console = console
        self._timesteps = config.timesteps
        self._evaluation: EvaluationResult | None = None
        self._bar = Progress(
            TextColumn("Training"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]:,.0f} steps/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._live = Live(console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        """Give the terminal back, however training ended."""
        self._live.stop()

    def before_training(self, learner: Learner) -> None:
        """Begin to show."""
        self._learner = learner
        self._start, self._first = time.monotonic(), learner.timesteps
        self._next_line = learner.timesteps / self._timesteps + 0.1
        self._shown = 0.0
        self._task = self._bar.add_task("", total=self._timesteps, completed=learner.timesteps, rate=0.0)
        if self._console.is_terminal:
            self._live.start()

    def after_rollout(self, learner: Learner) -> None:
        """Show the figures."""
        now = time.monotonic()
        if self._console.is_terminal and now - self._shown > 0.25:
            self._shown = now
            self._live.update(self._dashboard())
        share = learner.timesteps / self._timesteps
        if not self._console.is_terminal and share >= self._next_line:
            self._next_line = share + 0.1
            done = f"training {min(share, 1):4.0%}  {learner.timesteps:,} steps"
            self._console.print(f"{done}  success {self._success()}  {self._rate():,.0f} steps/s")

    def after_training(self, learner: Learner) -> None:
        """Show the last figures."""
        if self._console.is_terminal:
            self._live.update(self._dashboard())

    def show_evaluation(self, result: EvaluationResult) -> None:
        """Show an evaluation that took place during training.

        Args:
            result: Its figures.
        """
        self._evaluation = result
        if not self._console.is_terminal:
            self._console.print(f"evaluation at {self._learner.timesteps:,} steps: {self._evaluated()}")

    def _evaluated(self) -> str:
        assert self._evaluation is not None
        result = self._evaluation
        words = f"success {result.success_rate:.0%}"
        if result.mean_reward is not None:
            words += f", return {result.mean_reward:.2f}"
        return f"{words}, {result.faults} faulty episodes" if result.faults else words

    def _rate(self) -> float:
        return (self._learner.timesteps - self._first) / (time.monotonic() - self._start)

    def _success(self) -> str:
        rate = self._learner.episodes.recent().get("rollout/success_rate")
        return "  —" if rate is None else f"{rate:4.0%}"

    def _dashboard(self) -> Group:
        steps = min(self._learner.timesteps, self._timesteps)
        self._bar.update(self._task, completed=steps, rate=self._rate())
        figures = {"success": self._success()}
        if recent := self._learner.episodes.recent():
            figures["return"] = f"{recent['rollout/ep_rew_mean']:.2f}"
            figures["length"] = f"{recent['rollout/ep_len_mean']:.1f}"
        for name, value in self._learner.latest.items():
            if name.startswith(("reward/", "curriculum/difficulty", "memory/process")):
                figures[name] = f"{value:.3g}"
        if self._evaluation is not None:
            figures["last evaluation"] = self._evaluated()
        table = Table.grid(padding=(0, 2))
        for name, text in figures.items():
            table.add_row(Text(name, style="dim"), Text(text))
        return Group(self._bar, table)
