"""Training on goals: hindsight, TQC, and run folders of policies that see a dictionary."""

from __future__ import annotations

import json
import sys

import gymnasium
import numpy as np
import pytest
import safetensors.torch
import torch
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.vec_env import VecMonitor

from conftest import ENV_ID
from genesis_gym import BatchedEnv
from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.adapters.spaces import to_observation
from genesis_gym.cli.main import main
from genesis_gym.errors import ArgumentError, MissingDependencyError, RunFolderError
from genesis_gym.learning import callbacks
from genesis_gym.learning.config.train_config import TrainConfig, make_config, parse_config
from genesis_gym.learning.evaluation.evaluate import evaluate_policy, evaluate_run
from genesis_gym.learning.agents.policy import find_algorithm, load_policy, make_model
from genesis_gym.learning.training.train import train
from test_training import Interrupt, bits, with_slow_td3

ROWS = 8
LIMIT = 30

#: The replay buffer wraps around within a run.
REPLAY = {"learning_starts": 240, "batch_size": 32, "buffer_size": 400, "net_arch": (16,)}
SHORT = {"SAC": REPLAY, "TQC": REPLAY, "TD3": REPLAY, "PPO": {"n_steps": 16, "batch_size": 64, "n_epochs": 2}}


def short_config(algorithm: str = "SAC", **kwargs) -> TrainConfig:
    kwargs = {"num_envs": ROWS, "timesteps": 640, "goal": True, "reward": "sparse", **kwargs}
    return make_config(algorithm=algorithm, hyperparameters=SHORT[algorithm], **kwargs)


@pytest.fixture
def env(make_core) -> BatchedEnv:
    """The scene of test_goal."""
    return make_core(ROWS, goal=True, reward="sparse", max_episode_steps=LIMIT)


@pytest.mark.parametrize("algorithm", with_slow_td3(SHORT))
def test_a_resumed_run_equals_one_that_went_through(tmp_path, env, monkeypatch, algorithm: str) -> None:
    """Byte for byte, the episodes of the replay buffer included; and its best policy acts as it did."""
    monkeypatch.setattr(callbacks, "CHECKPOINT_SECONDS", 0.0)
    config, written, results = short_config(algorithm, evaluate_every=200), [], []
    for name, stops in (("through", ()), ("interrupted", (300, 500))):
        folder = tmp_path / name
        folder.mkdir()
        for stop in stops:
            with pytest.raises(KeyboardInterrupt):
                train(config, env, folder, [Interrupt(stop)])
            env.reset(seed=77)
            np.random.random(3)
            torch.rand(3)
        train(config, env, folder, show_evaluation=results.append)
        written.append(folder)
    for file in ("checkpoint.safetensors", "policy.safetensors", "best_policy.safetensors"):
        whole, resumed = (safetensors.torch.load_file(folder / file) for folder in written)
        assert whole.keys() == resumed.keys()
        assert [name for name in whole if not torch.equal(bits(whole[name]), bits(resumed[name]))] == [], file
    best = max(results, key=lambda result: (result.success_rate, result.mean_reward))
    again = evaluate_policy(env, load_policy(folder, config, env, best=True), 100)
    assert again.records == best.records
    if algorithm != "PPO":
        tensors = safetensors.torch.load_file(folder / "checkpoint.safetensors")
        assert tensors["loop/buffer/place"].tolist() == [30, 1], "80 steps of each row in a buffer of 50"
        assert tensors["loop/buffer/ep_length"].max() == LIMIT


@pytest.mark.parametrize("algorithm", ["SAC", "PPO"])
def test_a_policy_acts_on_the_flat_observation_as_sb3_on_the_dictionary(tmp_path, env, algorithm: str) -> None:
    """PPO's preset normalises: the statistics of each entry lie where the entry does."""
    config = short_config(algorithm)
    act = train(config, env, tmp_path)
    rows = VecMonitor(GenesisSb3VecEnv(env))
    model = find_algorithm(algorithm).load(tmp_path / "model.zip", env=rows, device="cpu")
    observation, _ = env.reset(seed=5)
    seen = to_observation(env, observation.clone())
    if algorithm == "PPO":
        from stable_baselines3.common.vec_env import VecNormalize

        seen = VecNormalize.load(str(tmp_path / "vec_normalize.pkl"), rows).normalize_obs(seen)
    expected, _ = model.predict(seen, deterministic=True)
    for policy in (act, load_policy(tmp_path, config, env)):
        assert policy(observation).clamp(-1, 1).numpy() == pytest.approx(expected, abs=1e-5)


