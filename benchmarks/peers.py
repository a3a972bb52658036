"""Steps per second beside other packages: panda-gym, Gymnasium-Robotics, raw Genesis and `mujoco.rollout`.

Each contestant is a process of its own that sleeps while the others take their turns. A control step is 20 ms
here and 40 ms there, so compare simulated seconds per second. The tables show the median over rounds and the
extremes; memory counts pages that processes share once.

The peers are in a virtual environment of their own: `make .venv-peers/installed`.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from common import (
    PEERS_PYTHON,
    RESULTS,
    Worker,
    check_peers_python,
    draw,
    format_spread,
    machine,
    markdown,
    ratios,
    spread,
    take_turns,
    write_results,
)
from steppers import command

PEERS = {"panda-gym PandaReach-v3": "PandaReach-v3", "Gymnasium-Robotics FetchReach-v4": "FetchReach-v4"}
FORMS: dict[str, dict[str, Any]] = {
    "one": {},
    "AsyncVectorEnv": {"vectorised": "async", "num_envs": 8},
    "SubprocVecEnv": {"vectorised": "subproc", "num_envs": 8},
}
OUR_FORMS = ("raw", "core", "make_vec")
ROLLOUT_ENVS = 64


def start(sizes: list[int], peers_python: Path) -> dict[tuple[str, str, int], tuple[Worker, dict[str, Any]]]:
    """Start all processes.

    Returns:
        Package, form and number of environments of each contestant → its process and what to ask it.
    """
    started: dict[tuple[str, str, int], tuple[Worker, dict[str, Any]]] = {}
    for num_envs in sizes:
        worker = Worker(command(sys.executable, "genesis", num_envs=num_envs))
        started.update({("genesis-gym", form, num_envs): (worker, {"form": form}) for form in OUR_FORMS})
    single = Worker(command(sys.executable, "gymnasium", env_id="Genesis/FrankaReach-v0"))
    started["genesis-gym", "one", 1] = (single, {})
    for threads, form in ((1, "1 thread"), (2, "2 threads")):
        worker = Worker(command(sys.executable, "mujoco", threads=threads, num_envs=ROLLOUT_ENVS))
        started["mujoco.rollout", form, ROLLOUT_ENVS] = (worker, {})
    for name, env_id in PEERS.items():
        for form, settings in FORMS.items():
            words = command(peers_python, "gymnasium", env_id=env_id, **settings)
            worker = Worker(words, {"OMP_NUM_THREADS": "1"})
            started[name, form, settings.get("num_envs", 1)] = (worker, {})
    return started


def best_of(name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The fastest form of a package; of this one, by `make_vec`."""
    forms = [each for each in results if each["package"] == name and each["form"] not in ("raw", "core")]
    return max(forms, key=lambda each: each["steps_per_second"]["median"])


def main() -> None:
    """Measure, print the tables, write JSON and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--num-envs", type=int, nargs="+", default=[1, 64, 256, 1024], help="environments of this package"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each contestant in each round")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON)
    parser.add_argument("--out", type=Path, default=RESULTS / "peers.json")
    options = parser.parse_args()
    check_peers_python(options.peers_python)

    facts = machine()
    started = start(options.num_envs, options.peers_python)
    turns = {
        f"{name}, {form} x {num_envs}": partial(worker.ask, seconds=options.seconds, **request)
        for (name, form, num_envs), (worker, request) in started.items()
    }
    rates = take_turns(turns, options.rounds)
    results = []
    for ((name, form, num_envs), (worker, _)), values in zip(started.items(), rates.values(), strict=True):
        results.append(
            {
                "package": name,
                "form": form,
                "num_envs": num_envs,
                "steps_per_second": spread(values),
                "simulated_seconds_per_second": spread([v * worker.facts["step_seconds"] for v in values]),
                "memory_mb": worker.facts["memory"]["pss"],
                "rounds": [round(value, 1) for value in values],
            }
        )
    for worker in {id(worker): worker for worker, _ in started.values()}.values():
        worker.close()

    ours = best_of("genesis-gym", results)
    step_seconds = {name: worker.facts["step_seconds"] for (name, _, _), (worker, _) in started.items()}
    comparison = []
    for peer in (*PEERS, "mujoco.rollout"):
        best = best_of(peer, results)
        steps = ratios(ours["rounds"], best["rounds"])
        scale = step_seconds["genesis-gym"] / step_seconds[peer]
        simulated = {name: round(value * scale, 3) for name, value in steps.items()}
        comparison.append({"peer": peer, "form": best["form"], "steps": steps, "simulated": simulated})

    header = ("package", "form", "envs", "steps/s", "simulated s per s", "MB per env")
    lines = [
        (
            each["package"],
            each["form"],
            each["num_envs"],
            format_spread(each["steps_per_second"]),
            format_spread(each["simulated_seconds_per_second"]),
            f"{each['memory_mb'] / each['num_envs']:.1f}",
        )
        for each in results
    ]
    print(markdown(header, lines), end="\n\n")
    header = (
        f"make_vec, {ours['num_envs']} environments, relative to the best of",
        "form",
        "steps/s",
        "simulated time",
    )
    print(
        markdown(
            header,
            [(c["peer"], c["form"], format_spread(c["steps"]), format_spread(c["simulated"])) for c in comparison],
        )
    )
    write_results(options.out, {"machine": facts, "results": results, "comparison": comparison})
    spreads = {
        f"{each['package']}, {each['form']} x {each['num_envs']}": each["simulated_seconds_per_second"]
        for each in results
    }
    draw(options.out.with_suffix(".png"), "Reach", "simulated seconds per second", spreads, log=True)


if __name__ == "__main__":
    main()
