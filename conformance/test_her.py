"""Hindsight Experience Replay, on the batched scene and on single environments in SB3's `DummyVecEnv`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module

import gymnasium
import pytest

pytest.importorskip("stable_baselines3")
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from conformance.rollouts import ENV_ID
from genesis_gym.adapters.sb3 import make_sb3_vec_env

GOAL = {"goal": True, "reward": "sparse", "max_episode_steps": 20}


@pytest.fixture(scope="module")
def venvs() -> Iterator[Callable[[str], VecEnv]]:
    made = []

    @cache
    def get(name: str) -> VecEnv:
        made.append(
            make_sb3_vec_env(ENV_ID, 4, **GOAL) if name == "batch" else make_vec_env(ENV_ID, 2, env_kwargs=GOAL)
        )
        return made[-1]

    yield get
    for venv in made:
        venv.close()


@pytest.mark.parametrize("on", ["batch", "dummy"])
@pytest.mark.parametrize("name", ["stable_baselines3.SAC", "stable_baselines3.TD3", "sb3_contrib.TQC"])
def test_her_relabels_by_compute_reward(venvs: Callable, name: str, on: str) -> None:
    package, _, algorithm = name.rpartition(".")
    pytest.importorskip(package)
    venv = venvs(on)
    model = getattr(import_module(package), algorithm)(
        "MultiInputPolicy",
        venv,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        learning_starts=100,
        batch_size=32,
        device="cpu",
        seed=0,
    )
    model.learn(200)
    samples = model.replay_buffer.sample(256)
    goals = [samples.next_observations[key].numpy() for key in ("achieved_goal", "desired_goal")]
    (expected,) = venv.env_method("compute_reward", *goals, None, indices=[0])
    assert (samples.rewards.numpy()[:, 0] == expected).all()
    assert (samples.rewards == 0).any() and (samples.rewards == -1).any()
    evaluate_policy(model, venv, n_eval_episodes=4)


def test_the_goal_api_of_gymnasium_robotics() -> None:
    """As its documentation shows it: the reward of a step, then that of another goal."""
    env = gymnasium.make(ENV_ID, **GOAL)
    env.reset(seed=0)
    observation, reward, _, _, info = env.step(env.action_space.sample())
    compute = env.unwrapped.compute_reward
    assert reward == compute(observation["achieved_goal"], observation["desired_goal"], info)
    assert compute(observation["achieved_goal"], observation["achieved_goal"], info) == 0
    env.close()
