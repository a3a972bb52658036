"""Training on goals: hindsight, TQC, and run folders of policies that see a dictionary."""

from __future__ import annotations

import json
import sys

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import HerReplayBuffer

from conftest import ENV_ID, EPISODES
from genesis_gym import BatchedEnv
from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.adapters.spaces import to_observation
from genesis_gym.cli.main import main
from genesis_gym.errors import ArgumentError, MissingDependencyError, RunFolderError
from genesis_gym.learning.agents.checkpoint import read_checkpoint
from genesis_gym.learning.agents.load import load_policy
from genesis_gym.learning.agents.make import check_library, make_learner
from genesis_gym.learning.agents.sb3_policy import find_algorithm
from genesis_gym.learning.config.seeds import SELECTION_SEED
from genesis_gym.learning.config.train_config import TrainConfig, make_config, parse_config
from genesis_gym.learning.evaluation.evaluate import evaluate_policy, evaluate_run
from genesis_gym.learning.training.train import train
from test_training import Interrupt, checkpoint_always, differences, with_slow_td3

ENVS = 8
LIMIT = 30

#: The replay buffer wraps around within a run.
REPLAY = {"learning_starts": 240, "batch_size": 32, "buffer_size": 400, "net_arch": (16,)}
SHORT = {"SAC": REPLAY, "TQC": REPLAY, "TD3": REPLAY, "PPO": {"n_steps": 16, "batch_size": 64, "n_epochs": 2}}


def short_config(algorithm: str = "SAC", **kwargs) -> TrainConfig:
    kwargs = {"num_envs": ENVS, "timesteps": 640, "goal": True, "reward": "sparse", **kwargs}
    return make_config(algorithm=algorithm, hyperparameters=SHORT[algorithm], **kwargs)


@pytest.fixture
def env(make_core) -> BatchedEnv:
    """The scene of test_goal."""
    return make_core(ENVS, goal=True, reward="sparse", max_episode_steps=LIMIT)


@pytest.mark.parametrize("algorithm", with_slow_td3(SHORT))
def test_a_resumed_run_equals_one_that_went_through(tmp_path, env, monkeypatch, algorithm: str) -> None:
    """Byte for byte, the episodes of the replay buffer included; and its best policy acts as it did."""
    checkpoint_always(monkeypatch)
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
    whole, resumed = (read_checkpoint(folder) for folder in written)
    assert differences(whole, resumed) == []
    for file in ("policy.safetensors", "best_policy.safetensors"):
        assert (written[0] / file).read_bytes() == (written[1] / file).read_bytes(), file
    best = max(results, key=lambda result: (result.success_rate, result.mean_reward))
    again = evaluate_policy(env, load_policy(folder, config, env, best=True), EPISODES, SELECTION_SEED)
    assert again.records == best.records
    if algorithm != "PPO":
        buffer = whole["shares"][0]["loop"]["replay_buffer"]
        assert (buffer["position"], buffer["full"]) == (30, True), "80 steps of each in a buffer of 50"
        assert buffer["steps"]["ep_length"].max() == LIMIT


@pytest.mark.parametrize("algorithm", ["SAC", "PPO"])
def test_a_policy_acts_as_sb3s_own(tmp_path, env, algorithm: str) -> None:
    """PPO's preset normalises each group by its own statistics."""
    config = short_config(algorithm)
    act = train(config, env, tmp_path)
    vec_env = GenesisSb3VecEnv(env)
    model = find_algorithm(algorithm).load(tmp_path / "model.zip", env=vec_env, device="cpu")
    observation, _ = env.reset(seed=5)
    seen = to_observation({name: value.clone() for name, value in observation.items()})
    if algorithm == "PPO":
        from stable_baselines3.common.vec_env import VecNormalize

        seen = VecNormalize.load(str(tmp_path / "vec_normalize.pkl"), vec_env).normalize_obs(seen)
    expected, _ = model.predict(seen, deterministic=True)
    for policy in (act, load_policy(tmp_path, config, env)):
        assert policy(observation).clamp(-1, 1).numpy() == pytest.approx(expected, abs=1e-5)


def test_hindsight_is_what_goals_are_for(env, core) -> None:
    def model_of(config: TrainConfig, env: BatchedEnv):
        return make_learner(config, env).model

    config = make_config(algorithm="SAC", goal=True, hyperparameters={**REPLAY, "n_sampled_goal": 8})
    buffer = model_of(config, env).replay_buffer
    assert isinstance(buffer, HerReplayBuffer) and buffer.n_sampled_goal == 8
    assert buffer.goal_selection_strategy.name == "FUTURE"
    flat = make_config(algorithm="SAC", hyperparameters=REPLAY)
    assert not isinstance(model_of(flat, core).replay_buffer, HerReplayBuffer)
    early = make_config(algorithm="SAC", goal=True, hyperparameters={**REPLAY, "learning_starts": 239})
    with pytest.raises(
        ArgumentError, match=r"learning_starts=239 .* 8 environments with at most 30 steps .* after 240"
    ):
        model_of(early, env)
    short = make_config(algorithm="SAC", goal=True, hyperparameters={**REPLAY, "buffer_size": 239})
    with pytest.raises(ArgumentError, match=r"buffer_size=239 .* takes 240"):
        model_of(short, env)


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


def test_a_config_may_leave_defaults_out() -> None:
    config = make_config(algorithm="SAC")
    old = config.model_dump(mode="json")
    del old["goal"], old["hyperparameters"]["n_sampled_goal"]
    assert parse_config(old, "config.json") == config


def test_a_missing_sb3_contrib_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'genesis-gym\[contrib\]'"):
        check_library(make_config(algorithm="TQC"))


def test_a_run_without_goals_is_not_resumed_with_goals(tmp_path, env, core) -> None:
    flat = make_config(algorithm="SAC", hyperparameters=REPLAY, num_envs=ENVS, timesteps=16)
    train(flat, core, tmp_path)
    with pytest.raises(RunFolderError, match=r"only here: .*achieved_goal=3, .*desired_goal=3"):
        train(short_config(timesteps=32), env, tmp_path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("replay_buffer.steps.ep_start", lambda starts: starts + 400),
        ("replay_buffer.steps.ep_length", lambda lengths: lengths - 1),
        ("replay_buffer.steps.ep_length", lambda lengths: lengths.clamp(max=1)),
        ("replay_buffer.episode_begin", lambda starts: starts - 400),
        ("replay_buffer.episode_begin", lambda starts: starts[:3]),
        ("replay_buffer.position", lambda position: 50),
        ("replay_buffer.steps.observations/desired_goal", lambda goals: goals[:, :, :2]),
        ("replay_buffer.steps.next_observations/achieved_goal", None),
        ("observation.desired_goal", lambda goals: goals[:3]),
        ("observation.achieved_goal", None),
    ],
)
def test_a_damaged_replay_buffer_is_refused(tmp_path, trained, env, name: str, damage) -> None:
    config, checkpoint = trained
    state = torch.load(checkpoint, weights_only=True)
    *parts, last = name.split(".")
    group = state["shares"][0]["loop"]
    for part in parts:
        group = group[part]
    value = group.pop(last)
    if damage is not None:
        damaged = damage(value)
        group[last] = damaged.contiguous() if isinstance(damaged, torch.Tensor) else damaged
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(RunFolderError, match="does not fit the run"):
        train(config, env, tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_core):
    """A short run, and its checkpoint."""
    folder = tmp_path_factory.mktemp("her")
    config = short_config(timesteps=320)
    train(config, make_core(ENVS, goal=True, reward="sparse", max_episode_steps=LIMIT), folder)
    return config, folder / "checkpoint.pt"
