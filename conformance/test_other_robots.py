"""The clients on a legged robot, whose observation is a dictionary, on two arms and on a drone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector

from conformance.rollouts import EPISODE, close, episodes, roll_vector

ENV_IDS = ("Genesis/Go2Velocity-v0", "Genesis/FrankaHandOver-v0", "Genesis/Cf2xHover-v0")


@pytest.fixture(scope="module", params=ENV_IDS)
def envs(request: pytest.FixtureRequest) -> Iterator[gymnasium.vector.VectorEnv]:
    """Four environments of each, as torchrl can take them. Tests reset them and leave them open."""
    mode = AutoresetMode.SAME_STEP
    made = gymnasium.make_vec(request.param, num_envs=4, max_episode_steps=EPISODE, autoreset_mode=mode)
    yield made
    made.close()


def test_vector_wrappers(envs: gymnasium.vector.VectorEnv) -> None:
    bare = roll_vector(envs)
    rewards = roll_vector(vector.TransformReward(envs, np.tanh))
    close(rewards.rewards, np.tanh(bare.rewards))
    close(rewards.observations, bare.observations)
    close(
        roll_vector(vector.ClipAction(envs), lambda a: 9 * a).rewards, roll_vector(envs, lambda a: 9 * a).rewards
    )
    recorder = vector.RecordEpisodeStatistics(envs)
    told = [
        (step, env, info["final_info"]["episode"]["r"][env], info["final_info"]["episode"]["l"][env])
        if "episode" in info.get("final_info", {})
        else (step, env, info["episode"]["r"][env], info["episode"]["l"][env])
        for step, info in enumerate(roll_vector(recorder).infos)
        for env in np.flatnonzero(info.get("_episode", info.get("_final_info", [])))
    ]
    np.testing.assert_allclose(told, episodes(bare, AutoresetMode.SAME_STEP), rtol=1e-5)


def test_stable_baselines3(envs: gymnasium.vector.VectorEnv, tmp_path: Path) -> None:
    """PPO learns, saves, loads and predicts; a dictionary takes `MultiInputPolicy`."""
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv

    venv = GenesisSb3VecEnv(envs.unwrapped.core)
    policy = "MultiInputPolicy" if isinstance(venv.observation_space, gymnasium.spaces.Dict) else "MlpPolicy"
    model = stable_baselines3.PPO(policy, venv, n_steps=16, batch_size=32, n_epochs=1, device="cpu", seed=0)
    model.learn(64)
    model.save(tmp_path / "model")
    again = stable_baselines3.PPO.load(tmp_path / "model", device="cpu")
    observation = venv.reset()
    actions = [each.predict(observation, deterministic=True)[0] for each in (model, again)]
    np.testing.assert_array_equal(*actions)
    assert actions[0].shape == envs.action_space.shape


def test_torchrl(envs: gymnasium.vector.VectorEnv) -> None:
    torchrl = pytest.importorskip("torchrl.envs")
    env = torchrl.GymWrapper(envs, device="cpu")
    env.set_seed(0)
    torchrl.check_env_specs(env)
    rollout = env.rollout(3 * EPISODE, break_when_any_done=False)
    assert rollout["next", "done"].any(dim=1).all()
    assert rollout["next", "reward"].isfinite().all()


def test_skrl(envs: gymnasium.vector.VectorEnv) -> None:
    """Its wrapper flattens dictionaries."""
    skrl = pytest.importorskip("skrl.envs.wrappers.torch")
    import torch

    wrapped = skrl.wrap_env(envs, verbose=False)
    observation, _ = wrapped.reset()
    size = gymnasium.spaces.flatdim(envs.single_observation_space)
    assert observation.shape == (4, size)
    for _ in range(EPISODE + 2):
        observation, reward, *_ = wrapped.step(torch.zeros(4, *wrapped.action_space.shape))
    assert observation.shape == (4, size) and reward.shape == (4, 1) and observation.isfinite().all()
