"""Somebody who sees every call of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from genesis_gym.core.env import BatchedEnv


class Witness(Protocol):
    """Told by a `BatchedEnv` whose attribute `witness` it is; it must not change anything."""

    def before_reset(self, env: BatchedEnv, rows: torch.Tensor | None) -> None:
        """Some rows are about to be reset, or all to be restored.

        Args:
            env: The environment.
            rows: bool mask `(num_envs,)`; None for all, or when seeds are given.
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
            faulty: Rows that became faulty in it, bool `(num_envs,)`.
        """
