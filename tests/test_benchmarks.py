"""What the benchmarks count and how they take turns; none of this needs the peers' packages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_contestants_take_turns(benchmark) -> None:
    common = benchmark("common")
    calls: list[str] = []
    turns = {name: lambda name=name: calls.append(name) or len(calls) for name in "AB"}
    assert common.take_turns(turns, 2) == {"A": [1, 3], "B": [2, 4]}
    assert calls == ["A", "B", "A", "B"]


def test_spread_and_ratios(benchmark) -> None:
    common = benchmark("common")
    assert common.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    # Round by round: the ratio of medians would be 2 / 20.
    assert common.ratios([1.0, 2.0, 6.0], [10.0, 40.0, 20.0]) == {"median": 0.1, "min": 0.05, "max": 0.3}
    assert common.format_spread({"median": 1234.5, "min": 1.0, "max": 2000.0}) == "1,234 (1 to 2,000)"


def test_a_worker_answers_and_its_noise_does_not(benchmark, tmp_path) -> None:
    common = benchmark("common")
    script = tmp_path / "worker.py"
    script.write_text(
        f"import os, sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from common import claim_stdout, serve\n"
        "channel = claim_stdout(); print('noise'); os.write(1, b'noise')\n"
        "serve(channel, {'ready': os.environ['NAME']}, lambda number: 10 // number)\n"
    )
    worker = common.Worker([sys.executable, str(script)], {"NAME": "me"})
    assert worker.facts == {"ready": "me"}
    assert worker.ask(number=5) == 2
    with pytest.raises(RuntimeError, match="status 1"):
        worker.ask(number=0)
    worker.close()


def test_the_reference_physics_steps(benchmark) -> None:
    common, steppers = benchmark("common"), benchmark("steppers")
    worker = common.Worker(steppers.command(sys.executable, "mujoco", threads=1, num_envs=2))
    assert worker.facts["step_seconds"] == 0.02
    assert worker.facts["memory"]["rss"] > worker.facts["memory_before"]["rss"] > 0
    assert worker.ask(seconds=0.01) > 0
    worker.close()


def test_importing_takes_time(benchmark, tmp_path) -> None:
    startup = benchmark("startup")
    assert 0 < startup.run(startup.PROGRAMS["import genesis_gym"], str(tmp_path)) < 60
    assert startup.in_empty(lambda folder: len(list(Path(folder).iterdir()))) == 0


def test_an_unsolved_seed_has_no_time(benchmark, tmp_path) -> None:
    solving, common = benchmark("time_to_solve"), benchmark("common")
    attempt = solving.each_seed(lambda seed: {"solved": seed != 1, "seconds": 10.0 + seed, "steps": 1000})
    result = solving.summarise([attempt(), attempt(), attempt()])
    assert result["solved"] == 2 and result["seconds"] == {"median": 11.0, "min": 10.0, "max": 12.0}
    row = solving.tabulate({"ours": result}).splitlines()[-1]
    assert row == "| ours | 2 of 3 | 11.0 (10.0 to 12.0) | 10.0, unsolved, 12.0 | 1,000, 1,000, 1,000 |"
    common.draw(tmp_path / "points.png", "title", "seconds", {"ours": result["seconds"]})
    assert (tmp_path / "points.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("failures", "solved", "episodes"), [(5, True, 100), (6, False, 6)])
def test_95_of_100_episodes_solve(benchmark, monkeypatch, failures: int, solved: bool, episodes: int) -> None:
    callback = benchmark("solve_peer").UntilSolved(None, every=1000)
    played: list[int] = []

    def succeeds(seed: int) -> bool:
        played.append(seed)
        return len(played) > failures

    monkeypatch.setattr(callback, "_succeeds", succeeds)
    assert callback._evaluate() is solved
    assert len(played) == len(set(played)) == episodes


@pytest.mark.parametrize("script", ["peers", "time_to_solve"])
def test_missing_peers_are_told(benchmark, monkeypatch, tmp_path, script: str) -> None:
    words: list[Any] = [script, "--peers-python", str(tmp_path / "python")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match=r"make \.venv-peers/installed"):
        benchmark(script).main()


def test_the_best_form_of_each_package_is_compared(benchmark) -> None:
    results = [
        {"package": "genesis-gym", "form": form, "steps_per_second": {"median": rate}}
        for form, rate in (("raw", 9), ("core", 8), ("make_vec", 3), ("make_vec", 7))
    ]
    assert benchmark("peers").best_of("genesis-gym", results) is results[3]
