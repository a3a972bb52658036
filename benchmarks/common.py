"""What the benchmarks share: taking turns, workers, spread, tables and files.

It needs the standard library only, and matplotlib for pictures: workers use it where other packages are installed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO, TypeVar

Measured = TypeVar("Measured")

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"

#: Where `make .venv-peers/installed` puts the peers' packages.
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"

#: Share of deterministic evaluation episodes that solves a task.
SOLVED_RATE = 0.95

#: Median and extremes.
Spread = dict[str, float]


def take_turns(contestants: Mapping[str, Callable[[], Measured]], rounds: int) -> dict[str, list[Measured]]:
    """Let all contestants work once in each round, one after the other: a noisy machine slows all of them alike.

    Args:
        contestants: Name → what measures it once.
        rounds: How often.

    Returns:
        Name → what it measured, round by round.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in contestants}
    for i in range(rounds):
        for name, measure in contestants.items():
            print(f"round {i + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            measured[name].append(measure())
    return measured


def calls_per_second(step: Callable[[int], Any], seconds: float) -> float:
    """Call `step(0)`, `step(1)`, … for some seconds, at least once."""
    calls, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds or calls == 0:
        step(calls)
        calls += 1
    return calls / elapsed


def spread(values: Sequence[float]) -> Spread:
    """Median and extremes, rounded to what matters."""
    digits = 3 if max(values) < 100 else 0
    summary = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in summary.items()}


def ratios(values: Sequence[float], reference: Sequence[float]) -> Spread:
    """Spread of the ratio to another contestant, taken round by round."""
    return spread([value / other for value, other in zip(values, reference, strict=True)])


def format_spread(values: Spread) -> str:
    """Median and extremes in words, with three digits or so."""
    digits = 0 if values["max"] >= 100 else 1 if values["max"] >= 10 else 2
    low, median, high = (f"{values[name]:,.{digits}f}" for name in ("min", "median", "max"))
    return f"{median} ({low} to {high})"


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine() -> dict[str, Any]:
    """What the figures were taken on, and how busy it was before."""
    load, _, _ = os.getloadavg()
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_before": round(load, 2),
        "python": platform.python_version(),
        "packages": versions("genesis-world", "torch", "stable_baselines3", "rsl-rl-lib", "mujoco"),
    }


def versions(*packages: str) -> dict[str, str]:
    """Versions of those packages that are installed here."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


def draw(path: Path, title: str, unit: str, spreads: Mapping[str, Spread], *, log: bool = False) -> None:
    """Draw a point for each median, with its extremes as whiskers, and write a PNG."""
    from matplotlib.figure import Figure  # not pyplot: it needs no display

    figure = Figure(figsize=(8, 1.2 + 0.32 * len(spreads)), layout="constrained")
    axes = figure.add_subplot()
    low, median, high = ([each[name] for each in spreads.values()] for name in ("min", "median", "max"))
    below, above = ([abs(b - a) for a, b in zip(median, ends, strict=True)] for ends in (low, high))
    axes.errorbar(median, list(spreads), xerr=[below, above], fmt="o", capsize=3)
    axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    axes.set(title=title, xlabel=unit)
    if log:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    figure.savefig(path, dpi=120)


class Worker:
    """A process that works when it is asked to and sleeps otherwise, so that one contestant at a time runs.

    Attributes:
        facts: What it told when it was ready.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it is ready.

        Args:
            command: What to run; it calls `serve`.
            variables: Environment variables that differ from those of this process.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(variables or {})},
        )
        self.facts = self._answer()

    def ask(self, **request: Any) -> Any:
        """Send a request and wait for the answer; both are JSON."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with status {self._process.wait()}")
        return json.loads(line)


def claim_stdout() -> TextIO:
    """Keep standard output for answers; what others print there, C libraries too, goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return channel


def serve(channel: TextIO, facts: Mapping[str, Any], answer: Callable[..., Any]) -> None:
    """Be a `Worker`: tell the facts, then answer each request until standard input ends.

    Args:
        channel: What `claim_stdout` gave.
        facts: What the other side finds in `Worker.facts`.
        answer: Called with the fields of each request.
    """
    print(json.dumps(facts), file=channel)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=channel)


def check_peers_python(python: Path) -> None:
    """End with a hint if the peers are not installed."""
    if not python.exists():
        sys.exit(f"{python} is missing: make .venv-peers/installed")


def memory_mb() -> dict[str, float]:
    """Memory of this process and of those that it started.

    Returns:
        `rss`, all that is resident, and `pss`, the same with pages that processes share divided among them.
    """
    import psutil

    process = psutil.Process()
    infos = [each.memory_full_info() for each in (process, *process.children(recursive=True))]
    return {name: round(sum(getattr(info, name) for info in infos) / 1e6, 1) for name in ("rss", "pss")}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
