"""Steps per second of FrankaReach through each face, beside raw `scene.step()` of the same scene.

For each number of rows one scene is built, and rounds of raw, core, `make_vec` and SB3 stepping alternate on it,
so that a noisy machine slows all of them alike. Reported are the median over rounds and the extremes.

`raw` makes the same arms do the same motion without this package: it replays the joint targets of a recorded
rollout through Genesis alone, since the cost of a physics step depends on what moves and touches.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from rich.console import Console
from rich.table import Table

from genesis_gym import BatchedEnv, GenesisSb3VecEnv, GenesisVectorEnv
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.core.env import DECIMATION
from genesis_gym.runtime import describe_device

#: Environment steps/s and simulated seconds per second of the best vectorised peers on the same 2 cores.
PEERS = {
    "panda-gym PandaReach-v3, 8 processes": (1_099, 44),
    "Gymnasium-Robotics FetchReach-v4, 8 processes": (1_377, 55),
}
FACES = ("raw", "core", "make_vec", "sb3")

EPISODE = 100


def record_commands(core: BatchedEnv, actions: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Joint targets, position and velocity, of an episode of random actions."""
    commands = []
    core.reset(seed=0)
    command = core.robot.command
    core.robot.command = lambda *targets: (commands.append(targets), command(*targets))  # type: ignore[method-assign]
    for action in actions:
        core.step(action)
    core.robot.command = command  # type: ignore[method-assign]
    return commands


def measure(num_envs: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Alternate the faces on one scene; steps/s of each."""
    vector = GenesisVectorEnv(num_envs, use_gpu=torch.cuda.is_available(), autoreset_mode="SameStep")
    core = vector.core
    sb3 = GenesisSb3VecEnv(core)
    autoreset = Autoreset(core, AutoresetMode.SAME_STEP)
    actions = np.random.default_rng(0).uniform(-1, 1, (EPISODE, num_envs, core.action_dim)).astype(np.float32)
    tensors = torch.from_numpy(actions).to(core.device)

    scene, robot = core.simulation.scene, core.robot
    commands = record_commands(core, tensors)

    def raw(i: int) -> None:
        if i % len(commands) == 0:
            scene.reset()
            robot.hold_gripper(1.0)
        robot.entity.control_dofs_position_velocity(*commands[i % len(commands)], robot.dofs)
        for _ in range(DECIMATION):
            scene.step()

    faces: dict[str, Callable[[int], Any]] = {
        "raw": raw,
        "core": lambda i: autoreset.step(tensors[i % EPISODE]),
        "make_vec": lambda i: vector.step(actions[i % EPISODE]),
        "sb3": lambda i: sb3.step(actions[i % EPISODE]),
    }
    rates: dict[str, list[float]] = {name: [] for name in FACES}
    vector.reset(seed=0)
    for name in FACES:  # first calls compile what is not in the kernel cache
        for i in range(5):
            faces[name](i)
    for _ in range(rounds):
        for name in FACES:
            vector.reset(seed=0)
            steps, begin = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - begin) < seconds:
                faces[name](steps)
                steps += 1
            rates[name].append(steps * num_envs / elapsed)
    control_dt, device = core.control_dt, describe_device()
    vector.close()
    ratio = {name: [r / raw for r, raw in zip(rates[name], rates["raw"], strict=True)] for name in FACES}
    return {
        "num_envs": num_envs,
        "device": device,
        "steps_per_second": {name: spread(values) for name, values in rates.items()},
        "ratio_to_raw": {name: spread(values) for name, values in ratio.items()},
        "simulated_seconds_per_second": {
            name: round(statistics.median(v) * control_dt, 1) for name, v in rates.items()
        },
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and extremes."""
    digits = 3 if max(values) < 100 else 0
    summary = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in summary.items()}


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=[1, 64, 256, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each face in each round")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/step_rate.json"))
    options = parser.parse_args()

    results = []
    table = Table(
        "rows", "face", "steps/s (min to max)", "of raw scene.step", "simulated s/s", title="FrankaReach"
    )
    for num_envs in options.num_envs:
        result = measure(num_envs, options.rounds, options.seconds)
        results.append(result)
        for name in FACES:
            rate, ratio = result["steps_per_second"][name], result["ratio_to_raw"][name]
            table.add_row(
                str(num_envs) if name == FACES[0] else "",
                name,
                f"{rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f})",
                f"{ratio['median']:.2f}",
                f"{result['simulated_seconds_per_second'][name]:,.0f}",
                end_section=name == FACES[-1],
            )
    console = Console()
    console.print(table)
    at_256 = next((r for r in results if r["num_envs"] == 256), None)
    comparison = {}
    if at_256:
        rate = at_256["steps_per_second"]["make_vec"]["median"]
        simulated = at_256["simulated_seconds_per_second"]["make_vec"]
        for peer, (peer_rate, peer_simulated) in PEERS.items():
            comparison[peer] = {
                "steps": round(rate / peer_rate, 1),
                "simulated": round(simulated / peer_simulated, 1),
            }
            console.print(
                f"make_vec at 256 rows has {rate / peer_rate:.0f} times the steps/s and "
                f"{simulated / peer_simulated:.0f} times the simulated time of {peer} (measured on another day)"
            )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    options.out.write_text(
        json.dumps({"machine": machine, "results": results, "peers": comparison}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
