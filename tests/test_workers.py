"""Environments divided among processes: the same bits, and an orderly end whatever ends first."""

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

from conftest import ENV_ID, random_actions
from genesis_gym import BatchedEnv, GenesisRslRlVecEnv, GenesisSb3VecEnv
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.core import Core, ShardedEnv, make_sharded_core
from genesis_gym.errors import ActionError, ArgumentError, ClosedError, NotResetError, WorkerError
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.variation import Curriculum

NUM_ENVS = 5


class Watched(Reach):
    """Reach with groups of several shapes and dtypes."""

    def observe(self) -> dict[str, Any]:
        groups = super().observe()
        position = self.arm.tool.position
        pixels = (position.abs() * 100).to(torch.uint8)[:, None].expand(-1, 2, -1)
        return {**groups, "critic": {"tool": position}, "pixels": pixels}


VARIED = {
    "task": Watched,
    "max_episode_steps": 6,
    "curriculum": Curriculum(window=1, threshold=0.01),
    "randomization": {"gravity": (9.0, 10.0), "noise.target": (0.0, 0.1), "action_latency": (0, 2)},
    "device": "cpu",
}


@pytest.fixture(scope="module")
def sharded() -> Iterator[ShardedEnv]:
    """One environment here and two in each of two workers."""
    env = ShardedEnv(num_envs=NUM_ENVS, num_workers=3, **VARIED)
    yield env
    env.close()


@pytest.fixture(scope="module")
def whole() -> Iterator[BatchedEnv]:
    """The same environments in one scene."""
    env = BatchedEnv(num_envs=NUM_ENVS, **VARIED)
    yield env
    env.close()


@pytest.fixture(scope="module")
def beginnings(whole: BatchedEnv, sharded: ShardedEnv) -> list[tuple[Core, Any]]:
    """Both, each with its state after a first reset."""
    for env in (whole, sharded):
        env.reset(seed=0)
    return [(env, env.state_dict()) for env in (whole, sharded)]


@pytest.fixture
def both(beginnings: list[tuple[Core, Any]]) -> tuple[Core, ...]:
    """Both at their beginning, curriculum included."""
    for env, state in beginnings:
        env.load_state_dict(state)
    return tuple(env for env, _ in beginnings)


@pytest.fixture(scope="module")
def vector() -> Iterator[Any]:
    """What `make_vec` gives, with goals."""
    env = gymnasium.make_vec(ENV_ID, num_envs=4, num_workers=2, use_gpu=False, goal=True, max_episode_steps=5)
    yield env
    env.close()


