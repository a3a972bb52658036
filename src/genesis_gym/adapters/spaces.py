"""Gymnasium spaces of a batched environment, and the conversion from numpy to torch and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

from genesis_gym.core import Core
from genesis_gym.errors import ActionError

#: The group that alone makes a `Box`.
POLICY = "policy"


def observation_space(env: Core) -> Space[Any]:
    """Space of one environment's observation: a box for the group `policy` alone, else a dictionary of boxes."""
    boxes: dict[str, Space[Any]] = {
        group: Box(to_numpy(low), to_numpy(high), dtype=to_numpy(low).dtype.type)
        for group, (low, high) in env.observation_bounds.items()
    }
    return boxes[POLICY] if list(boxes) == [POLICY] else Dict(boxes)


def to_observation(observation: Mapping[str, torch.Tensor]) -> Any:
    """Give an observation of the core its form of `observation_space`.

    Args:
        observation: Group → tensor that nobody else holds.

    Returns:
        An array, or a dictionary of arrays.
    """
    arrays = {group: to_numpy(tensor) for group, tensor in observation.items()}
    return arrays[POLICY] if list(arrays) == [POLICY] else arrays


def action_space(env: Core) -> Box:
    """Space of one environment's action."""
    return Box(to_numpy(env.action_low.clone()), to_numpy(env.action_high.clone()), dtype=np.float32)


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
