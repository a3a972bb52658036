"""Several ranks of torchrun learn as one process with all environments, and outlive a kill -9 of one of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch.distributions import Normal

from genesis_gym.cli.main import main
from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError, RunFolderError
from genesis_gym.learning.agents import ranks
from genesis_gym.learning.agents.checkpoint import read_checkpoint
from genesis_gym.learning.agents.learner import Hook
from genesis_gym.learning.config.train_config import TrainConfig, make_config
from genesis_gym.learning.pipeline import run as pipeline
from genesis_gym.learning.pipeline.run import envs_of_rank
from genesis_gym.learning.training import hooks
from genesis_gym.learning.training.train import train

ENVS, STEPS, ROLLOUTS = 8, 16, 6


def short_config(**kwargs) -> TrainConfig:
    """One mini-batch, since each rank would draw others from its own environments; all else as it comes."""
    hyperparameters = {"num_steps_per_env": STEPS, "num_mini_batches": 1, "num_learning_epochs": 2}
    return make_config(
        algorithm="RSL_PPO",
        num_envs=ENVS,
        timesteps=ENVS * STEPS * ROLLOUTS,
        hyperparameters={**hyperparameters, "schedule": "adaptive", "obs_normalization": True},
        **kwargs,
    )


def resumed_config() -> TrainConfig:
    return short_config(evaluate_every=2 * ENVS * STEPS, randomization={"wind": [0, 5]})


def same_noise(patch: pytest.MonkeyPatch) -> None:
    """Let the actions of an environment be the same however many ranks there are."""
    generator = torch.Generator().manual_seed(7)

    def sample(normal: Normal) -> torch.Tensor:
        envs = len(normal.mean)
        if envs > ENVS:
            return normal.mean  # drawn in an update, and not used
        noise = torch.randn(ENVS, normal.mean.shape[1], generator=generator)
        return normal.mean + normal.stddev * noise[ranks.rank() * envs :][:envs]

    patch.setattr(Normal, "sample", sample)


class Keep(Hook):
    """Writes down the learner's state and the first observation."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def before_training(self, learner) -> None:
        self._observation = learner.env.observation["policy"]

    def after_training(self, learner) -> None:
        state = {name: value.clone() for name, value in learner.policy.state_dict().items()}
        state["learning_rate"] = torch.tensor(learner.algorithm.learning_rate)
        state["observation"] = self._observation
        safetensors.torch.save_file(state, self._path)


class Send(Hook):
    """Sends rank 1 a signal before its fourth rollout."""

    def __init__(self, number: int) -> None:
        self._number = number

    def before_rollout(self, learner) -> None:
        if learner.timesteps == 3 * ENVS * STEPS and ranks.rank() == 1:
            os.kill(os.getpid(), self._number)


def make_env(config: TrainConfig) -> BatchedEnv:
    return make_core(config.env, envs_of_rank(config), device="cpu", **config.training_env())


def first_life(folder: Path) -> None:
    """What each rank runs, until rank 1 is killed."""
    hooks.CHECKPOINT_SECONDS, hooks.PERIODIC_EPISODES = 0.0, 8
    env = make_env(short_config())
    with ranks.joined(env.device):
        with pytest.MonkeyPatch.context() as patch:
            same_noise(patch)
            train(short_config(), env, folder / "alike", [Keep(folder / f"rank{ranks.rank()}.safetensors")])
        env.close()
        config = resumed_config()
        env = make_env(config)
        train(config, env, folder / "through")
        with pytest.raises(KeyboardInterrupt):
            train(config, env, folder / "stopped", [Send(signal.SIGTERM)])
        train(config, env, folder / "stopped")
        train(config, env, folder / "killed", [Send(signal.SIGKILL)])


def second_life(folder: Path) -> None:
    hooks.PERIODIC_EPISODES = pipeline.EVALUATION_EPISODES = 8
    assert main(["train", "--resume", str(folder / "killed"), "--device", "cpu", "--quiet"]) == 0


def torchrun(folder: Path, life: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(f"import pathlib, test_distributed as t; t.{life}(pathlib.Path({str(folder)!r}))")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(program),
    ]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_two_ranks_learn_as_one_process_and_outlive_a_kill(tmp_path, core, monkeypatch) -> None:
    for name in ("alike", "through", "stopped", "killed", "single"):
        (tmp_path / name).mkdir()
    ended = torchrun(tmp_path, "first_life")
    assert ended.returncode != 0 and "Signal 9 (SIGKILL)" in ended.stderr, ended.stderr
    first, second = (safetensors.torch.load_file(tmp_path / f"rank{number}.safetensors") for number in (0, 1))

    same_noise(monkeypatch)
    train(short_config(), core, tmp_path / "single", [Keep(tmp_path / "single.safetensors")])
    single = safetensors.torch.load_file(tmp_path / "single.safetensors")
    observations = torch.cat([first.pop("observation"), second.pop("observation")])
    assert torch.equal(observations, single.pop("observation")), "the episodes are those of one process"
    assert all(torch.equal(first[name], second[name]) for name in first), "networks, normalisers, learning rate"
    for name, value in single.items():  # the sums of 64 samples and of 128 differ in the last bits
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")

    through = (tmp_path / "through" / "checkpoint.pt").read_bytes()
    assert (tmp_path / "stopped" / "checkpoint.pt").read_bytes() == through
    assert read_checkpoint(tmp_path / "killed")["timesteps"] == 3 * ENVS * STEPS
    resumed = torchrun(tmp_path, "second_life")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "killed" / "checkpoint.pt").read_bytes() == through, "bit for bit"
    assert (tmp_path / "killed" / "report.html").is_file()
    assert resumed.stdout.count("success rate") == 1, "only rank 0 speaks"
    with pytest.raises(RunFolderError, match="was trained by 2 ranks, not by 1: resume it with torchrun"):
        train(resumed_config(), core, tmp_path / "killed")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["demo"], "torchrun can start several processes of train only"),
        (
            ["train", "--algorithm", "SAC"],
            "SAC of Stable-Baselines3 trains in one process, and torchrun started 2; --library",
        ),
        (["train", "--library", "rsl_rl", "--num-envs", "9"], "num_envs=9 cannot be divided among 2 ranks"),
        (
            ["train", "--library", "rsl_rl", "--num-envs", "2", "--set", "num_mini_batches=16"],
            "too many for 1 environments",
        ),
    ],
)
def test_what_several_ranks_cannot_do_is_told_at_once(arguments, reason, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([*arguments, "--quiet", "--out", str(tmp_path / "run")]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_each_rank_sees_its_own_gpu_only(monkeypatch) -> None:
    """With a pretended count: nothing here needs a GPU."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ArgumentError, match="local rank 2 has no GPU of its own, there are 2"):
        ranks.take_own_gpu()
    monkeypatch.setenv("LOCAL_RANK", "1")
    ranks.take_own_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"
