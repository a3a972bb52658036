"""What a person sees while training runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from stable_baselines3.common.callbacks import BaseCallback

from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.evaluation.evaluate import EvaluationResult

#: Without a terminal, seconds between two signs of life.
HEARTBEAT_SECONDS = 15.0


@contextmanager
def announced(console: Console, title: str) -> Iterator[None]:
    """Show that something long is running, and how long it took.

    Args:
        console: Where.
        title: What is running.
    """
    begin = time.perf_counter()
    finished = threading.Event()

    def beat() -> None:
        while not finished.wait(HEARTBEAT_SECONDS):
            console.print(f"  still at it after {time.perf_counter() - begin:.0f} s")

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    spinner = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    spinner.add_task(title)
    heart = threading.Thread(target=beat, daemon=True)
    if console.is_terminal:
        spinner.start()
    else:
        console.print(f"{title} …")
        heart.start()
    try:
        yield
    finally:
        finished.set()
        spinner.stop()
    console.print(f"{title}: {time.perf_counter() - begin:.1f} s")


class TrainingProgress(BaseCallback):
    """A live dashboard on a terminal: progress, success, return, reward terms, difficulty, the last evaluation.

    Without a terminal one line for each tenth of the training, and nothing on a quiet console.
    """

    def __init__(self, console: Console, config: TrainConfig) -> None:
        super().__init__()
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

    def _on_training_start(self) -> None:
        self._start, self._first = time.perf_counter(), self.num_timesteps
        self._next_line = self.num_timesteps / self._timesteps + 0.1
        self._shown = 0.0
        self._task = self._bar.add_task("", total=self._timesteps, completed=self.num_timesteps, rate=0.0)
        if self._console.is_terminal:
            self._live.start()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        now = time.perf_counter()
        if self._console.is_terminal and now - self._shown > 0.25:
            self._shown = now
            self._live.update(self._dashboard())
        share = self.num_timesteps / self._timesteps
        if not self._console.is_terminal and share >= self._next_line:
            self._next_line = share + 0.1
            done = f"training {min(share, 1):4.0%}  {self.num_timesteps:,} steps"
            self._console.print(f"{done}  success {self._success()}  {self._rate():,.0f} steps/s")

    def _on_training_end(self) -> None:
        if self._console.is_terminal:
            self._live.update(self._dashboard())

    def show_evaluation(self, result: EvaluationResult) -> None:
        """Show an evaluation that took place during training.

        Args:
            result: Its figures.
        """
        self._evaluation = result
        if not self._console.is_terminal:
            self._console.print(f"evaluation at {self.num_timesteps:,} steps: {self._evaluated()}")

    def _evaluated(self) -> str:
        assert self._evaluation is not None
        return f"success {self._evaluation.success_rate:.0%}, return {self._evaluation.mean_reward:.2f}"

    def _rate(self) -> float:
        return (self.num_timesteps - self._first) / (time.perf_counter() - self._start)

    def _success(self) -> str:
        successes = self.model.ep_success_buffer
        return f"{np.mean(successes):4.0%}" if successes else "  —"

    def _dashboard(self) -> Group:
        self._bar.update(self._task, completed=min(self.num_timesteps, self._timesteps), rate=self._rate())
        figures = {"success": self._success()}
        if episodes := self.model.ep_info_buffer:
            figures["return"] = f"{np.mean([episode['r'] for episode in episodes]):.2f}"
            figures["length"] = f"{np.mean([episode['l'] for episode in episodes]):.1f}"
        for name, value in self.logger.name_to_value.items():
            if name.startswith(("reward/", "curriculum/difficulty", "memory/process")):
                figures[name] = f"{value:.3g}"
        if self._evaluation is not None:
            figures["last evaluation"] = self._evaluated()
        table = Table.grid(padding=(0, 2))
        for name, text in figures.items():
            table.add_row(Text(name, style="dim"), Text(text))
        return Group(self._bar, table)
