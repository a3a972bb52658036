"""Memory, file handles and threads stay flat over many environments (`CYCLES`) and many steps (`STEPS`).

A few of each by default; `CYCLES=100 STEPS=2000000 pytest -s tests/test_long_runs.py` makes it the rig whose
figures are in docs/reliability.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import gymnasium
import numpy as np
import psutil
import pytest
import torch

from conftest import ENV_ID, random_actions
from genesis_gym import BatchedEnv
from genesis_gym.adapters.sb3 import make_sb3_vec_env

CYCLES = int(os.environ.get("CYCLES", "14"))
STEPS = int(os.environ.get("STEPS", "100000"))

#: MB that an environment, or a million steps of a row, may leave behind. Each of the four leaks of Genesis that
#: `runtime/memory_workarounds.py` stops is larger than the first.
MB_PER_CYCLE = 0.7
MB_PER_MILLION_STEPS = 5.0

#: What every program begins with: a line of memory (MB), file handles and threads for each call of `sample`.
SAMPLE = """
import json, sys
import psutil, torch
process = psutil.Process()
def sample():
    print(json.dumps([process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()]), flush=True)
"""

#: Make and close environments: both tasks that differ in their bodies, with and without randomised physics.
MAKE_AND_CLOSE = """
from genesis_gym import BatchedEnv
for cycle in range(int(sys.argv[1]) // 2):
    for arguments in ({"task": "reach"}, {"task": "push", "randomization": {"payload": (0.0, 0.5)}}):
        env = BatchedEnv(num_envs=16, max_episode_steps=5, device="cpu", **arguments)
        observation, _ = env.reset(seed=cycle)
        for _ in range(10):
            result = env.step(torch.zeros(16, env.action_dim))
            env.reset(result.terminated | result.truncated)
        env.close()
    sample()
"""

#: Step two environments of different tasks that are alive together, in turns; 40 samples.
STEP = """
import gymnasium, genesis_gym
torch.manual_seed(0)
envs = [gymnasium.make_vec(f"Genesis/Franka{task}-v0", 256, use_gpu=False) for task in ("Reach", "Push")]
for env in envs:
    env.reset(seed=0)
steps = int(sys.argv[1]) // 256 + 1
for step in range(steps):
    for env in envs:
        env.step((torch.rand(env.action_space.shape) * 2 - 1).numpy())
    if step % (steps // 40) == 0:
        sample()
for env in envs:
    assert env.core.fault_counts.sum() == 0
    env.close()
"""


def run(program: str, count: int) -> np.ndarray:
    """Run a program in a process of its own; memory (MB), file handles and threads `(samples, 3)`."""
    command = [sys.executable, "-c", SAMPLE + program, str(count)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return np.array([json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")])


def slope(values: np.ndarray) -> tuple[float, float]:
    """Growth from one value to the next by least squares, and its standard error."""
    (growth, _), covariance = np.polyfit(np.arange(len(values)), values, 1, cov=True)
    return float(growth), float(covariance[0, 0] ** 0.5)


def test_environments_that_are_closed_leave_nothing_behind() -> None:
    samples = run(MAKE_AND_CLOSE, CYCLES)[2:]
    growth, error = slope(samples[:, 0] / 2)
    print(
        f"{CYCLES} environments: {growth:.2f} ± {error:.2f} MB for each, "
        f"from {samples[0, 0]:.0f} to {samples[-1, 0]:.0f} MB"
    )
    assert growth < MB_PER_CYCLE
    assert (samples[:, 1:] == samples[0, 1:]).all(), "file handles and threads"


def test_steps_leave_nothing_behind() -> None:
    samples = run(STEP, STEPS)
    warm = samples[len(samples) // 4 :]
    growth, error = (value * len(samples) * 1e6 / STEPS for value in slope(warm[:, 0]))
    print(
        f"{STEPS:,} steps of each of two tasks: {growth:.2f} ± {error:.2f} MB for each million, "
        f"from {warm[0, 0]:.1f} to {warm[-1, 0]:.1f} MB"
    )
    assert warm[-1, 0] - warm[0, 0] < 10.0
    assert growth < MB_PER_MILLION_STEPS or STEPS < 1_000_000, "over few steps a slope says little"
    assert (warm[:, 1:] == warm[0, 1:]).all(), "file handles and threads"


def test_one_environment_after_another_through_every_face() -> None:
    """In this very process, after whatever tests ran before."""

    def one(number: int) -> None:
        face = number % 4
        if face == 0:
            env = BatchedEnv("push", num_envs=4)
            env.reset(seed=0)
            env.step(torch.zeros(4, env.action_dim))
        elif face == 1:
            env = gymnasium.make(ENV_ID, render_mode="rgb_array")
            env.reset(seed=0)
            env.step(np.zeros(7, np.float32))
            assert env.render().any()
        elif face == 2:
            env = gymnasium.make_vec("Genesis/FrankaMotor-v0", 3)
            env.reset(seed=0)
            env.step(np.zeros((3, 7), np.float32))
        else:
            env = make_sb3_vec_env(ENV_ID, 5)
            env.reset()
            env.step(np.zeros((5, 7), np.float32))
        env.close()

    process = psutil.Process()
    samples = []
    for number in range(max(12, CYCLES // 5)):
        one(number)
        samples.append((process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()))
    last, before = np.array(samples[-4:]), np.array(samples[-8:-4])
    print(
        f"{len(samples)} environments: {samples[0][0]:.0f} MB after the first, {samples[-1][0]:.0f} after the last"
    )
    # A leak of any of the four shows in each of these differences, a growing heap in one.
    assert np.median(last[:, 0] - before[:, 0]) < 4 * 3 * MB_PER_CYCLE
    assert (last[:, 1:] == before[:, 1:]).all(), "file handles and threads"


@pytest.mark.parametrize("other", ["push", "joint_reach"])
def test_two_tasks_alive_in_one_process_do_not_notice_each_other(make_core, other: str) -> None:
    envs = [make_core(8), make_core(8, task=other)]
    actions = torch.from_numpy(random_actions(30, 8, 7))

    def observe(env: BatchedEnv, action: torch.Tensor) -> torch.Tensor:
        return env.step(action[:, : env.action_dim]).observation["policy"]

    alone = []
    for env in envs:
        env.reset(seed=1)
        alone.append([observe(env, action) for action in actions])
    for env in envs:
        env.reset(seed=1)
    in_turns = [[observe(env, action) for env in envs] for action in actions]
    third = BatchedEnv(num_envs=2)
    third.reset(seed=0)
    third.close()
    for number in range(2):
        assert all(torch.equal(a, b[number]) for a, b in zip(alone[number], in_turns, strict=True))
