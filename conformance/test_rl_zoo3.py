"""RL Baselines3 Zoo: its scripts, as a user types them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.rollouts import ENV_ID

if importlib.util.find_spec("rl_zoo3") is None:  # importing it would patch Gymnasium for the other tests
    pytest.skip("rl_zoo3 is not installed", allow_module_level=True)

HYPERPARAMETERS = f"""
{ENV_ID}:
  n_envs: 2
  n_timesteps: 256
  policy: MlpPolicy
  normalize: true
  n_steps: 64
  batch_size: 64
  n_epochs: 2
"""


def zoo(script: str, *arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", f"rl_zoo3.{script}", "--algo", "ppo", "--env", ENV_ID, "--device", "cpu"]
    command += ["--gym-packages", "genesis_gym", *arguments]
    environment = {**os.environ, "WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_trains_evaluates_and_enjoys(tmp_path: Path) -> None:
    (tmp_path / "ppo.yml").write_text(HYPERPARAMETERS)
    arguments = ["--conf-file", "ppo.yml", "--log-folder", "logs", "--seed", "1"]
    told = zoo("train", *arguments, "--eval-freq", "100", "--eval-episodes", "2", folder=tmp_path)
    assert "Success rate" in told and "total_timesteps | 256" in told
    run = tmp_path / "logs" / "ppo" / "Genesis-FrankaReach-v0_1"
    assert {"best_model.zip", "Genesis-FrankaReach-v0.zip", "evaluations.npz"} <= {f.name for f in run.iterdir()}
    told = zoo("enjoy", "--folder", "logs", "--no-render", "-n", "250", folder=tmp_path)
    assert "Episode Length" in told and "Success rate" in told
