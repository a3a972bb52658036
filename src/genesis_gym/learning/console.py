"""Status lines on a console while something long runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

#: Seconds between two signs of life where there is no terminal.
HEARTBEAT_SECONDS = 15.0


@contextmanager
def status(console: Console, title: str) -> Iterator[None]:
    """Show that something long is running, and in the end how long it took.

    Args:
        console: Where.
        title: What is running.
    """
    begin = time.monotonic()
    finished = threading.Event()

    def beat() -> None:
        while not finished.wait(HEARTBEAT_SECONDS):
            console.print(f"  still running after {time.monotonic() - begin:.0f} s")

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    spinner = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    spinner.add_task(title)
    if console.is_terminal:
        spinner.start()
    else:
        console.print(f"{title} …")
        threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        finished.set()
        spinner.stop()
    console.print(f"{title}: {time.monotonic() - begin:.1f} s")
