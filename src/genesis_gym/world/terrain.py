"""What legged robots walk on."""

from __future__ import annotations

from typing import Any

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.world.part import Part
from genesis_gym.world.world import World


class Terrain(Part):
    """A ground that knows its height and where robots may start. Subclasses give it a form."""

    def add_to(self, world: World, name: str) -> Terrain:
        """Add it to a scene that is not built yet."""
        raise NotImplementedError

    def spawn(self, envs: torch.Tensor, rng: EnvRandom) -> torch.Tensor:
        """Where the episodes of some environments begin.

        Args:
            envs: bool mask `(num_envs,)`.
            rng: Random numbers of the episodes.

        Returns:
            Points on the ground, world frame, metres `(num_envs, 3)`.
        """
        raise NotImplementedError

    def height(self, position: torch.Tensor) -> torch.Tensor:
        """Height of the ground below points.

        Args:
            position: World frame, metres `(num_envs, 2 or 3)`.

        Returns:
            World frame, metres `(num_envs,)`.
        """
        raise NotImplementedError

    def contains(self, position: torch.Tensor) -> torch.Tensor:
        """Whether the ground reaches below points, bool `(num_envs,)`."""
        raise NotImplementedError


class Flat(Terrain):
    """An endless plane at z = 0."""

    name = "ground"

    def add_to(self, world: World, name: str) -> Flat:
        """Add it."""
        import genesis as gs

        self.attach(world, name)
        self.entity: Any = world.add_entity(gs.morphs.Plane())
        return self

    def spawn(self, envs: torch.Tensor, rng: EnvRandom) -> torch.Tensor:
        """The origin: environments do not meet."""
        return self._world.zeros(3)

    def height(self, position: torch.Tensor) -> torch.Tensor:
        """Zero everywhere."""
        return torch.zeros_like(position[:, 0])

    def contains(self, position: torch.Tensor) -> torch.Tensor:
        """Everywhere."""
        return torch.ones_like(position[:, 0], dtype=torch.bool)
