"""Seconds from the start of the process until reach is solved: 95 of 100 deterministic episodes within 5 cm.

Evaluations during training are included, and the first that reaches 95 ends the clock. Seeds alternate between
the contestants, one process at a time. Every seed is reported; one that ends unsolved is a failure and has no
time. Every contestant has run once before the clock counts, so that the kernel cache is filled.

The tasks are each package's own reach. The peers drive the end effector, to targets within 15 cm of its start;
ours drives the seven joints, to targets in a box of 40 × 60 × 30 cm. This package also solves reach more
tightly, 99 of 100 within 2 cm. The peers are in a virtual environment of their own: `make
.venv-peers/installed`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from common import (
    PEERS_PYTHON,
    RESULTS,
    SOLVED_RATE,
    Measured,
    check_peers_python,
    draw,
    format_spread,
    machine,
    markdown,
    spread,
    take_turns,
    write_results,
)

PEER_SCRIPT = Path(__file__).with_name("solve_peer.py")

#: What an attempt tells: `solved`, `seconds`, `cpu_seconds` and `steps`.
Outcome = dict[str, Any]

OURS = {"genesis-gym, SB3 PPO": "sb3", "genesis-gym, RSL-RL PPO": "rsl_rl"}

#: The same within 2 cm; the steps are a bound that no seed should need.
TIGHT = ("--import", "tight_reach", "--env", "Genesis/FrankaReachTight-v0", "--timesteps", "900000")
TIGHT_RATE = 0.99
PEERS = {
    "panda-gym PandaReachDense-v3, SB3 PPO": ("PandaReachDense-v3", "PPO"),
    "panda-gym PandaReach-v3, SB3 SAC + HER": ("PandaReach-v3", "SAC"),
    "FetchReach-v4, SB3 SAC + HER": ("FetchReach-v4", "SAC"),
}


def solve(library: str, seed: int, variables: Mapping[str, str] | None = None, *, tight: bool = False) -> Outcome:
    """Let `genesis-gym train` solve reach by its default preset.

    Args:
        library: `"sb3"` or `"rsl_rl"`.
        seed: Of the training.
        variables: Environment variables that differ from those of this process.
        tight: Within 2 cm instead of 5, and in 99 of 100 episodes instead of 95.
    """
    rate = TIGHT_RATE if tight else SOLVED_RATE
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, **(variables or {})}
    with tempfile.TemporaryDirectory() as parent:
        run = Path(parent) / "run"
        words = ["train", "--library", library, "--seed", str(seed), "--stop-at-success", str(rate)]
        words += TIGHT if tight else ()
        command = [str(Path(sys.executable).with_name("genesis-gym")), *words, "--out", str(run), "--quiet"]
        before = _cpu_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        cpu = _cpu_seconds() - before
        seconds = json.loads((run / "run.json").read_text())["seconds"]
        evaluation = json.loads((run / "evaluation.json").read_text())
        with (run / "progress.csv").open(newline="") as file:
            steps = max(int(float(row["time/total_timesteps"])) for row in csv.DictReader(file))
    return {
        "solved": evaluation["success_rate"] >= rate,
        "seconds": round(sum(value for phase, value in seconds.items() if phase != "pictures"), 2),
        "cpu_seconds": round(cpu, 2),  # with the pictures
        "steps": steps,
    }


def solve_peer(python: Path, env_id: str, algorithm: str, seed: int) -> Outcome:
    """Let `solve_peer.py` solve a peer's reach."""
    command = [str(python), str(PEER_SCRIPT), env_id, algorithm, "--seed", str(seed)]
    before, begin = _cpu_seconds(), time.time()
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    outcome: Outcome = json.loads(done.stdout)
    outcome["seconds"] = round(outcome.pop("ended") - begin, 2)
    return {**outcome, "cpu_seconds": round(_cpu_seconds() - before, 2)}


def each_seed(attempt: Callable[..., Measured]) -> Callable[[], Measured]:
    """What makes an attempt with seed 0, then 1, and so on, as often as it is called."""
    seeds = count()
    return lambda: attempt(seed=next(seeds))


def summarise(outcomes: list[Outcome]) -> dict[str, Any]:
    """Spread of the seconds of those that were solved, and how many were."""
    seconds = [outcome["seconds"] for outcome in outcomes if outcome["solved"]]
    return {
        "solved": len(seconds),
        "seconds": spread(seconds) if seconds else None,
        "seeds": outcomes,
    }


def tabulate(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Tell all seeds in a table."""
    header = ("", "solved", "seconds, median (min to max)", "seconds of each seed", "steps of each seed")
    lines = []
    for name, result in results.items():
        seeds = result["seeds"]
        lines.append(
            (
                name,
                f"{result['solved']} of {len(seeds)}",
                format_spread(result["seconds"]) if result["seconds"] else "",
                ", ".join(f"{each['seconds']:.1f}" if each["solved"] else "unsolved" for each in seeds),
                ", ".join(f"{each['steps']:,}" for each in seeds),
            )
        )
    return markdown(header, lines)


def _cpu_seconds() -> float:
    """Of all processes that were started from here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, print the table, write JSON and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, … of each contestant")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON)
    parser.add_argument("--out", type=Path, default=RESULTS / "time_to_solve.json")
    options = parser.parse_args()
    check_peers_python(options.peers_python)

    facts = machine()
    for library in OURS.values():
        solve(library, seed=0)
    subprocess.run([options.peers_python, PEER_SCRIPT, "--help"], check=True, stdout=subprocess.DEVNULL)
    attempts: dict[str, Callable[..., Outcome]] = {
        **{name: partial(solve, library) for name, library in OURS.items()},
        **{f"{name}, within 2 cm": partial(solve, library, tight=True) for name, library in OURS.items()},
        **{name: partial(solve_peer, options.peers_python, *peer) for name, peer in PEERS.items()},
    }
    turns = {name: each_seed(attempt) for name, attempt in attempts.items()}
    results = {name: summarise(outcomes) for name, outcomes in take_turns(turns, options.seeds).items()}
    print(tabulate(results))
    write_results(options.out, {"machine": facts, "results": results})
    spreads = {name: result["seconds"] for name, result in results.items() if result["seconds"]}
    if spreads:
        draw(options.out.with_suffix(".png"), "Start of the process to reach solved", "seconds", spreads)


if __name__ == "__main__":
    main()
