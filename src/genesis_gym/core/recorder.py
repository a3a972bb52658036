"""Recorder protocol: hooks around reset and step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from genesis_gym.core.env import BatchedEnv


class Recorder(Protocol):
    """Called by a `BatchedEnv` whose attribute `recorder` it is; it must not change anything."""

    def before_reset(self, env: BatchedEnv, envs: torch.Tensor | None) -> None:
        """Some environments are about to be reset, or all to be restored.

        Args:
            env: The environment.
            envs: bool mask `(num_envs,)`; None for all, or when seeds are given.
        """

    def before_step(self, env: BatchedEnv, action: torch.Tensor) -> None:
        """A step is about to be taken.

        Args:
            env: The environment.
            action: As it was given, float `(num_envs, action_dim)`.
        """

    def after_step(self, env: BatchedEnv, faulty: torch.Tensor) -> None:
        """A step has been taken.

        Args:
            env: The environment.
            faulty: Environments that became faulty in it, bool `(num_envs,)`.
        """
