"""The same seed and actions give the same bits: for any number of environments, through any adapter, in any process.

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
from genesis_gym import BatchedEnv, make_core
from genesis_gym.registration import ENVIRONMENTS

HORIZON = int(os.environ.get("HORIZON", "65"))

#: Short enough that every environment begins anew at least once.
EPISODE = 60

SEED = 11

#: With 1, a second environment is hidden in the scene; the others are what they seem.
SMALL, LARGEST = (1, 2, 8), 64

#: Tasks that differ in what touches what: an arm in the air, a cube that is pushed, one that is grasped, feet on the
#: ground, the air. The others are compared with another process by default, and in every way by `make test-slow`.
TELLING = (
    "Genesis/FrankaReach-v0",
    "Genesis/FrankaPush-v0",
    "Genesis/FrankaLiftCube-v0",
    "Genesis/Go2Velocity-v0",
)

Rollout = list[np.ndarray]


@contextmanager
def environment(num_envs: int, env_id: str, **kwargs: Any) -> Iterator[BatchedEnv]:
    """A scene that is closed again: so many of so many environments would fill the memory."""
    env = make_core(env_id, num_envs, max_episode_steps=EPISODE, **kwargs)
    try:
        yield env
    finally:
        env.close()


def actions_in_contact(num_envs: int, numbers: int) -> np.ndarray:
    """Random actions that also press a hand on the ground and sweep it about, `(HORIZON, num_envs, numbers)`.

    Environment i has the same actions for any number of environments.
    """
    actions = random_actions(HORIZON, LARGEST, numbers, seed=3)
    if numbers == 7:
        actions[:, :, 1] = 0.8
        actions[:, :, 3] = -0.2
    else:  # in the space of the tool
        actions[:, :, 2] = -0.8
    return np.ascontiguousarray(actions[:, :num_envs])


def joined(observation: Any) -> np.ndarray:
    """All groups of an observation, `(num_envs, …)`."""
    groups = observation.values() if isinstance(observation, dict) else [observation]
    return np.concatenate([np.asarray(group).reshape(len(group), -1) for group in groups], axis=-1)


def rollout_of_core(env: BatchedEnv) -> Rollout:
    """Observation, reward and end at every step, `(num_envs, …)` each; an environment that ends begins anew."""
    observation, _ = env.reset(seed=SEED)
    record = [joined(observation)]
    for action in actions_in_contact(env.num_envs, env.action_dim):
        result = env.step(torch.from_numpy(action))
        ended = result.terminated | result.truncated
        observation = env.reset(ended)[0] if ended.any() else result.observation
        record += [joined(observation), result.reward.numpy(), ended.numpy()]
    return record


def rollout_of_vector(env: gymnasium.vector.VectorEnv) -> Rollout:
    """The same through Gymnasium's `VectorEnv`."""
    record = [joined(env.reset(seed=SEED)[0])]
    for action in actions_in_contact(env.num_envs, env.single_action_space.shape[0]):
        observation, reward, terminated, truncated, _ = env.step(action)
        record += [joined(observation), np.asarray(reward, np.float32), terminated | truncated]
    return record


def rollout_of_single(env: gymnasium.Env) -> Rollout:
    """The same through Gymnasium's `Env`."""

    def batch(observation: Any) -> np.ndarray:
        groups = observation if isinstance(observation, dict) else {"policy": observation}
        return joined({name: group[None] for name, group in groups.items()})

    record = [batch(env.reset(seed=SEED)[0])]
    for action in actions_in_contact(1, env.action_space.shape[0])[:, 0]:
        observation, reward, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
        observation = env.reset()[0] if ended else observation
        record += [batch(observation), np.array([reward], np.float32), np.array([ended])]
    return record


def rollout_of_adapter(env_id: str, adapter: str) -> Rollout:
    """Make an environment as `adapter` says, roll it out, close it."""
    if adapter == "make":
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


def first_of(rollout: Rollout, count: int) -> Rollout:
    return [part[:count] for part in rollout]


class _Largest(dict[str, Rollout]):
    """Id → the rollout of 64 environments, made when asked for; everything else must be the first of them."""

    def __missing__(self, env_id: str) -> Rollout:
        with environment(LARGEST, env_id) as env:
            self[env_id] = rollout_of_core(env)
        return self[env_id]


