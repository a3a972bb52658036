"""Steps per second and training speed of FrankaReach with its rows in one process and shared out among several.

Environments of both kinds stand side by side, and rounds on them alternate, so that a noisy machine slows both
alike. Reported are the median over rounds and the extremes; a gain is the ratio within a round.

Training is SB3's PPO with the hyperparameters of the README, on the same numbers of rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import genesis_gym  # noqa: F401 - registers the environments
from common import RESULTS, machine, markdown, ratios, safe_repr, spread, take_turns, write_results
from genesis_gym.adapters.sb3 import make_sb3_vec_env

ENV_ID = "Genesis/FrankaReach-v0"
HYPERPARAMETERS = {"n_steps": 16, "batch_size": 512, "n_epochs": 5, "learning_rate": 2e-3, "gamma": 0.95}


def stepping(num_envs: int, num_workers: int, resources: ExitStack) -> Callable[[int], None]:
    """Take so many steps of `make_vec` with random actions, autoreset included."""
    env = gymnasium.make_vec(ENV_ID, num_envs, num_workers=num_workers, use_gpu=False, autoreset_mode="SameStep")
    resources.callback(env.close)
    actions = np.random.default_rng(0).uniform(-1, 1, (100, *env.action_space.shape)).astype(np.float32)
    env.reset(seed=0)

    def run(steps: int) -> None:
        for i in range(steps):
            env.step(actions[i % len(actions)])

    return run


def training(num_envs: int, num_workers: int, resources: ExitStack) -> Callable[[int], None]:
    """Learn from so many steps of each row."""
    rows = make_sb3_vec_env(ENV_ID, num_envs, num_workers, backend="cpu")
    resources.callback(rows.close)
    env = VecNormalize(VecMonitor(rows))
    model = PPO("MlpPolicy", env, device="cpu", seed=0, policy_kwargs={"log_std_init": -0.7}, **HYPERPARAMETERS)
    return lambda steps: model.learn(steps * num_envs, reset_num_timesteps=False) and None


def measure(
    make: Callable[[int, int, ExitStack], Callable[[int], None]],
    num_envs: int,
    workers: list[int],
    rounds: int,
    steps: int,
) -> dict[str, Any]:
    """Alternate between numbers of workers; steps/s of each, and the gain over the first."""

    def turn(run: Callable[[int], None]) -> float:
        begin = time.perf_counter()
        run(steps)
        return steps * num_envs / (time.perf_counter() - begin)

    with ExitStack() as resources:
        runs = {str(n): make(num_envs, n, resources) for n in workers}
        for run in runs.values():
            run(16)  # first calls compile what is not in the kernel cache
        rates = take_turns({n: partial(turn, run) for n, run in runs.items()}, rounds)
    first = rates[str(workers[0])]
    return {n: {"steps_per_second": spread(values), "gain": ratios(values, first)} for n, values in rates.items()}


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=[256, 512, 1024], help="rows in all")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=208, help="of each row in each round; a multiple of 16")
    parser.add_argument("--out", type=Path, default=RESULTS / "workers.json")
    options = parser.parse_args()

    facts = machine()
    results = [
        {"what": what, "num_envs": n, "workers": measure(make, n, options.workers, options.rounds, options.steps)}
        for what, make in {"stepping": stepping, "training": training}.items()
        for n in options.num_envs
    ]
    lines = [
        (each["what"], each["num_envs"], n, safe_repr(figures["steps_per_second"]), safe_repr(figures["gain"]))
        for each in results
        for n, figures in each["workers"].items()
    ]
    print(markdown(("what", "rows in all", "processes", "steps/s", "gain"), lines))
    write_results(options.out, {"machine": facts, "rounds": options.rounds, "results": results})


if __name__ == "__main__":
    main()
