"""Gymnasium's own checkers, wrappers and registry, unmodified."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import genesis_gym
from conftest import ENV_ID, random_actions
from genesis_gym.errors import ActionError, ArgumentError


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_importing_costs_neither_genesis_nor_torch() -> None:
    result = run(
        "import sys, genesis_gym, gymnasium\n"
        "gymnasium.spec('Genesis/FrankaReach-v0')\n"
        "print({'genesis', 'torch', 'stable_baselines3'} & set(sys.modules))"
    )
    assert result.stdout.strip() == "set()", result.stderr


def test_check_env_has_nothing_to_say() -> None:
    env = gymnasium.make(ENV_ID)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


def test_make_vec_is_one_scene() -> None:
    env = gymnasium.make_vec(ENV_ID, num_envs=3, max_episode_steps=9)
    try:
        assert isinstance(env.unwrapped, genesis_gym.GenesisVectorEnv)
        assert env.spec.id == ENV_ID
        assert env.core.max_episode_steps == 9
        observation, infos = env.reset(seed=0)
        assert observation in env.observation_space
        assert infos["is_success"].shape == (3,)
        assert env.observation_space.shape == (3, *env.single_observation_space.shape)
    finally:
        env.close()
    env.close()


def test_vector_wrappers_run_unmodified() -> None:
    env = gymnasium.make_vec(ENV_ID, num_envs=4, max_episode_steps=10)
    wrapped = gymnasium.wrappers.vector.NormalizeObservation(
        gymnasium.wrappers.vector.RecordEpisodeStatistics(gymnasium.wrappers.vector.ClipReward(env, -1.0, 1.0))
    )
    try:
        wrapped.reset(seed=0)
        lengths = []
        for action in random_actions(25, 4, 7):
            observation, reward, _, _, infos = wrapped.step(action)
            assert np.abs(reward).max() <= 1 and np.isfinite(observation).all()
            if "episode" in infos:
                lengths += infos["episode"]["l"][infos["_episode"]].tolist()
        assert lengths and set(lengths) <= set(range(1, 11))
    finally:
        wrapped.close()


def test_vector_render_has_a_frame_for_each_row() -> None:
    env = gymnasium.make_vec(ENV_ID, num_envs=3, render_mode="rgb_array")
    try:
        env.reset(seed=0)
        frames = env.render()
        assert len(frames) == 3
        assert all(frame.dtype == np.uint8 and frame.shape[2] == 3 for frame in frames)
        assert not np.array_equal(frames[0], frames[1]), "each row shows its own target"
    finally:
        env.close()


@pytest.mark.parametrize("seed", [7, np.int64(7), [7, 8, 9], np.array([7, 8, 9])])
def test_vector_seed_forms_agree(seed: object) -> None:
    env = genesis_gym.GenesisVectorEnv(3)
    try:
        expected, _ = env.reset(seed=7)
        given, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(given, expected)
    finally:
        env.close()


def test_vector_arguments_are_checked() -> None:
    with pytest.raises(ArgumentError, match="num_envs=0"):
        gymnasium.make_vec(ENV_ID, num_envs=0)
    with pytest.raises(ArgumentError, match="did you mean 'SameStep'"):
        gymnasium.make_vec(ENV_ID, num_envs=2, autoreset_mode="SameStop")
    with pytest.raises(ArgumentError, match="render_mode='ansi'"):
        gymnasium.make_vec(ENV_ID, num_envs=2, render_mode="ansi")
    env = genesis_gym.GenesisVectorEnv(2)
    try:
        env.reset(seed=0)
        for mask in ([True, False], np.zeros(2, bool), np.ones(3, bool), np.ones(2)):
            with pytest.raises(ArgumentError, match="reset_mask"):
                env.reset(options={"reset_mask": mask})
        with pytest.raises(ActionError, match="int64"):
            env.step(np.zeros((2, 7), np.int64))
    finally:
        env.close()
