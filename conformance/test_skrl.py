"""skrl: `wrap_env`, its PPO and its `SequentialTrainer`, as its Gymnasium examples have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode

pytest.importorskip("skrl")
import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.agents.torch.sac import SAC, SAC_CFG
from skrl.envs.wrappers.torch import Wrapper, wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.torch import SequentialTrainer
from torch import nn

from conformance.rollouts import EPISODE


class Policy(GaussianMixin, Model):
    def __init__(self, env: Wrapper) -> None:
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space)
        GaussianMixin.__init__(self, clip_actions=True)
        self.net = nn.Sequential(nn.Linear(self.num_observations, 32), nn.ELU(), nn.Linear(32, self.num_actions))
        self.log_std = nn.Parameter(torch.zeros(self.num_actions))

    def compute(self, inputs: dict, role: str) -> tuple[torch.Tensor, dict]:
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Value(DeterministicMixin, Model):
    def __init__(self, env: Wrapper) -> None:
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space)
        DeterministicMixin.__init__(self)
        self.net = nn.Sequential(nn.Linear(self.num_observations, 32), nn.ELU(), nn.Linear(32, 1))

    def compute(self, inputs: dict, role: str) -> tuple[torch.Tensor, dict]:
        return self.net(inputs["observations"]), {}


class Critic(DeterministicMixin, Model):
    def __init__(self, env: Wrapper) -> None:
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space)
        DeterministicMixin.__init__(self)
        inputs = self.num_observations + self.num_actions
        self.net = nn.Sequential(nn.Linear(inputs, 32), nn.ELU(), nn.Linear(32, 1))

    def compute(self, inputs: dict, role: str) -> tuple[torch.Tensor, dict]:
        return self.net(torch.cat([inputs["observations"], inputs["taken_actions"]], dim=1)), {}


@pytest.fixture(params=["vector", "single"])
def wrapped(request: pytest.FixtureRequest, vectors: Callable, env: gymnasium.Env) -> Wrapper:
    return wrap_env(vectors(AutoresetMode.NEXT_STEP) if request.param == "vector" else env, verbose=False)


def experiment(folder: Path) -> dict:
    return {"directory": str(folder), "experiment_name": "run", "write_interval": 16, "checkpoint_interval": 32}


def test_ppo(wrapped: Wrapper, tmp_path: Path) -> None:
    models = {"policy": Policy(wrapped), "value": Value(wrapped)}
    agent = PPO(
        models=models,
        memory=RandomMemory(memory_size=16, num_envs=wrapped.num_envs),
        observation_space=wrapped.observation_space,
        action_space=wrapped.action_space,
        cfg=PPO_CFG(rollouts=16, learning_epochs=2, experiment=experiment(tmp_path)),
    )
    train(agent, wrapped, tmp_path)


def test_sac(wrapped: Wrapper, tmp_path: Path) -> None:
    critics = ("critic_1", "critic_2", "target_critic_1", "target_critic_2")
    agent = SAC(
        models={"policy": Policy(wrapped), **{name: Critic(wrapped) for name in critics}},
        memory=RandomMemory(memory_size=200, num_envs=wrapped.num_envs),
        observation_space=wrapped.observation_space,
        action_space=wrapped.action_space,
        cfg=SAC_CFG(batch_size=32, learning_starts=16, random_timesteps=16, experiment=experiment(tmp_path)),
    )
    train(agent, wrapped, tmp_path)


def train(agent: PPO | SAC, wrapped: Wrapper, folder: Path) -> None:
    """Several episodes long; the policy changes, checkpoints are written, and evaluation runs."""
    before = [parameter.clone() for parameter in agent.policy.parameters()]
    configuration = {"timesteps": 8 * EPISODE, "headless": True, "disable_progressbar": True}
    trainer = SequentialTrainer(
        env=wrapped, agents=agent, cfg={**configuration, "close_environment_at_exit": False}
    )
    trainer.train()
    assert any(not torch.equal(a, b) for a, b in zip(before, agent.policy.parameters(), strict=True))
    assert all(parameter.isfinite().all() for parameter in agent.policy.parameters())
    assert list((folder / "run" / "checkpoints").glob("*.pt"))
    trainer.eval()
