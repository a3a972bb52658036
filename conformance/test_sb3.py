"""Stable-Baselines3 and sb3-contrib, on the batched scene and on single environments in SB3's own `VecEnv`s."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import gymnasium
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from conformance.conftest import frames_of
from conformance.rollouts import ENV_ID, EPISODE, STEPS, TOLERANCE, random_actions
from genesis_gym.adapters.sb3 import make_sb3_vec_env

OFF_POLICY = {"learning_starts": 32, "batch_size": 32, "buffer_size": 2000}
ALGORITHMS = {
    "stable_baselines3.PPO": {"n_steps": 16, "batch_size": 32, "n_epochs": 1},
    "stable_baselines3.SAC": OFF_POLICY,
    "stable_baselines3.TD3": OFF_POLICY,
    "sb3_contrib.TQC": OFF_POLICY,
    "sb3_contrib.TRPO": {"n_steps": 16, "batch_size": 32},
    "sb3_contrib.RecurrentPPO": {"n_steps": 16, "batch_size": 32, "n_epochs": 1, "policy": "MlpLstmPolicy"},
}


SHORT = {"max_episode_steps": EPISODE, "tolerance": TOLERANCE}


@pytest.fixture(scope="session")
def venvs() -> Iterator[Callable[[str], VecEnv]]:
    """`batch`: one scene of four. `dummy`: two scenes in SB3's `DummyVecEnv`, each with its `Monitor`."""
    made = []

    @cache
    def get(name: str) -> VecEnv:
        if name == "batch":
            made.append(make_sb3_vec_env(ENV_ID, 4, **SHORT))
        else:
            made.append(make_vec_env(ENV_ID, 2, env_kwargs=SHORT))
        return made[-1]

    yield get
    for venv in made:
        venv.close()


@pytest.mark.parametrize("on", ["batch", "dummy"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithm_learns_saves_and_predicts(venvs: Callable, name: str, on: str, tmp_path: Path) -> None:
    package, _, algorithm = name.rpartition(".")
    pytest.importorskip(package)
    make: type[BaseAlgorithm] = getattr(import_module(package), algorithm)
    venv = VecMonitor(venvs(on)) if on == "batch" else venvs(on)
    model = make(**{"policy": "MlpPolicy", **ALGORITHMS[name]}, env=venv, device="cpu", seed=0)
    model.learn(96)
    assert model.num_timesteps >= 96
    assert model.ep_info_buffer and all(1 <= episode["l"] <= EPISODE for episode in model.ep_info_buffer)
    assert model.ep_success_buffer, "`is_success` is found"
    model.save(tmp_path / "model")
    again = make.load(tmp_path / "model", env=venv, device="cpu")
    observation = venv.reset()
    np.testing.assert_array_equal(
        again.predict(observation, deterministic=True)[0], model.predict(observation, deterministic=True)[0]
    )
    assert np.isfinite(evaluate_policy(again, venv, n_eval_episodes=4)).all()


def test_check_env_has_nothing_to_say(env: gymnasium.Env) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


def test_batch_equals_sb3s_own_vec_env(venvs: Callable) -> None:
    """The same seed and actions give what `DummyVecEnv` over single environments gives."""
    batch, dummy = venvs("batch"), venvs("dummy")
    for venv in (batch, dummy):
        venv.seed(3)
    np.testing.assert_array_equal(batch.reset()[:2], dummy.reset())
    ends = 0
    for actions in random_actions(STEPS, 4, 7):
        observation, reward, done, infos = batch.step(actions)
        expected = dummy.step(actions[:2])
        np.testing.assert_array_equal(observation[:2], expected[0])
        np.testing.assert_allclose(reward[:2], expected[1], rtol=1e-6)
        np.testing.assert_array_equal(done[:2], expected[2])
        for info, other in zip(infos[:2], expected[3], strict=True):
            assert info.keys() == other.keys() - {"episode"}
            assert info["TimeLimit.truncated"] == other["TimeLimit.truncated"]
            assert info["is_success"] == other["is_success"]
            if "terminal_observation" in info:
                np.testing.assert_array_equal(info["terminal_observation"], other["terminal_observation"])
                ends += 1
    assert ends > 4


def test_vec_wrappers(venvs: Callable, tmp_path: Path) -> None:
    venv = VecMonitor(venvs("batch"))
    stacked = VecFrameStack(VecCheckNan(venv, raise_exception=True), n_stack=3)
    venv.seed(0)
    stacked.reset()
    totals, told = np.zeros(4), 0
    for actions in random_actions(STEPS, 4, 7):
        observation, reward, dones, infos = stacked.step(actions)
        totals += reward
        for env in np.flatnonzero(dones):
            assert infos[env]["episode"]["r"] == pytest.approx(totals[env], abs=1e-4)
            assert infos[env]["terminal_observation"].shape == (60,)
            totals[env], told = 0, told + 1
    assert told > 4 and observation.shape == (4, 60)
    normalized = VecNormalize(venv)
    normalized.reset()
    normalized.step(actions)
    normalized.save(str(tmp_path / "normalize.pkl"))
    assert VecNormalize.load(str(tmp_path / "normalize.pkl"), venv).obs_rms.count == normalized.obs_rms.count


def test_video_plays(tmp_path: Path) -> None:
    venv = make_vec_env(ENV_ID, 1, env_kwargs={"render_mode": "rgb_array"})
    recorder = VecVideoRecorder(venv, str(tmp_path), lambda step: step == 0, video_length=5)
    recorder.reset()
    for _ in range(6):
        recorder.step(np.zeros((1, 7), np.float32))
    recorder.close()
    (video,) = tmp_path.glob("*.mp4")
    assert frames_of(video) >= 5


@pytest.mark.slow
def test_one_process_for_each_environment(tmp_path: Path) -> None:
    script = tmp_path / "script.py"  # a file, since the processes import it
    script.write_text(
        "import genesis_gym\n"
        "from stable_baselines3.common.env_util import make_vec_env\n"
        "from stable_baselines3.common.vec_env import SubprocVecEnv\n"
        "if __name__ == '__main__':\n"
        f"    venv = make_vec_env('{ENV_ID}', 2, vec_env_cls=SubprocVecEnv)\n"
        "    print(venv.reset().shape)\n"
        "    venv.close()\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=300)
    assert result.stdout == "(2, 20)\n", result.stderr
