"""Policies of Stable-Baselines3 that only act."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from genesis_gym.adapters.spaces import POLICY, action_space, observation_space
from genesis_gym.core import Core
from genesis_gym.learning.agents.policy import Observation, Policy
from genesis_gym.learning.config.hyperparameters import Sb3Hyperparameters
from genesis_gym.learning.config.train_config import TrainConfig

#: Hyperparameters that are arguments of the policy.
POLICY_ARGUMENTS = ("net_arch", "log_std_init")


def find_algorithm(name: str) -> type[BaseAlgorithm]:
    """The class of an algorithm."""
    if name == "TQC":
        from sb3_contrib import TQC

        return TQC
    algorithms: dict[str, type[BaseAlgorithm]] = {"PPO": PPO, "SAC": SAC, "TD3": TD3}
    return algorithms[name]


class Normalizer(nn.Module):
    """Shifts, scales and clips observations by statistics of the training, as `VecNormalize` does.

    Attributes:
        groups: Groups of the observation that are normalised; of each there are `mean_<group>` and `std_<group>`.
        clip: Greatest magnitude afterwards, `()`.
    """

    clip: torch.Tensor

    def __init__(self, sizes: dict[str, tuple[int, ...]], clip: float) -> None:
        super().__init__()
        self.groups = list(sizes)
        for group, shape in sizes.items():
            self.register_buffer(f"mean_{group}", torch.zeros(shape))
            self.register_buffer(f"std_{group}", torch.ones(shape))
        self.register_buffer("clip", torch.tensor(clip))

    def forward(self, observation: Observation) -> Observation:
        """Normalise an observation."""
        normalized = dict(observation)
        for group in self.groups:
            mean, std = getattr(self, f"mean_{group}"), getattr(self, f"std_{group}")
            normalized[group] = ((observation[group] - mean) / std).clamp(-self.clip, self.clip)
        return normalized

    def load_statistics(self, statistics: VecNormalize) -> None:
        """Take over the statistics as they are now."""
        parts: Any = statistics.obs_rms
        for group in self.groups:
            part: RunningMeanStd = parts[group] if isinstance(parts, dict) else parts
            std = np.sqrt(part.var + statistics.epsilon)
            getattr(self, f"mean_{group}").copy_(torch.from_numpy(np.asarray(part.mean)))
            getattr(self, f"std_{group}").copy_(torch.from_numpy(std))


class Sb3Policy(Policy):
    """A policy of SB3 and its normaliser."""

    _low: torch.Tensor
    _high: torch.Tensor

    def __init__(self, policy: BasePolicy, normalizer: Normalizer) -> None:
        super().__init__()
        self.policy = policy
        self.normalizer = normalizer
        assert isinstance(policy.action_space, Box)
        for name, bound in (("_low", policy.action_space.low), ("_high", policy.action_space.high)):
            self.register_buffer(name, torch.as_tensor(bound, device=policy.device), persistent=False)

    @torch.no_grad()
    def forward(self, observation: Observation) -> torch.Tensor:
        """Act by the mean of the distribution."""
        self.policy.set_training_mode(False)
        groups = self.normalizer(observation)
        several = isinstance(self.policy.observation_space, Dict)
        action = self.policy._predict(groups if several else groups[POLICY], deterministic=True)
        if self.policy.squash_output:  # from -1 to 1, as the learner has it
            action = self._low + 0.5 * (action + 1.0) * (self._high - self._low)
        return action

    def check_tensors(self) -> None:
        """Refuse statistics that divide by zero or flip a sign."""
        for name, value in self.normalizer.named_buffers():
            if not name.startswith("mean_") and not bool((value > 0).all()):
                raise ValueError(f"normalizer.{name} must be above 0")


def make_policy(config: TrainConfig, env: Core) -> Sb3Policy:
    """Make an untrained policy."""
    space = observation_space(env)
    algorithm: Any = find_algorithm(config.algorithm)
    arguments = config.hyperparameters.model_dump()
    policy = algorithm.policy_aliases[policy_name(space)](
        space, action_space(env), lambda _: 0.0, **policy_arguments(arguments)
    )
    return Sb3Policy(policy, make_normalizer(config, env))


def policy_name(space: Space[Any]) -> str:
    """SB3's name of the policy for one box of numbers, one image, or several groups."""
    if isinstance(space, Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if len(space.shape or ()) == 3 else "MlpPolicy"


def policy_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments of the policy network out of those of the algorithm."""
    names = [name for name in POLICY_ARGUMENTS if name in arguments]
    return {name: list(value) if isinstance(value := arguments.pop(name), tuple) else value for name in names}


def vector_groups(env: Core) -> dict[str, tuple[int, ...]]:
    """Groups of the observation that are vectors, and so can be normalised → their shape."""
    return {group: value.shape[1:] for group, value in env.observation.items() if value.ndim == 2}


def make_normalizer(config: TrainConfig, env: Core) -> Normalizer:
    """The normaliser that a config asks for, with no statistics yet."""
    hyperparameters = config.hyperparameters
    assert isinstance(hyperparameters, Sb3Hyperparameters)
    groups = vector_groups(env) if hyperparameters.normalize_observation else {}
    return Normalizer(groups, hyperparameters.clip_observation)
