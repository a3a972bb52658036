"""Stable-Baselines3, unmodified, on the single environment and on the batched scene."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import genesis_gym
from conftest import ENV_ID, random_actions
from genesis_gym.adapters.sb3 import make_sb3_vec_env


@pytest.fixture
def venv(core) -> genesis_gym.GenesisSb3VecEnv:
    venv = genesis_gym.GenesisSb3VecEnv(core)
    venv.seed(0)
    return venv


def test_check_env_has_nothing_to_say(single) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(single.unwrapped)


def test_step_speaks_sb3(venv) -> None:
    observation = venv.reset()
    assert observation.dtype == np.float32 and observation.shape == (8, *venv.observation_space.shape) == (8, 20)
    observation, reward, done, infos = venv.step(random_actions(1, 8, 7)[0])
    assert (reward.dtype, done.dtype) == (np.float32, np.bool_)
    assert len(infos) == 8
    assert {"is_success", "distance_to_target", "reward/distance", "TimeLimit.truncated"} <= infos[0].keys()
    assert infos[0]["reward/distance"] == pytest.approx(-5 * infos[0]["distance_to_target"])


def test_seed_holds_for_one_reset(venv) -> None:
    first = venv.reset()
    second = venv.reset()
    venv.seed(0)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(venv.reset(), first)


def test_attributes_and_methods(venv) -> None:
    assert venv.get_attr("num_envs") == [8] * 8
    assert venv.get_attr("render_mode", indices=[1, 2]) == [None, None]
    assert venv.env_is_wrapped(Monitor) == [False] * 8
    assert not venv.has_attr("no_such_thing")
    venv.set_attr("note", "here")
    assert venv.get_attr("note", 0) == ["here"]


def test_sb3_wrappers_and_ppo_run_on_the_batch(venv) -> None:
    wrapped = VecNormalize(VecMonitor(venv))
    model = PPO("MlpPolicy", wrapped, n_steps=8, batch_size=64, n_epochs=1, device="cpu", seed=0)
    model.learn(256)
    assert model.num_timesteps == 256


def test_guide_trains_on_the_single_environment(single) -> None:
    """The guide's basic set-up: Monitor, PPO, evaluate_policy."""
    env = Monitor(single)
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=1, device="cpu", seed=0)
    model.learn(64)
    mean, std = evaluate_policy(model, env, n_eval_episodes=2, deterministic=True)
    assert np.isfinite([mean, std]).all()


def test_unknown_id_is_named() -> None:
    with pytest.raises(genesis_gym.GenesisGymError, match="did you mean 'Genesis/FrankaReach-v0'"):
        make_sb3_vec_env("Genesis/FrankaReech-v0", 2)
    with pytest.raises(genesis_gym.GenesisGymError, match="no genesis-gym task"):
        make_sb3_vec_env("CartPole-v1", 2)


@pytest.mark.parametrize(
    "order",
    [
        "import stable_baselines3, genesis_gym",
        "import genesis_gym.core, stable_baselines3",
    ],
)
def test_import_order_does_not_matter(order: str) -> None:
    """Triton imported after Genesis crashes the process; SB3 imports it through torch._dynamo."""
    script = (
        f"{order}\n"
        f"import gymnasium; env = gymnasium.make('{ENV_ID}'); env.reset(seed=0)\n"
        "import torch._dynamo, stable_baselines3; env.close(); print('alive')"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "alive\n", "nothing else is printed: no banner, no simulator log"