def same(a: Any, b: Any) -> bool:
    """Whether two results are equal to the bit, in type and layout too."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a.dtype == b.dtype and torch.equal(a, b)


def actions(steps: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(random_actions(steps, NUM_ENVS, 7, seed=seed))


def steps(env: Core, given: torch.Tensor) -> list[Any]:
    """Steps with autoreset."""
    autoreset = Autoreset(env, AutoresetMode.SAME_STEP)
    return [autoreset.step(action) for action in given]


def workers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def shared_files() -> set[Path]:
    return set(Path("/dev/shm").iterdir())


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_bits_do_not_depend_on_the_number_of_workers(both, mode) -> None:
    runs = []
    for env in both:
        autoreset = Autoreset(env, mode)
        run: list[Any] = [autoreset.reset(seed=3)]
        given = actions(15)
        given[3:6, 4, 0] = torch.nan  # faults, in the last worker
        for action in given:
            run.append(autoreset.step(action))
            ended = run[-1].terminated | run[-1].truncated
            if mode is AutoresetMode.DISABLED and bool(ended.any()):
                run.append(autoreset.reset(ended))
        run += [autoreset.reset(seed=[9, None, 7, None, 5]), env.observation, env.neutral_action]
        env.randomize_episode_length()
        runs.append([*run, env.episode_steps, env.fault_counts, env.difficulty])
    assert len(runs[0]) == len(runs[1]) > 15
    for call, (one, other) in enumerate(zip(*runs, strict=True)):
        assert same(one, other), f"call {call}"
    assert runs[1][-2][4] > 0


def test_it_says_what_a_plain_one_says(both) -> None:
    whole, sharded = both
    for name in (
        "num_envs",
        "action_dim",
        "control_dt",
        "max_episode_steps",
        "reward_weights",
        "observation_layout",
    ):
        assert getattr(sharded, name) == getattr(whole, name), name
    assert sharded.observation_layout == whole.observation_layout
    assert same(sharded.observation_bounds, whole.observation_bounds)
    assert same((sharded.action_low, sharded.action_high), (whole.action_low, whole.action_high))
    assert isinstance(sharded.task, Watched) and sharded.world is sharded.task.world


def test_a_state_goes_on_bit_for_bit(both) -> None:
    _, sharded = both
    steps(sharded, actions(4))
    state = sharded.state_dict()
    first = [*steps(sharded, actions(8, seed=1)), sharded.difficulty]
    assert same(first[-2].observation, sharded.observation)
    sharded.reset(seed=9)
    sharded.load_state_dict(state)
    assert all(map(same, first, [*steps(sharded, actions(8, seed=1)), sharded.difficulty]))
    assert same(state, {name: state[name] for name in sharded.state_dict()}), "what it gave does not change"


def test_a_state_that_does_not_fit_changes_nothing(both) -> None:
    whole, sharded = both
    before = sharded.state_dict()
    broken = {**before, "worker_3": {**before["worker_3"], "extra": torch.zeros(1)}}
    with pytest.raises(ArgumentError, match="worker_3/extra is in one of the two only"):
        sharded.load_state_dict(broken)
    with pytest.raises(ArgumentError, match="must have worker_1, worker_2, worker_3, as num_workers=3 gives"):
        sharded.load_state_dict(whole.state_dict())
    assert same(before, sharded.state_dict())


def test_evaluation_leaves_no_trace(both) -> None:
    runs = []
    for env in both:
        state = env.state_dict()
        runs.append(steps(env, actions(11)))
        env.load_state_dict(state)
        before = steps(env, actions(11)[:3])
        with env.evaluation_mode():
            env.reset(seed=5)
            assert bool((env.difficulty == 1).all())
            assert "difficulty" not in steps(env, actions(7))[-1].metrics
        runs.append([*before, *steps(env, actions(11)[3:])])
    assert [same(tuple(runs[0]), tuple(run)) for run in runs] == [True] * 4


def test_clocks_and_the_curriculum_reach_every_worker(both) -> None:
    before = both[1].difficulty
    results = []
    for env in both:
        env.increase_difficulty()
        env.episode_steps = torch.arange(NUM_ENVS)
        results.append((env.difficulty, env.episode_steps, steps(env, actions(3))[-1]))
    assert same(*results) and (results[1][0] > before).all()


def test_a_result_never_changes_afterwards(both) -> None:
    _, sharded = both
    first = sharded.step(torch.ones(NUM_ENVS, 7))
    tensors = [*first.observation.values(), *first.metrics.values(), first.reward]
    kept = [tensor.clone() for tensor in tensors]
    sharded.step(-torch.ones(NUM_ENVS, 7))
    assert all(map(torch.equal, kept, tensors))


def test_a_refused_call_leaves_everything_as_it_was(both) -> None:
    _, sharded = both
    with pytest.raises(ActionError, match=r"shape \(4, 7\); it must be .* \(5, 7\)"):
        sharded.step(torch.zeros(4, 7))
    with pytest.raises(ArgumentError, match="seed has 2 entries; it must have num_envs=5"):
        sharded.reset(seed=[1, 2])
    with pytest.raises(ArgumentError, match="envs is torch"):
        sharded.reset(torch.ones(NUM_ENVS))
    with pytest.raises(ArgumentError, match=r"render\(\) is not possible with num_workers=3; only with 1"):
        sharded.render()
    with pytest.raises(ArgumentError, match="a recorder is not possible with num_workers=3"):
        sharded.recorder = object()
    assert sharded.recorder is None
    with pytest.raises(TypeError, match="cannot be pickled"):
        sharded.__reduce__()
    assert sharded.step(torch.zeros(NUM_ENVS, 7)).reward.isfinite().all()


def test_ppo_learns_the_same(both) -> None:
    models = []
    for env in both:
        vec_env = GenesisSb3VecEnv(env)
        vec_env.seed(7)
        settings = {"n_steps": 8, "batch_size": 20, "n_epochs": 2, "device": "cpu", "seed": 0}
        models.append(PPO("MultiInputPolicy", vec_env, **settings).learn(2 * 8 * NUM_ENVS))
    plain, divided = (model.policy.state_dict() for model in models)
    assert models[0].num_timesteps == 2 * 8 * NUM_ENVS and same(dict(plain), dict(divided))


def test_rsl_rl_sees_the_same(both) -> None:
    runs = []
    for env in both:
        vec_env = GenesisRslRlVecEnv(env, seed=3)
        vec_env.episode_length_buf = torch.arange(NUM_ENVS)
        with torch.inference_mode():
            results = [vec_env.step(action) for action in actions(6)]
        runs.append([(dict(obs), reward, done, extras["log"]) for obs, reward, done, extras in results])
        assert not results[0][1].is_inference()
    assert all(map(same, *runs))


def test_arguments_are_checked_before_a_worker_starts() -> None:
    before = len(workers())
    for kwargs, message in (
        ({"num_workers": 0}, "num_workers=0 is not allowed"),
        ({"num_workers": 5}, "num_workers=5 is not allowed; it must be at most num_envs=4"),
        ({"num_workers": 2, "render_mode": "rgb_array"}, "a viewer or a camera is not possible"),
        ({"num_workers": 2, "tolerance": lambda: None}, "an argument cannot be sent to worker 2 of 2"),
        ({"num_workers": 2, "no_such": 1}, "no_such"),
    ):
        with pytest.raises(ArgumentError, match=message):
            gymnasium.make_vec(ENV_ID, num_envs=4, **kwargs)
    with pytest.raises(ArgumentError, match="num_workers=9"):
        make_sharded_core(ENV_ID, 4, 9)
    assert len(workers()) == before


def test_make_vec_gives_goals(vector) -> None:
    with pytest.raises(NotResetError):
        vector.step(vector.action_space.sample())
    observation, _ = vector.reset(seed=0)
    achieved, desired = observation["achieved_goal"], observation["desired_goal"]
    assert vector.unwrapped.compute_reward(achieved, desired).shape == (4,)


def test_a_killed_worker_is_named_and_nothing_is_left(vector) -> None:
    """It ends `vector`, so it stands below all that use it."""
    vector.reset(seed=0)
    (process,) = (p for p in multiprocessing.active_children() if p.name == "worker 2 of 2")
    core = vector.unwrapped.core
    with pytest.raises(WorkerError, match="worker 2 of 2 was killed by SIGKILL"), core.evaluation_mode():
        os.kill(process.pid, signal.SIGKILL)
        vector.step(vector.action_space.sample())
    assert not psutil.pid_exists(process.pid), "not even as a zombie"
    with pytest.raises(ClosedError):
        vector.step(vector.action_space.sample())
    vector.close()
    vector.close()


class Broken(Reach):
    """Its fourth evaluation fails, in workers; with `tolerance=0.5` it cannot even be built there."""

    evaluations = 0

    def evaluate(self) -> Any:
        self.evaluations += multiprocessing.parent_process() is not None
        if self.evaluations == 4 or (self.evaluations and self.tolerance == 0.5):
            raise OSError("the task\nis broken")
        return super().evaluate()


def test_an_error_in_a_worker_is_raised_here() -> None:
    before = workers()
    env = ShardedEnv(Broken(), num_envs=2, num_workers=2, device="cpu")
    env.reset(seed=0)
    with pytest.raises(WorkerError, match=r"worker 2 of 2 failed: OSError: the task\\nis broken") as caught:
        env.step(torch.zeros(2, 7))
    assert "in evaluate" in str(caught.value.__cause__), "with its traceback"
    assert "\n" not in str(caught.value)
    assert len(workers()) == len(before)
    env.close()


def test_an_error_while_building_ends_everything() -> None:
    before = workers(), shared_files()
    with pytest.raises(WorkerError, match=r"worker 2 of 2 failed: OSError: the task\\nis broken"):
        ShardedEnv(Broken, num_envs=2, num_workers=2, device="cpu", tolerance=0.5)
    assert len(workers()) == len(before[0]) and shared_files() <= before[1]


SCRIPT = f"""
import multiprocessing
import signal
from genesis_gym.core import make_sharded_core
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits another one
    env = make_sharded_core("{ENV_ID}", num_envs=2, num_workers=2, device="cpu")
    env.reset(seed=0)
    print(multiprocessing.active_children()[0].pid, flush=True)
    input()
"""


@pytest.mark.parametrize("end", ["killed", "interrupted"])
def test_workers_end_with_their_process(tmp_path: Path, end: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    before = shared_files()
    process = subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    worker = psutil.Process(int(process.stdout.readline()))
    if end == "killed":
        process.kill()
    if end == "interrupted":
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C: it reaches the worker too, which ignores it
    _, errors = process.communicate("\n")
    if end == "killed":
        gone, alive = psutil.wait_procs([worker], timeout=60)
        assert gone and not alive
    else:
        assert not worker.is_running(), "it is waited for"
    expected = 1 if end == "interrupted" else 0
    assert errors.count("Traceback") == expected and not re.search("leaked|ignored", errors), errors
    assert shared_files() <= before
