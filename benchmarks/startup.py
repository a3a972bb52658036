"""Seconds from the start of a process to its first step, and with `--solve` to a solved policy: warm and cold.

Warm runs share a kernel cache that an earlier run has filled; each cold one begins with an empty cache, in which
Genesis compiles every kernel. The caches are temporary folders, the user's own is not touched. Contestants
alternate, one process at a time. The files of the packages are in the page cache of the system, as after any
earlier start.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common import RESULTS, draw, format_spread, machine, markdown, spread, take_turns, write_results
from time_to_solve import OURS, each_seed, solve

#: What is timed → the program; `run` appends a line that prints the time at its end.
PROGRAMS = {
    "import genesis_gym": "import genesis_gym",
    "first step, 128 environments of Genesis alone": """
import genesis as gs
gs.init(backend=gs.cpu, logging_level="error")
rigid = gs.options.RigidOptions(enable_self_collision=False)
scene = gs.Scene(sim_options=gs.options.SimOptions(dt=0.01), rigid_options=rigid, show_viewer=False)
scene.add_entity(gs.morphs.Plane())
scene.add_entity(gs.morphs.MJCF(file="xml/franka_emika_panda/panda_no_tendon.xml"))
scene.build(n_envs=128)
scene.reset()
scene.step()
""",
    "first step, 1 environment": """
import genesis_gym, gymnasium
env = gymnasium.make("Genesis/FrankaReach-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
""",
    "first step, 128 environments": """
import genesis_gym, gymnasium
env = gymnasium.make_vec("Genesis/FrankaReach-v0", num_envs=128)
env.reset(seed=0)
env.step(env.action_space.sample())
""",
}


def cached_in(folder: str) -> dict[str, str]:
    """Environment variables that put what Genesis keeps between processes into a folder."""
    return {"QD_OFFLINE_CACHE_FILE_PATH": f"{folder}/kernels", "GS_CACHE_FILE_PATH": f"{folder}/meshes"}


def run(program: str, folder: str) -> float:
    """Run a program with its caches in a folder; seconds until it was done."""
    code = f"{program}\nimport json, time\nprint(json.dumps(time.time()), flush=True)"
    begin = time.time()
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **cached_in(folder)},
    )
    return float(json.loads(done.stdout.splitlines()[-1])) - begin


def run_until_solved(library: str, folder: str, seed: int) -> float | None:
    """Solve reach with the caches in a folder; seconds, or None if it was not solved."""
    outcome = solve(library, seed, cached_in(folder))
    return float(outcome["seconds"]) if outcome["solved"] else None


def in_empty(measure: Callable[..., float | None], **settings: int) -> float | None:
    """Measure with empty caches."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(folder=folder, **settings)


def main() -> None:
    """Measure, print the table, write JSON and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--solve", action="store_true", help="also to a solved policy, seeds 0, 1, …")
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    options = parser.parse_args()

    facts = machine()
    turns: dict[str, Callable[[], float | None]] = {}
    with tempfile.TemporaryDirectory() as filled:
        for name, program in PROGRAMS.items():
            run(program, filled)  # fills it
            turns[f"{name}, warm"] = partial(run, program, filled)
            if name != "import genesis_gym":  # it does not look into the cache
                turns[f"{name}, cold"] = partial(in_empty, partial(run, program))
        for name, library in OURS.items() if options.solve else ():
            attempt = partial(run_until_solved, library)
            attempt(folder=filled, seed=0)
            turns[f"{name} solved, warm"] = each_seed(partial(attempt, folder=filled))
            turns[f"{name} solved, cold"] = each_seed(partial(in_empty, attempt))
        measured = take_turns(turns, options.rounds)

    results = {}
    for name, values in measured.items():
        done = [value for value in values if value is not None]
        results[name] = {
            "seconds": spread(done) if done else None,
            "failed": len(values) - len(done),
            "rounds": [value and round(value, 2) for value in values],
        }
    header = ("from the start of the process to", "seconds, median (min to max)", "failed")
    lines = [
        (name, format_spread(result["seconds"]) if result["seconds"] else "", result["failed"])
        for name, result in results.items()
    ]
    print(markdown(header, lines))
    write_results(options.out, {"machine": facts, "results": results})
    spreads = {name: result["seconds"] for name, result in results.items() if result["seconds"]}
    draw(options.out.with_suffix(".png"), "Start of the process to …", "seconds", spreads)


if __name__ == "__main__":
    main()