@pytest.fixture(scope="module")
def largest() -> _Largest:
    return _Largest()


EVERY_ID = [pytest.param(name, marks=() if name in TELLING else pytest.mark.slow) for name in ENVIRONMENTS]


@pytest.mark.parametrize("env_id", EVERY_ID)
def test_an_environment_does_not_depend_on_their_number(largest, env_id: str) -> None:
    for num_envs in SMALL:
        with environment(num_envs, env_id) as env:
            assert digest(rollout_of_core(env)) == digest(first_of(largest[env_id], num_envs)), num_envs
    ends = np.stack(largest[env_id][3::3])
    assert ends.any(axis=0).all(), "every environment has begun anew"
    assert len({digest([part[i] for part in largest[env_id]]) for i in range(LARGEST)}) == LARGEST, (
        "no two are alike"
    )


@pytest.mark.parametrize("adapter", ["make", "make_vec"])
@pytest.mark.parametrize("env_id", EVERY_ID)
def test_every_adapter_shows_the_same_bits(largest, env_id: str, adapter: str) -> None:
    count = {"make": 1, "make_vec": 3}[adapter]
    assert digest(rollout_of_adapter(env_id, adapter)) == digest(first_of(largest[env_id], count))


@pytest.mark.parametrize("ids", [TELLING, pytest.param(tuple(ENVIRONMENTS), marks=pytest.mark.slow)])
def test_other_processes_compute_the_same_bits(largest, ids: tuple[str, ...]) -> None:
    script = (
        "import json\n"
        "from test_determinism import *\n"
        f"print(json.dumps({{env_id: digest(rollout_of_adapter(env_id, 'make_vec')) for env_id in {ids}}}))\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parent, check=True
    )
    here = {env_id: digest(first_of(largest[env_id], 3)) for env_id in ids}
    assert json.loads(there.stdout.splitlines()[-1]) == here


def test_the_hand_touches_the_ground_and_the_cube() -> None:
    """Else the tests above would not say that contact is reproduced."""
    with environment(LARGEST, "Genesis/FrankaPush-v0") as env:
        env.reset(seed=SEED)
        cube = env.task.cube.position
        for action in actions_in_contact(LARGEST, env.action_dim)[: EPISODE - 1]:
            env.step(torch.from_numpy(action))
        moved = torch.linalg.vector_norm(env.task.cube.position - cube, dim=-1) > 0.01
        touching = env.task.arm.entity.get_links_net_contact_force().norm(dim=-1).sum(-1) > 0
    assert touching.float().mean() > 0.9
    assert moved.sum() >= 2


def test_one_environment_alone_is_randomised_reset_and_saved_like_any_other() -> None:
    """What is written to it is written to the hidden one as well, which nobody sees."""
    ranges = {"payload": (0.0, 0.5), "wind": (1.0, 5.0), "kp_scale": (0.8, 1.2), "gravity": (9.0, 10.0)}
    options = {"randomization": {**ranges, "friction_scale": (0.5, 1.0), "joint_offset": (-0.05, 0.05)}}
    with environment(1, "Genesis/FrankaPush-v0", **options) as one:
        alone = rollout_of_core(one)
        assert one.observation["policy"].shape[0] == 1
        state = one.state_dict()
        after = [one.step(torch.full((1, one.action_dim), 0.3)).observation["policy"] for _ in range(5)]
        one.reset(seed=99)
        one.load_state_dict(state)
        again = [one.step(torch.full((1, one.action_dim), 0.3)).observation["policy"] for _ in range(5)]
        assert torch.equal(torch.stack(after), torch.stack(again))
    with environment(8, "Genesis/FrankaPush-v0", **options) as many:
        assert digest(alone) == digest(first_of(rollout_of_core(many), 1))


@pytest.mark.parametrize("env_id", ["Genesis/FrankaReach-v0", "Genesis/FrankaPush-v0"])
def test_a_camera_and_the_mark_that_it_sees_change_no_bit(env_id: str) -> None:
    arguments = {"randomization": {"payload": (0.0, 0.5)}}
    with (
        environment(3, env_id, **arguments) as blind,
        environment(3, env_id, camera_envs=(0,), **arguments) as seen,
    ):
        truth = digest(rollout_of_core(blind))
        seen.reset(seed=0)
        seen.render()
        assert digest(rollout_of_core(seen)) == truth
