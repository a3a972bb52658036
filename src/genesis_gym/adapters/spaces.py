"""Gymnasium spaces of a batched environment, and the way from numpy to torch and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray

from genesis_gym.core import OBSERVATION_BOUND, BatchedEnv
from genesis_gym.errors import ActionError


def observation_space(env: BatchedEnv) -> Box:
    """Space of one row's observation."""
    return Box(-OBSERVATION_BOUND, OBSERVATION_BOUND, (env.observation_dim,), np.float32)


def action_space(env: BatchedEnv) -> Box:
    """Space of one row's action."""
    return Box(-1.0, 1.0, (env.action_dim,), np.float32)


def to_torch(action: Any) -> torch.Tensor:
    """Copy an action into a torch tensor.

    Args:
        action: A floating-point array of any shape; its shape is checked by the core.

    Returns:
        float32 on the CPU.

    Raises:
        ActionError: The action is no array of floating-point numbers.
    """
    array = np.asarray(action)
    if array.dtype.kind != "f":
        raise ActionError(f"action has dtype {array.dtype}; it must be floating-point, such as float32")
    return torch.from_numpy(array.astype(np.float32, copy=True))


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """Give a tensor that nobody else holds as an array, without a copy where it lives on the CPU."""
    array: NDArray[Any] = tensor.cpu().numpy()
    return array
