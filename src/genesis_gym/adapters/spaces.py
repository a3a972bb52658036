"""Gymnasium spaces of a batched environment, and the way from numpy to torch and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space, flatdim
from numpy.typing import NDArray

from genesis_gym.core import OBSERVATION_BOUND, Core
from genesis_gym.errors import ActionError

#: Keys of the observation of an environment made with `goal=True`, as in Gymnasium-Robotics.
GOALS = ("achieved_goal", "desired_goal")

#: All its keys, in the order of the core's observation, which has the goals last.
ENTRIES = ("observation", *GOALS)


def observation_space(env: Core) -> Space[Any]:
    """Space of one row's observation: a box, or with `goal=True` a dictionary of boxes."""
    boxes: dict[str, Space[Any]] = {
        name: Box(-OBSERVATION_BOUND, OBSERVATION_BOUND, (place.stop - place.start,), np.float32)
        for name, place in _places(env).items()
    }
    return Dict(boxes) if len(boxes) > 1 else boxes["observation"]


def to_observation(env: Core, observation: torch.Tensor) -> Any:
    """Give an observation of the core its form of `observation_space`.

    Args:
        env: The core.
        observation: Of one row `(observation_dim,)` or of many `(n, observation_dim)`; nobody else holds it.

    Returns:
        An array, or with `goal=True` a dictionary of arrays.
    """
    array = to_numpy(observation)
    places = _places(env)
    if len(places) == 1:
        return array
    return {name: np.ascontiguousarray(array[..., place]) for name, place in places.items()}


def split_observation(space: Space[Any], observation: torch.Tensor) -> Any:
    """Give an observation of the core the form of a space, in torch.

    Args:
        space: An `observation_space`.
        observation: `(n, observation_dim)`.

    Returns:
        The observation itself, or for a dictionary of boxes a dictionary of its parts.
    """
    if not isinstance(space, Dict):
        return observation
    sizes = [flatdim(space[name]) for name in ENTRIES]
    return dict(zip(ENTRIES, torch.split(observation, sizes, dim=-1), strict=True))


def goal_reward(env: Core) -> Callable[..., Any]:
    """The core's `compute_reward`.

    Raises:
        AttributeError: It was made without `goal=True`.
    """
    if GOALS[0] not in env.observation_layout:
        raise AttributeError("compute_reward is only there with goal=True")
    return env.compute_reward


def _places(env: Core) -> dict[str, slice]:
    """Where the entries of an adapter's observation lie in that of the core, which has the goals last."""
    goals = {name: env.observation_layout[name] for name in GOALS if name in env.observation_layout}
    end = goals[GOALS[0]].start if goals else env.observation_dim
    return {"observation": slice(0, end), **goals}


def action_space(env: Core) -> Box:
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
