"""Environments that show their goal by itself, for hindsight: Gymnasium-Robotics' `GoalEnv` by its contract."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.env_checker import check_env as check_sb3_env

from conftest import random_actions
from genesis_gym import BatchedEnv
from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.errors import ArgumentError
from genesis_gym.testing import check_vector_env

NUM_ENVS = 8
KEYS = ["achieved_goal", "desired_goal", "observation"]


@pytest.fixture(params=["sparse", "dense"])
def env(request: pytest.FixtureRequest, make_core) -> BatchedEnv:
    core: BatchedEnv = make_core(NUM_ENVS, goal=True, reward=request.param, max_episode_steps=30)
    core.reset(seed=0)
    return core


def test_the_reward_of_a_step_is_that_of_its_goals(env: BatchedEnv, monkeypatch) -> None:
    monkeypatch.setattr(env.task, "tolerance", 0.25)  # so that random actions meet it
    rewards = []
    for action in torch.from_numpy(random_actions(60, NUM_ENVS, 7)):
        result = env.step(action)
        achieved, desired = result.observation["achieved_goal"], result.observation["desired_goal"]
        assert torch.equal(env.compute_reward(achieved, desired, {}), result.reward)
        from_numpy = env.compute_reward(achieved.numpy(), desired.numpy(), [{}] * NUM_ENVS)
        assert from_numpy.dtype == np.float32 and (from_numpy == result.reward.numpy()).all()
        for i in range(NUM_ENVS):
            assert env.compute_reward(achieved[i].numpy(), desired[i].numpy()) == result.reward[i]
        if "sparse" in env.reward_weights:
            assert torch.equal(result.reward == 0, result.metrics["is_success"])
        rewards.append(result.reward)
        if bool((result.terminated | result.truncated).any()):
            env.reset(result.terminated | result.truncated)
    assert torch.stack(rewards).unique().numel() > 1


def test_the_observation_does_not_tell_the_goal(env: BatchedEnv) -> None:
    observation, _ = env.reset(seed=0)
    other, _ = env.reset(seed=1)
    assert list(observation) == ["observation", "achieved_goal", "desired_goal"]
    assert torch.equal(observation["observation"], other["observation"])
    assert torch.equal(observation["achieved_goal"], other["achieved_goal"])
    assert not torch.equal(observation["desired_goal"], other["desired_goal"])
    assert env.task.goal_parts and not set(env.task.goal_parts) & set(env.observation_layout["observation"])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(*[arrays(np.float32, (n, 3), elements=st.floats(-2, 2, width=32))] * 2)
    )
)
def test_a_reward_does_not_depend_on_its_neighbours(env: BatchedEnv, goals) -> None:
    """What a replay buffer asks for many at once is what it would be told one by one."""
    achieved, desired = goals
    together = env.compute_reward(achieved, desired)
    assert together.shape == (len(achieved),)
    for one, a, d in zip(together, achieved, desired, strict=True):
        assert env.compute_reward(a[None], d[None])[0] == one == env.compute_reward(a, d)


def test_gymnasiums_adapters(recwarn) -> None:
    kwargs = {"goal": True, "reward": "sparse"}
    single = gymnasium.make("Genesis/FrankaReach-v0", **kwargs)
    assert sorted(single.observation_space.spaces) == KEYS
    check_env(single.unwrapped, skip_render_check=True)
    check_sb3_env(single.unwrapped)
    observation, info = single.reset(seed=3)
    reward = single.unwrapped.compute_reward(observation["achieved_goal"], observation["desired_goal"], info)
    assert reward == -1.0
    single.close()

    many = gymnasium.make_vec("Genesis/FrankaReach-v0", NUM_ENVS, autoreset_mode="SameStep", **kwargs)
    assert sorted(many.single_observation_space.spaces) == KEYS
    first, _ = many.reset(seed=3)
    assert (
        first["observation"].shape == (NUM_ENVS, 14)
        and (first["desired_goal"][0] == observation["desired_goal"]).all()
    )
    while True:
        last, rewards, terminated, truncated, infos = many.step(many.action_space.sample())
        ended = terminated | truncated
        expected = many.compute_reward(last["achieved_goal"], last["desired_goal"])
        assert (rewards[~ended] == expected[~ended]).all()
        if ended.any():
            break
    final = infos["final_obs"]
    for env in ended.nonzero()[0]:
        assert many.single_observation_space.contains(final[env])
        assert many.compute_reward(final[env]["achieved_goal"], final[env]["desired_goal"]) == rewards[env]
    many.close()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_the_checker_passes_a_goal_environment(mode: str) -> None:
    kwargs = {"goal": True, "reward": "sparse", "max_episode_steps": 20}
    env = gymnasium.make_vec("Genesis/FrankaReach-v0", NUM_ENVS, autoreset_mode=mode, **kwargs)
    check_vector_env(env, steps=50)
    env.close()


def test_hindsight_relabels_by_the_rewards_of_the_environment(make_core) -> None:
    """SB3's own buffer, as its documentation uses it."""
    core = make_core(NUM_ENVS, goal=True, reward="sparse", max_episode_steps=30)
    env = GenesisSb3VecEnv(core)
    model = SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        learning_starts=400,
        seed=0,
        device="cpu",
    )
    model.learn(640)
    buffer = model.replay_buffer
    samples = buffer.sample(512)
    achieved, desired = (samples.next_observations[name].numpy() for name in KEYS[:2])
    assert (core.compute_reward(achieved, desired) == samples.rewards.numpy()[:, 0]).all()
    assert 0.05 < (samples.rewards == 0).float().mean() < 0.95, "hindsight finds successes"


def test_what_cannot_be(make_core, single) -> None:
    with pytest.raises(ArgumentError, match="goal=True is not possible: JointReach is no GoalTask"):
        BatchedEnv("joint_reach", goal=True)
    with pytest.raises(ArgumentError, match="reward='sparse' is not possible: ArmTask has no success"):
        BatchedEnv("none", reward="sparse")
    with pytest.raises(ArgumentError, match=r"reward='parse' is not known .did you mean 'sparse'"):
        BatchedEnv("reach", reward="parse")
    assert not hasattr(single.unwrapped, "compute_reward")
    with pytest.raises(ArgumentError, match="make the environment with goal=True"):
        make_core(NUM_ENVS).compute_reward(np.zeros(3), np.zeros(3))
