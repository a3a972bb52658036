"""Steps per second of PPO training on FrankaReach, by RSL-RL and by SB3, beside the environment stepping alone.

One scene is built for each number of environments, and rounds of core stepping, RSL-RL training and SB3 training
alternate on it, so that a noisy machine slows all of them alike. The table shows the median over rounds and the
extremes. Training is the default preset of each library with the given number of environments: whole iterations,
rollouts and updates.

With other work on the machine, `--cpu-time` counts the CPU time of this process instead of wall-clock time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from rich.console import Console
from rich.table import Table

from common import RESULTS, machine, ratios, spread, take_turns, write_results
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.core.make import make_core
from genesis_gym.learning.agents.learner import Learner
from genesis_gym.learning.agents.make import make_learner
from genesis_gym.learning.config.train_config import make_config
from genesis_gym.runtime import describe_device
from step_rate import EPISODE

ENV_ID = "Genesis/FrankaReach-v0"
LEARNERS = {"rsl_rl": "RSL_PPO", "sb3": "PPO"}


def measure(num_envs: int, rounds: int, seconds: float, clock: Callable[[], float]) -> dict[str, Any]:
    """Alternate stepping and both trainings on one scene; steps/s of each."""
    core = make_core(ENV_ID, num_envs)
    autoreset = Autoreset(core, AutoresetMode.SAME_STEP)
    actions = 2 * torch.rand(EPISODE, num_envs, core.action_dim, device=core.device) - 1

    def step_alone() -> int:
        autoreset.reset(seed=0)
        for action in actions:
            autoreset.step(action)
        return len(actions) * num_envs

    measured = {"core": step_alone}
    for name, algorithm in LEARNERS.items():
        config = make_config(ENV_ID, algorithm, num_envs=num_envs)
        learner = make_learner(config, core)
        hyperparameters: Any = config.hyperparameters
        length = hyperparameters.num_steps_per_env if name == "rsl_rl" else hyperparameters.n_steps
        measured[name] = partial(_train, learner, 4 * length * num_envs)
    for work in measured.values():
        work()  # first calls compile what is not in the kernel cache

    def turn(work: Callable[[], int]) -> float:
        steps, begin = 0, clock()
        while (elapsed := clock() - begin) < seconds:
            steps += work()
        return steps / elapsed

    rates = take_turns({name: partial(turn, work) for name, work in measured.items()}, rounds)
    core.close()
    return {
        "num_envs": num_envs,
        "device": describe_device(),
        "steps_per_second": {name: spread(values) for name, values in rates.items()},
        "share_of_core": {name: ratios(rates[name], rates["core"]) for name in LEARNERS},
    }


def _train(learner: Learner, steps: int) -> int:
    """Four iterations."""
    before = learner.timesteps
    learner.learn(before + steps, [])
    return learner.timesteps - before


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each in each round, at least")
    parser.add_argument("--cpu-time", action="store_true", help="divide by the CPU time of the process")
    parser.add_argument("--out", type=Path, default=RESULTS / "training_rate.json")
    options = parser.parse_args()

    clock = time.process_time if options.cpu_time else time.perf_counter
    facts = machine()
    results = []
    table = Table(
        "envs", "what", "steps/s (min to max)", "relative to core (min to max)", title="PPO on FrankaReach"
    )
    for num_envs in options.num_envs:
        result = measure(num_envs, options.rounds, options.seconds, clock)
        results.append(result)
        for name, rate in result["steps_per_second"].items():
            share = result["share_of_core"].get(name)
            table.add_row(
                str(num_envs) if name == "core" else "",
                name,
                f"{rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f})",
                f"{share['median']:.2f} ({share['min']:.2f} to {share['max']:.2f})" if share else "",
            )
    Console().print(table)
    write_results(options.out, {"machine": facts, "results": results})


if __name__ == "__main__":
    main()
