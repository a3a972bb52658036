"""What a person sees while training runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from stable_baselines3.common.callbacks import BaseCallback

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
    """A progress bar with success rate and steps/s; without a terminal, one line for each tenth."""

    def __init__(self, console: Console, timesteps: int) -> None:
        super().__init__()
        self._console = console
        self._timesteps = timesteps
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("success {task.fields[success]}  {task.fields[rate]:,.0f} steps/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=False,
            disable=not console.is_terminal,
        )

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()
        self._next_line = 0.1
        self._bar = self._progress.add_task("Training", total=self._timesteps, success="  —", rate=0.0)
        self._progress.start()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        rate = self.num_timesteps / (time.perf_counter() - self._start)
        successes = self.model.ep_success_buffer
        success = f"{np.mean(successes):4.0%}" if successes else "  —"
        self._progress.update(
            self._bar, completed=min(self.num_timesteps, self._timesteps), success=success, rate=rate
        )
        share = self.num_timesteps / self._timesteps
        if not self._console.is_terminal and share >= self._next_line:
            self._next_line = share + 0.1
            done = f"training {min(share, 1):4.0%}  {self.num_timesteps:,} steps"
            self._console.print(f"{done}  success {success}  {rate:,.0f} steps/s")

    def _on_training_end(self) -> None:
        self._progress.stop()
