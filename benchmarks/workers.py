"""Steps per second and training speed of environments in one process and divided among several.

Both kinds of environments are open at the same time and measured in alternating rounds, so that a noisy machine
slows both alike. The tables show the median over rounds and the extremes; a gain is the ratio within a round.

`core` steps the batched core with autoreset, in torch; `make_vec` steps Gymnasium's `VectorEnv`, in numpy; `PPO`
trains by SB3's PPO with the hyperparameters of docs/training_guide.md.
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
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import genesis_gym  # noqa: F401 - registers the environments
from common import RESULTS, format_spread, machine, markdown, ratios, spread, take_turns, write_results
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.adapters.sb3 import make_sb3_vec_env
from genesis_gym.core import make_sharded_core

HYPERPARAMETERS = {"n_steps": 16, "batch_size": 512, "n_epochs": 5, "learning_rate": 2e-3, "gamma": 0.95}

#: Environment id, number of environments, number of processes, what to close at the end → takes so many steps.
Make = Callable[[str, int, int, ExitStack], Callable[[int], None]]


def core(env_id: str, num_envs: int, num_workers: int, resources: ExitStack) -> Callable[[int], None]:
    """Take so many steps of the core with random actions, autoreset included."""
    env = make_sharded_core(env_id, num_envs, num_workers, device="cpu")
    resources.callback(env.close)
    actions = torch.rand(100, num_envs, env.action_dim, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    autoreset = Autoreset(env, AutoresetMode.SAME_STEP)
    autoreset.reset(seed=0)
    env.randomize_episode_length()

    def run(steps: int) -> None:
        for i in range(steps):
            autoreset.step(actions[i % len(actions)])

    return run


def make_vec(env_id: str, num_envs: int, num_workers: int, resources: ExitStack) -> Callable[[int], None]:
    """Take so many steps of `make_vec` with random actions, autoreset included."""
    env = gymnasium.make_vec(env_id, num_envs, num_workers=num_workers, use_gpu=False, autoreset_mode="SameStep")
    resources.callback(env.close)
    actions = np.random.default_rng(0).uniform(-1, 1, (100, *env.action_space.shape)).astype(np.float32)
    env.reset(seed=0)

    def run(steps: int) -> None:
        for i in range(steps):
            env.step(actions[i % len(actions)])

    return run


def ppo(env_id: str, num_envs: int, num_workers: int, resources: ExitStack) -> Callable[[int], None]:
    """Learn from so many steps of each environment."""
    vec_env = make_sb3_vec_env(env_id, num_envs, num_workers, device="cpu")
    resources.callback(vec_env.close)
    env = VecNormalize(VecMonitor(vec_env))
    model = PPO("MlpPolicy", env, device="cpu", seed=0, policy_kwargs={"log_std_init": -0.7}, **HYPERPARAMETERS)
    return lambda steps: model.learn(steps * num_envs, reset_num_timesteps=False) and None


#: What is measured.
BENCHMARKS: dict[str, Make] = {"core": core, "make_vec": make_vec, "PPO": ppo}


def measure(make: Make, env_id: str, num_envs: int, workers: list[int], rounds: int, steps: int) -> dict[str, Any]:
    """Alternate between numbers of workers; steps/s of each, and the gain over the first."""

    def turn(run: Callable[[int], None]) -> float:
        begin = time.perf_counter()
        run(steps)
        return steps * num_envs / (time.perf_counter() - begin)

    with ExitStack() as resources:
        runs = {str(n): make(env_id, num_envs, n, resources) for n in workers}
        for run in runs.values():
            run(16)  # first calls compile what is not in the kernel cache
        rates = take_turns({n: partial(turn, run) for n, run in runs.items()}, rounds)
    first = rates[str(workers[0])]
    return {n: {"steps_per_second": spread(values), "gain": ratios(values, first)} for n, values in rates.items()}


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--envs", nargs="+", default=["Genesis/FrankaReach-v0", "Genesis/FrankaLiftCube-v0"])
    parser.add_argument("--num-envs", type=int, nargs="+", default=[128, 256, 512], help="in all processes")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of processes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=208, help="of each environment in a round; a multiple of 16")
    parser.add_argument("--out", type=Path, default=RESULTS / "workers.json")
    options = parser.parse_args()

    facts, results, lines = machine(), [], []
    for what in options.what:
        for env_id in options.envs:
            for n in options.num_envs:
                make = BENCHMARKS[what]
                figures = measure(make, env_id, n, options.workers, options.rounds, options.steps)
                results.append({"what": what, "env": env_id, "num_envs": n, "workers": figures})
                lines += [
                    (
                        what,
                        env_id,
                        n,
                        workers,
                        format_spread(each["steps_per_second"]),
                        format_spread(each["gain"]),
                    )
                    for workers, each in figures.items()
                ]
                print(markdown(("what", "env", "num_envs", "processes", "steps/s", "gain"), lines), flush=True)
    write_results(options.out, {"machine": facts, "rounds": options.rounds, "results": results})


if __name__ == "__main__":
    main()
