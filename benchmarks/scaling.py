"""Scaling with environments and cores: steps per second and memory of FrankaReach.

Each number of environments is a process of its own that sleeps while the others take their turns; the core is
stepped with random actions and automatic resets. Cores are used in two ways: one process with several threads
and several processes at once. Memory is what is resident in main memory before the first turn; that of a GPU is
not counted.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from common import RESULTS, Worker, format_spread, machine, markdown, spread, take_turns, write_results
from steppers import command

#: Environments of each process where the use of cores is measured.
CORES_ENVS = 256


def start(num_envs: int, threads: int = 1) -> Worker:
    """Start a process with this many environments."""
    variables = {"GS_PARA_LEVEL": str(threads), "QD_NUM_THREADS": str(threads)} if threads > 1 else {}
    return Worker(command(sys.executable, "genesis", num_envs=num_envs), variables)


def step_together(workers: list[Worker], seconds: float) -> float:
    """Steps/s of all of them together, stepping at the same time."""
    with ThreadPoolExecutor(len(workers)) as pool:
        return sum(pool.map(lambda worker: worker.ask(seconds=seconds, form="core"), workers))


def draw(path: Path, results: list[dict[str, Any]]) -> None:
    """Plot steps/s and memory over the number of environments and write a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    rates, memory = figure.subplots(1, 2)
    sizes = [each["num_envs"] for each in results]
    spreads = [each["steps_per_second"] for each in results]
    rates.plot(sizes, [each["median"] for each in spreads], marker="o")
    rates.fill_between(sizes, [s["min"] for s in spreads], [s["max"] for s in spreads], alpha=0.3)
    rates.set(xscale="log", yscale="log", xlabel="environments", ylabel="steps/s")
    memory.plot(sizes, [each["memory_mb"] for each in results], marker="o")
    memory.set(xscale="log", xlabel="environments", ylabel="resident memory, MB", ylim=(0, None))
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, print the tables, write JSON and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024, 4096])
    parser.add_argument("--cores", type=int, default=2, help="threads and processes to try; 1 for neither")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each contestant in each round")
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.json")
    options = parser.parse_args()

    facts = machine()
    sizes = {n: start(n) for n in sorted(options.num_envs)}
    ways: dict[str, list[Worker]] = {}
    if options.cores > 1:
        processes = [start(CORES_ENVS) for _ in range(options.cores)]
        ways["1 process"] = processes[:1]
        ways[f"1 process, {options.cores} threads"] = [start(CORES_ENVS, options.cores)]
        ways[f"{options.cores} processes"] = processes
    groups = {f"{n} environments": [worker] for n, worker in sizes.items()} | ways
    rates = take_turns(
        {name: partial(step_together, workers, options.seconds) for name, workers in groups.items()},
        options.rounds,
    )

    least = min(sizes)
    results = []
    for n, worker in sizes.items():
        memory = worker.facts["memory"]["rss"]
        more = memory - sizes[least].facts["memory"]["rss"]
        results.append(
            {
                "num_envs": n,
                "steps_per_second": spread(rates[f"{n} environments"]),
                "microseconds_per_step": spread([1e6 / value for value in rates[f"{n} environments"]]),
                "memory_mb": memory,
                "memory_mb_per_further_env": round(more / (n - least), 3) if n > least else None,
            }
        )
    cores = {name: spread(rates[name]) for name in ways}
    device = sizes[least].facts["device"]
    for worker in {id(worker): worker for workers in groups.values() for worker in workers}.values():
        worker.close()

    header = ("envs", "steps/s", "µs per environment step", "resident, MB", f"MB per environment beyond {least}")
    lines = [
        (
            each["num_envs"],
            format_spread(each["steps_per_second"]),
            format_spread(each["microseconds_per_step"]),
            f"{each['memory_mb']:,.0f}",
            each["memory_mb_per_further_env"] or "",
        )
        for each in results
    ]
    print(markdown(header, lines), end="\n\n")
    if cores:
        print(
            markdown(
                (f"{CORES_ENVS} environments in each process", "steps/s"),
                [(k, format_spread(v)) for k, v in cores.items()],
            )
        )
    write_results(options.out, {"machine": facts, "device": device, "results": results, "cores": cores})
    draw(options.out.with_suffix(".png"), results)


if __name__ == "__main__":
    main()
