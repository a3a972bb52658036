"""Steps per second of FrankaReach through each adapter, beside raw `scene.step()` of the same scene.

One scene is built for each number of environments, and rounds of raw, core, `make_vec` and SB3 stepping
alternate on it, so that a noisy machine slows all of them alike. The table shows the median over rounds and the
extremes.

`raw` makes the same arms do the same motion without this package: joint targets of a recorded rollout go through
Genesis alone, as it is installed, since the cost of a physics step depends on what moves and touches. `replayed`
is the same with kernel launches replayed, `runtime/kernel_replay.py`.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from rich.console import Console
from rich.table import Table

from common import RESULTS, calls_per_second, machine, ratios, spread, take_turns, write_results
from genesis_gym import BatchedEnv, GenesisSb3VecEnv, GenesisVectorEnv
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.adapters.rsl_rl import GenesisRslRlVecEnv
from genesis_gym.runtime import describe_device

FORMS = ("raw", "replayed", "core", "make_vec", "sb3", "rsl_rl")

EPISODE = 100


def record_commands(core: BatchedEnv, actions: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Joint targets, position and velocity, of an episode of random actions."""
    commands = []
    core.reset(seed=0)
    arm = core.task.arm
    command = arm.command
    arm.command = lambda *targets: (commands.append(targets), command(*targets))  # type: ignore[method-assign]
    for action in actions:
        core.step(action)
    arm.command = command  # type: ignore[method-assign]
    return commands


@contextmanager
def as_installed(scene: Any) -> Iterator[None]:
    """Let Genesis launch its kernels by itself."""
    replay = vars(scene.rigid_solver).pop("substep", None)  # none on a GPU
    try:
        yield
    finally:
        if replay is not None:
            scene.rigid_solver.substep = replay


def make_forms(num_envs: int) -> tuple[GenesisVectorEnv, Callable[[str, float], float]]:
    """Build one scene.

    Returns:
        Its vector environment, and what steps one of `FORMS` for some seconds and gives steps/s.
    """
    vector = GenesisVectorEnv(num_envs, use_gpu=torch.cuda.is_available(), autoreset_mode="SameStep")
    core = vector.core
    sb3 = GenesisSb3VecEnv(core)
    rsl_rl = GenesisRslRlVecEnv(core)
    autoreset = Autoreset(core, AutoresetMode.SAME_STEP)
    actions = np.random.default_rng(0).uniform(-1, 1, (EPISODE, num_envs, core.action_dim)).astype(np.float32)
    tensors = torch.from_numpy(actions).to(core.device)

    scene, world, arm = core.world.scene, core.world, core.task.arm
    commands = record_commands(core, tensors)

    def move(i: int) -> None:
        if i % len(commands) == 0:
            scene.reset()
            arm.gripper.command(arm.gripper.spec.open * world.ones(1))
        targets = (world.padded(target) for target in commands[i % len(commands)])
        arm.entity.control_dofs_position_velocity(*targets, arm.dofs)
        for _ in range(core.task.decimation):
            scene.step()

    forms: dict[str, Callable[[int], Any]] = {
        "raw": move,
        "replayed": move,
        "core": lambda i: autoreset.step(tensors[i % EPISODE]),
        "make_vec": lambda i: vector.step(actions[i % EPISODE]),
        "sb3": lambda i: sb3.step(actions[i % EPISODE]),
        "rsl_rl": lambda i: rsl_rl.step(tensors[i % EPISODE]),
    }

    def turn(form: str, seconds: float) -> float:
        vector.reset(seed=0)
        with as_installed(scene) if form == "raw" else nullcontext():
            return calls_per_second(forms[form], seconds) * num_envs

    for form in FORMS:
        turn(form, 0.1)  # first calls compile what is not in the kernel cache
    return vector, turn


def measure(num_envs: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Alternate the forms on one scene; steps/s of each."""
    vector, turn = make_forms(num_envs)
    rates = take_turns({form: partial(turn, form, seconds) for form in FORMS}, rounds)
    control_dt, device = vector.core.control_dt, describe_device()
    vector.close()
    return {
        "num_envs": num_envs,
        "device": device,
        "steps_per_second": {name: spread(values) for name, values in rates.items()},
        "ratio_to_raw": {name: ratios(values, rates["raw"]) for name, values in rates.items()},
        "simulated_seconds_per_second": {
            name: round(statistics.median(v) * control_dt, 1) for name, v in rates.items()
        },
    }


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=[1, 64, 256, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each form in each round")
    parser.add_argument("--out", type=Path, default=RESULTS / "step_rate.json")
    options = parser.parse_args()

    facts = machine()
    results = []
    table = Table("envs", "form", "steps/s (min to max)", "relative to raw", "simulated s/s", title="FrankaReach")
    for num_envs in options.num_envs:
        result = measure(num_envs, options.rounds, options.seconds)
        results.append(result)
        for name in FORMS:
            rate, ratio = result["steps_per_second"][name], result["ratio_to_raw"][name]
            table.add_row(
                str(num_envs) if name == FORMS[0] else "",
                name,
                f"{rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f})",
                f"{ratio['median']:.2f}",
                f"{result['simulated_seconds_per_second'][name]:,.0f}",
                end_section=name == FORMS[-1],
            )
    Console().print(table)
    write_results(options.out, {"machine": facts, "results": results})


if __name__ == "__main__":
    main()