def test_hindsight_is_what_goals_are_for(env, core) -> None:
    def model_of(config: TrainConfig, env: BatchedEnv):
        return make_model(config, GenesisSb3VecEnv(env), env.device)

    config = make_config(algorithm="SAC", goal=True, hyperparameters={**REPLAY, "n_sampled_goal": 8})
    buffer = model_of(config, env).replay_buffer
    assert isinstance(buffer, HerReplayBuffer) and buffer.n_sampled_goal == 8
    assert buffer.goal_selection_strategy.name == "FUTURE"
    flat = make_config(algorithm="SAC", hyperparameters=REPLAY)
    assert not isinstance(model_of(flat, core).replay_buffer, HerReplayBuffer)
    early = make_config(algorithm="SAC", goal=True, hyperparameters={**REPLAY, "learning_starts": 239})
    with pytest.raises(ArgumentError, match=r"learning_starts=239 .* 8 rows of at most 30 steps .* after 240"):
        model_of(early, env)


def test_the_command_trains_on_goals(tmp_path, monkeypatch) -> None:
    """Train, evaluate, take the best, trust SB3's archive, and draw the report."""
    monkeypatch.setattr(gymnasium.spec(ENV_ID), "max_episode_steps", 12)
    run = tmp_path / "run"
    words = ["--algorithm", "SAC", "--preset", "her", "--goal", "--reward", "sparse", "--num-envs", "8"]
    more = ["--timesteps", "256", "--evaluate-every", "128", "--out", str(run), "--quiet"]
    small = ["learning_starts=96", "batch_size=32", "net_arch=16,", "gradient_steps=1"]
    assert main(["train", *words, *more, "--set", *small]) == 0
    assert json.loads((run / "config.json").read_text())["goal"] is True
    assert "--reward sparse --goal" in (run / "report.html").read_text()
    last, best = evaluate_run(run, 8), evaluate_run(run, 8, best=True)
    assert last.episodes == best.episodes == 8
    assert evaluate_run(run / "model.zip", 8, trust=True).records == last.records


# What is refused


def test_what_cannot_learn_on_goals() -> None:
    with pytest.raises(ArgumentError, match="goal is not for RSL_PPO"):
        make_config(algorithm="RSL_PPO", goal=True)
    with pytest.raises(ArgumentError, match="goal='maybe'"):
        make_config(algorithm="SAC", goal="maybe")


def test_configs_from_before_there_were_goals_can_be_read() -> None:
    config = make_config(algorithm="SAC")
    old = config.model_dump(mode="json")
    del old["goal"], old["hyperparameters"]["n_sampled_goal"]
    assert parse_config(old, "config.json") == config


def test_a_missing_sb3_contrib_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'genesis-gym\[contrib\]'"):
        find_algorithm("TQC")


def test_a_run_without_goals_is_not_gone_on_with_on_goals(tmp_path, env, core) -> None:
    flat = make_config(algorithm="SAC", hyperparameters=REPLAY, num_envs=ROWS, timesteps=16)
    train(flat, core, tmp_path)
    with pytest.raises(RunFolderError, match=r"only here: .*achieved_goal=3, desired_goal=3"):
        train(short_config(timesteps=32), env, tmp_path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("buffer/ep_start", lambda starts: starts + 400),
        ("buffer/ep_length", lambda lengths: lengths - 1),
        ("buffer/ep_length", lambda lengths: lengths.clamp(max=1)),
        ("buffer/current_ep_start", lambda starts: starts - 400),
        ("buffer/current_ep_start", lambda starts: starts[:3]),
        ("buffer/observations/desired_goal", lambda goals: goals[:, :, :2]),
        ("buffer/next_observations/achieved_goal", None),
        ("observation/desired_goal", lambda goals: goals[:3]),
        ("observation/achieved_goal", None),
    ],
)
def test_a_damaged_replay_buffer_is_refused(tmp_path, trained, env, name: str, damage) -> None:
    config, checkpoint = trained
    with safetensors.safe_open(checkpoint, "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if damage is None:
        del tensors[f"loop/{name}"]
    else:
        tensors[f"loop/{name}"] = damage(tensors[f"loop/{name}"]).contiguous()
    safetensors.torch.save_file(tensors, tmp_path / "checkpoint.safetensors", metadata=metadata)
    with pytest.raises(RunFolderError, match="does not fit the run"):
        train(config, env, tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_core):
    """A short run, and its checkpoint."""
    folder = tmp_path_factory.mktemp("her")
    config = short_config(timesteps=320)
    train(config, make_core(ROWS, goal=True, reward="sparse", max_episode_steps=LIMIT), folder)
    return config, folder / "checkpoint.safetensors"
