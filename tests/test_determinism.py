"""The same seed and actions give the same bits: for any number of envs, through any face, in any process.

65 steps by default; HORIZON=1000 makes it the rig whose figures are in docs/reliability.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from conftest import random_actions
from genesis_gym import BatchedEnv
from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.variation.randomization import Randomization

HORIZON = int(os.environ.get("HORIZON", "65"))

#: Short enough that every env begins anew at least once.
EPISODE = 60

SEED = 11
NUM_ENVS = (1, 3, 64, 256)

#: Tasks that differ in what touches what: an arm in the air, a cube that is pushed, one that is grasped. The
#: others are compared with another process by default, and in every other way by `make test-slow`.
TELLING = ("reach", "push", "liftcube")

Rollout = list[np.ndarray]


@contextmanager
def environment(num_envs: int, task: str, **kwargs: Any) -> Iterator[BatchedEnv]:
    """A scene that is closed again: so many of so many envs would fill the memory."""
    env = BatchedEnv(task, num_envs=num_envs, max_episode_steps=EPISODE, **kwargs)
    try:
        yield env
    finally:
        env.close()


def actions_in_contact(envs: int, numbers: int) -> np.ndarray:
    """Random actions that also press the hand on the ground and sweep it about, `(HORIZON, envs, numbers)`.

    Row i has the same actions for any number of envs.
    """
    actions = random_actions(HORIZON, max(NUM_ENVS), numbers, seed=3)
    if numbers == 7:
        actions[:, :, 1] = 0.8
        actions[:, :, 3] = -0.2
    else:  # in the space of the tool
        actions[:, :, 2] = -0.8
    return np.ascontiguousarray(actions[:, :envs])


def rollout_of_core(env: BatchedEnv) -> Rollout:
    """Observation, reward and end of every env at every step, `(envs, …)` each; a env that ends begins anew."""
    observation, _ = env.reset(seed=SEED)
    record = [observation.numpy()]
    for action in actions_in_contact(env.num_envs, env.action_dim):
        result = env.step(torch.from_numpy(action))
        ended = result.terminated | result.truncated
        observation = env.reset(ended)[0] if ended.any() else result.observation
        record += [observation.numpy(), result.reward.numpy(), ended.numpy()]
    return record


def rollout_of_vector(env: gymnasium.vector.VectorEnv) -> Rollout:
    """The same through Gymnasium's `VectorEnv`."""
    record = [env.reset(seed=SEED)[0]]
    for action in actions_in_contact(env.num_envs, env.single_action_space.shape[0]):
        observation, reward, terminated, truncated, _ = env.step(action)
        record += [observation, np.asarray(reward, np.float32), terminated | truncated]
    return record


def rollout_of_single(env: gymnasium.Env) -> Rollout:
    """The same through Gymnasium's `Env`."""
    record = [env.reset(seed=SEED)[0][None]]
    for action in actions_in_contact(1, env.action_space.shape[0])[:, 0]:
        observation, reward, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
        observation = env.reset()[0] if ended else observation
        record += [observation[None], np.array([reward], np.float32), np.array([ended])]
    return record


def rollout_of_face(env_id: str, face: str) -> Rollout:
    """Make an environment as `face` says, roll it out, close it."""
    if face == "make":
        env = gymnasium.make(env_id, max_episode_steps=EPISODE)
        rollout = rollout_of_single(env)
    else:
        env = gymnasium.make_vec(env_id, 3, max_episode_steps=EPISODE, autoreset_mode="SameStep")
        rollout = rollout_of_vector(env)
    env.close()
    return rollout


def digest(rollout: Rollout) -> str:
    """SHA-256 of the bytes of a rollout."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in rollout)).hexdigest()


def rows_of(rollout: Rollout, count: int) -> Rollout:
    return [part[:count] for part in rollout]


class _Largest(dict[str, Rollout]):
    """Task → the rollout of 256 envs, made when asked for; everything else must be its first envs."""

    def __missing__(self, task: str) -> Rollout:
        with environment(256, task) as env:
            self[task] = rollout_of_core(env)
        return self[task]


@pytest.fixture(scope="module")
def largest() -> _Largest:
    return _Largest()


def telling(name: str, task: str) -> Any:
    """A parameter for `task`, slow unless the task is a telling one."""
    return pytest.param(name, marks=() if task in TELLING else pytest.mark.slow)


@pytest.mark.parametrize("num_envs", NUM_ENVS)
@pytest.mark.parametrize("task", [telling(task, task) for task in ENVIRONMENTS.values()])
def test_a_row_does_not_depend_on_the_number_of_rows(largest, task: str, num_envs: int) -> None:
    with environment(num_envs, task) as env:
        assert digest(rollout_of_core(env)) == digest(rows_of(largest[task], num_envs))
    ends = np.stack(largest[task][3::3])
    assert ends.any(axis=0).all(), "every env has begun anew"
    assert len({digest([part[env] for part in largest[task]]) for env in range(256)}) == 256, "no two are alike"


@pytest.mark.parametrize("face", ["make", "make_vec"])
@pytest.mark.parametrize("env_id", [telling(env_id, task) for env_id, task in ENVIRONMENTS.items()])
def test_every_face_shows_the_same_bits(largest, env_id: str, face: str) -> None:
    envs = {"make": 1, "make_vec": 3}[face]
    assert digest(rollout_of_face(env_id, face)) == digest(rows_of(largest[ENVIRONMENTS[env_id]], envs))


def test_other_processes_compute_the_same_bits(largest) -> None:
    script = (
        "import json\n"
        "from test_determinism import *\n"
        "print(json.dumps({env_id: digest(rollout_of_face(env_id, 'make_vec')) for env_id in ENVIRONMENTS}))\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parent, check=True
    )
    here = {env_id: digest(rows_of(largest[task], 3)) for env_id, task in ENVIRONMENTS.items()}
    assert json.loads(there.stdout.splitlines()[-1]) == here


def test_the_hand_touches_the_ground_and_thecube() -> None:
    """Else the tests above would not say that contact is reproduced."""
    with environment(256, "push") as env:
        env.reset(seed=SEED)
        cube = env.task.cube.position
        for action in actions_in_contact(256, env.action_dim)[: EPISODE - 1]:
            env.step(torch.from_numpy(action))
        moved = torch.linalg.vector_norm(env.task.cube.position - cube, dim=-1) > 0.01
        touching = env.task.arm.entity.get_links_net_contact_force().norm(dim=-1).sum(-1) > 0
    assert touching.float().mean() > 0.9
    assert moved.sum() >= 5


@pytest.mark.parametrize("task", ["reach", "push"])
def test_a_camera_and_the_mark_that_it_sees_change_no_bit(task: str) -> None:
    arguments = {"task": task, "randomization": Randomization(payload=(0.0, 0.5))}
    with environment(3, **arguments) as blind, environment(3, camera_envs=(0,), **arguments) as seen:
        truth = digest(rollout_of_core(blind))
        seen.reset(seed=0)
        seen.render()
        assert digest(rollout_of_core(seen)) == truth
