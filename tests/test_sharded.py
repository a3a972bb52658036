"""Rows shared out among processes: the same bits, and an orderly end whatever ends first."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import psutil
import pytest
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from conftest import ENV_ID, random_actions
from genesis_gym import GenesisSb3VecEnv, Reach
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.adapters.sb3 import make_sb3_vec_env
from genesis_gym.core import BatchedEnv, ShardedEnv
from genesis_gym.errors import ActionError, ArgumentError, ClosedError, NotResetError, WorkerError
from genesis_gym.testing import check_vector_env
from genesis_gym.variation.curriculum import Curriculum
from genesis_gym.variation.randomization import Randomization

ROWS = 5
VARIED = {
    "max_episode_steps": 6,
    "curriculum": Curriculum(),
    "randomization": Randomization(gravity=(9.0, 10.0), observation_noise=(0.0, 0.1), action_latency=(0, 2)),
}


@pytest.fixture(scope="module")
def sharded() -> Iterator[ShardedEnv]:
    """One row here and two in each of two workers."""
    env = ShardedEnv("reach", num_envs=ROWS, num_workers=3, **VARIED)
    yield env
    env.close()


@pytest.fixture
def whole(make_core) -> BatchedEnv:
    """The same rows in one scene."""
    return make_core(ROWS, **VARIED)


@pytest.fixture(scope="module")
def vector() -> Iterator[Any]:
    """What `make_vec` gives, with goals."""
    env = gymnasium.make_vec(ENV_ID, num_envs=4, num_workers=2, goal=True, max_episode_steps=5)
    yield env
    env.close()


def same(a: Any, b: Any) -> bool:
    """Whether two results are equal to the bit, in type and layout too."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a.dtype == b.dtype and torch.equal(a, b)


def workers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def in_memory() -> set[Path]:
    return set(Path("/dev/shm").iterdir())


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_bits_do_not_depend_on_the_number_of_workers(sharded, whole, mode) -> None:
    runs = []
    for env in (whole, sharded):
        autoreset = Autoreset(env, mode)
        run: list[Any] = [autoreset.reset(seed=3)]
        for action in torch.from_numpy(random_actions(20, ROWS, 7)):
            action[4, 0] = torch.nan if len(run) == 9 else action[4, 0]  # a fault, in the last worker
            run.append(autoreset.step(action))
            ended = run[-1].terminated | run[-1].truncated
            if mode is AutoresetMode.DISABLED and bool(ended.any()):
                run.append(autoreset.reset(ended))
        runs.append([*run, autoreset.reset(seed=[9, None, 7, None, 5]), env.fault_counts, env.difficulty])
    assert len(runs[0]) == len(runs[1]) > 20
    for step, (one, other) in enumerate(zip(*runs, strict=True)):
        assert same(one, other), f"call {step}"
    assert runs[1][-2][4] > 0


def test_the_curriculum_goes_on_in_every_worker(sharded) -> None:
    before = sharded.difficulty
    sharded.increase_difficulty()
    assert (sharded.difficulty > before).all()


def test_a_result_never_changes_afterwards(sharded) -> None:
    sharded.reset(seed=0)
    first = sharded.step(torch.ones(ROWS, 7))
    kept = [first.observation.clone(), *(value.clone() for value in first.metrics.values())]
    sharded.step(-torch.ones(ROWS, 7))
    assert all(map(torch.equal, kept, [first.observation, *first.metrics.values()]))


def test_a_refused_call_leaves_everything_as_it_was(sharded) -> None:
    sharded.reset(seed=0)
    with pytest.raises(ActionError, match=r"shape \(4, 7\); it must be .* \(5, 7\)"):
        sharded.step(torch.zeros(4, 7))
    with pytest.raises(ArgumentError, match="seed has 2 entries; it must have num_envs=5"):
        sharded.reset(seed=[1, 2])
    with pytest.raises(ArgumentError, match="rows has dtype"):
        sharded.reset(torch.ones(ROWS))
    with pytest.raises(ArgumentError, match=r"render\(\) is not possible with num_workers=3"):
        sharded.render()
    with pytest.raises(AttributeError, match="'simulation'; make it with num_workers=1"):
        _ = sharded.simulation
    assert sharded.step(torch.zeros(ROWS, 7)).reward.isfinite().all()


