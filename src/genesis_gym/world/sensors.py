"""Sensors: components with a typed reading."""

from __future__ import annotations

from typing import Protocol

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.world.part import Part
from genesis_gym.world.world import World

#: A contact counts from this force on, N.
CONTACT_FORCE = 1.0


class Links(Protocol):
    """A group of links of a robot."""

    name: str
    count: int

    def contact_force(self) -> torch.Tensor:
        """Sum of the contact forces on each link, world frame, N `(num_envs, links, 3)`."""


class Contacts(Part):
    """Net contact force on each link of a group, and how long each has been without contact.

    Attributes:
        air_time: Seconds since each link last touched something, `(num_envs, links)`; in the step in which it
            lands, how long it was in the air.
        contact_time: Seconds since each link last was in the air, `(num_envs, links)`.
        landed: Links that touch something for the first time in this step, bool `(num_envs, links)`.
    """

    def __init__(self, links: Links, *, threshold: float = CONTACT_FORCE) -> None:
        """Declare it.

        Args:
            links: Such as `robot.links["feet"]`.
            threshold: Force from which on a link counts as touching, N.
        """
        self._links = links
        self.threshold = threshold
        self.name = f"{links.name}_contacts"

    def add_to(self, world: World, name: str) -> Contacts:
        """Add it."""
        self.attach(world, name)
        self.air_time = world.zeros(self._links.count)
        self.contact_time = world.zeros(self._links.count)
        self.landed = torch.zeros_like(self.air_time, dtype=torch.bool)
        return self

    @property
    def force(self) -> torch.Tensor:
        """Sum of the contact forces on each link, world frame, N `(num_envs, links, 3)`; zero after a reset."""
        return self._links.contact_force()

    @property
    def touching(self) -> torch.Tensor:
        """Links that touch something, bool `(num_envs, links)`."""
        touching: torch.Tensor = torch.linalg.vector_norm(self.force, dim=-1) > self.threshold
        return touching

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget how long links have been where."""
        self.air_time = torch.where(envs[:, None], 0.0, self.air_time)
        self.contact_time = torch.where(envs[:, None], 0.0, self.contact_time)
        self.landed = self.landed & ~envs[:, None]

    def update(self, rng: EnvRandom) -> None:
        """Count the time of a control step."""
        touching, passed = self.touching, self._world.control_dt
        self.air_time = torch.where(self.landed, 0.0, self.air_time) + passed * ~touching
        self.landed = touching & (self.air_time > 0.0)
        self.contact_time = torch.where(touching, self.contact_time + passed, 0.0)
