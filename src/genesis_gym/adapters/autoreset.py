"""What happens when an environment's episode ends: one piece of code for every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from gymnasium.vector import AutoresetMode

from genesis_gym.core import Core
from genesis_gym.core.result import Metrics, Observation
from genesis_gym.errors import NotResetError


class Transition(NamedTuple):
    """A step of every environment, autoreset included.

    Attributes:
        observation: What the policy acts on next, group → `(num_envs, ...)`.
        reward: `(num_envs,)`.
        terminated: bool `(num_envs,)`.
        truncated: bool `(num_envs,)`.
        metrics: Metrics of the state that `observation` shows.
        reset: bool `(num_envs,)`: environments that ended and were reset within this very step.
        final_observation: The true last observation of those in `reset`; elsewhere as `observation`.
        final_metrics: The metrics that belong to `final_observation`.
    """

    observation: Observation
    reward: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    metrics: Metrics
    reset: torch.Tensor
    final_observation: Observation
    final_metrics: Metrics


class Autoreset:
    """Steps a batched environment under one of Gymnasium's autoreset modes."""

    def __init__(self, env: Core, mode: AutoresetMode) -> None:
        self._env = env
        self._mode = mode
        self._ended = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)

    def reset(
        self, envs: torch.Tensor | None = None, seed: int | Sequence[int | None] | None = None
    ) -> tuple[Observation, Metrics]:
        """Reset environments by hand; see `BatchedEnv.reset`."""
        result = self._env.reset(envs, seed=seed)
        self._ended = torch.zeros_like(self._ended) if envs is None else self._ended & ~envs.to(self._ended)
        return result

    def step(self, action: torch.Tensor) -> Transition:
        """Step every environment and reset those whose turn it is.

        Args:
            action: float `(num_envs, action_dim)`.

        Returns:
            The transition.

        Raises:
            NotResetError: In DISABLED mode, an environment has ended and was not reset.
        """
        if self._mode is AutoresetMode.SAME_STEP:
            return self._same_step(action)
        if self._mode is AutoresetMode.NEXT_STEP:
            return self._next_step(action)
        return self._disabled(action)

    def _same_step(self, action: torch.Tensor) -> Transition:
        last = self._env.step(action)
        ended = last.terminated | last.truncated
        observation, metrics = last.observation, last.metrics
        if bool(ended.any()):
            observation, metrics = self._reset_some(ended, last.metrics)
        return Transition(
            observation,
            last.reward,
            last.terminated,
            last.truncated,
            metrics,
            ended,
            last.observation,
            last.metrics,
        )

    def _next_step(self, action: torch.Tensor) -> Transition:
        """Environments that ended a step ago are reset now and their action is ignored.

        The scene steps all or none, so those take a step too, which nobody sees and the core does not count.
        """
        pending = self._ended
        if not bool(pending.any()):
            return self._plain(action)
        neutral = self._env.neutral_action
        if action.shape == neutral.shape:
            action = torch.where(pending[:, None], neutral, action.to(neutral))
        last = self._env.step(action)
        observation, metrics = self._reset_some(pending, last.metrics)
        reward = torch.where(pending, 0.0, last.reward)
        terminated, truncated = last.terminated & ~pending, last.truncated & ~pending
        self._ended = terminated | truncated
        nothing = torch.zeros_like(pending)
        return Transition(observation, reward, terminated, truncated, metrics, nothing, observation, metrics)

    def _disabled(self, action: torch.Tensor) -> Transition:
        if bool(self._ended.any()):
            envs = self._ended.nonzero().flatten().tolist()
            raise NotResetError(
                f"step() was called while environments {envs[:10]} have ended; with autoreset_mode=DISABLED reset "
                "them by reset(options={'reset_mask': mask})"
            )
        return self._plain(action)

    def _plain(self, action: torch.Tensor) -> Transition:
        last = self._env.step(action)
        self._ended = last.terminated | last.truncated
        nothing = torch.zeros_like(self._ended)
        return Transition(*last, reset=nothing, final_observation=last.observation, final_metrics=last.metrics)

    def _reset_some(self, envs: torch.Tensor, metrics: Metrics) -> tuple[Observation, Metrics]:
        """Reset some environments; the metrics of the others stay those of the step."""
        observation, fresh = self._env.reset(envs)
        masks = {1: envs, 2: envs[:, None]}
        return observation, {
            name: torch.where(masks[value.ndim], fresh[name], value) for name, value in metrics.items()
        }