def test_ppo_learns_from_it(sharded) -> None:
    env = VecNormalize(VecMonitor(GenesisSb3VecEnv(sharded)))
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=40, n_epochs=1, device="cpu", seed=0)
    model.learn(240)
    assert model.num_timesteps == 240 and len(model.ep_info_buffer) > 0


def test_arguments_are_checked_before_a_worker_starts() -> None:
    before = len(workers())
    for kwargs, message in (
        ({"num_workers": 0}, "num_workers=0 is not allowed"),
        ({"num_workers": 5}, "num_workers=5 is not allowed; it must be at most num_envs=4"),
        ({"num_workers": 2, "render_mode": "rgb_array"}, "not possible with a viewer or a camera"),
        ({"num_workers": 2, "task": Reach(tolerance=(i for i in ()))}, "an argument cannot be sent to worker 2"),
    ):
        with pytest.raises(ArgumentError, match=message):
            gymnasium.make_vec(ENV_ID, num_envs=4, **kwargs)
    with pytest.raises(ArgumentError, match="num_workers=9"):
        make_sb3_vec_env(ENV_ID, 4, num_workers=9)
    assert len(workers()) == before


def test_the_checker_passes_make_vec(vector) -> None:
    with pytest.raises(NotResetError):
        vector.step(vector.action_space.sample())
    report = check_vector_env(vector, steps=13, promises=["env_seeding", "reset_mask"])
    assert {"next_step", "new_episode", "reset_mask", "env_seeding", "results_kept"} <= set(report.checked)
    observation, _ = vector.reset(seed=0)
    assert observation["desired_goal"].shape == (4, 3)
    achieved, desired = observation["achieved_goal"], observation["desired_goal"]
    assert vector.unwrapped.compute_reward(achieved, desired).shape == (4,)


def test_a_killed_worker_is_told_and_nothing_is_left(vector) -> None:
    """It ends `vector`, so it stands below all that use it."""
    vector.reset(seed=0)
    (process,) = (p for p in multiprocessing.active_children() if p.name == "worker 2 of 2")
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="worker 2 of 2 was killed by SIGKILL"):
        vector.step(vector.action_space.sample())
    assert not psutil.pid_exists(process.pid), "not even as a zombie"
    with pytest.raises(ClosedError):
        vector.step(vector.action_space.sample())
    vector.close()
    vector.close()


class Broken(Reach):
    """Its third evaluation fails, in workers."""

    evaluations = 0

    def evaluate(self) -> dict[str, torch.Tensor]:
        self.evaluations += multiprocessing.parent_process() is not None
        if self.evaluations == 3:
            raise OSError("the task is broken")
        return super().evaluate()


def test_an_error_in_a_worker_is_told() -> None:
    before = workers()
    env = ShardedEnv(Broken(), num_envs=2, num_workers=2)
    env.reset(seed=0)
    with pytest.raises(WorkerError, match="worker 2 of 2 failed: OSError: the task is broken") as caught:
        env.step(torch.zeros(2, 7))
    assert "in evaluate" in str(caught.value.__cause__), "with its traceback"
    assert len(workers()) == len(before)
    env.close()


SCRIPT = f"""
import multiprocessing, gymnasium, genesis_gym
if __name__ == "__main__":
    env = gymnasium.make_vec("{ENV_ID}", num_envs=2, num_workers=2, use_gpu=False)
    env.reset(seed=0)
    print(multiprocessing.active_children()[0].pid, flush=True)
    input()
"""


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "at its end"])
def test_workers_end_with_their_process(tmp_path: Path, killed: bool) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    before = in_memory()
    process = subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    worker = psutil.Process(int(process.stdout.readline()))
    if killed:
        process.kill()
    _, errors = process.communicate("\n")
    if killed:
        gone, alive = psutil.wait_procs([worker], timeout=60)
        assert gone and not alive
    else:
        assert process.returncode == 0
        assert not worker.is_running(), "it is waited for"
    assert not re.search("Traceback|leaked|ignored", errors), errors
    assert in_memory() <= before
