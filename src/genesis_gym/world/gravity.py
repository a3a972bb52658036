"""Gravity of each environment: how strong, and how far from straight down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from genesis_gym.runtime import genesis_api
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.runtime.state import Stateful

if TYPE_CHECKING:
    from genesis_gym.world.world import World

#: m/s².
STANDARD_GRAVITY = 9.81


class Gravity(Stateful):
    """Writes gravity to the scene: tilted from straight down by an angle, towards a uniform heading."""

    def __init__(self, world: World) -> None:
        """Begin with Genesis's own.

        Args:
            world: The world.
        """
        self._world = world
        self._magnitude = STANDARD_GRAVITY * world.ones()
        self._tilt, self._heading = world.zeros(), world.zeros()

    def set_magnitude(self, magnitude: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Set how strong it is, m/s² `(num_envs,)`; see `Property.write`."""
        self._magnitude = magnitude
        self._write()

    def set_tilt(self, tilt: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Set the angle, rad `(num_envs,)`, and draw the heading; see `Property.write`."""
        self._tilt = tilt
        self._heading = torch.where(envs, rng.uniform("gravity_heading", 0.0, 2.0 * math.pi), self._heading)
        self._write()

    def _write(self) -> None:
        world, tilt, heading = self._world, self._tilt, self._heading
        level = torch.stack([torch.cos(heading), torch.sin(heading), torch.zeros_like(heading)], dim=-1)
        down = world.tensor([0.0, 0.0, -1.0])
        direction = torch.cos(tilt)[:, None] * down + torch.sin(tilt)[:, None] * level
        genesis_api.set_gravity(world.scene, world.padded(self._magnitude[:, None] * direction))

    def _state_items(self) -> Iterator[tuple[str, Any]]:
        """All but the world, which holds it."""
        return ((name, value) for name, value in vars(self).items() if name != "_world")
