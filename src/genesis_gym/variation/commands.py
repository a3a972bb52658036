"""Commands: what an episode asks for, and asks anew while it lasts."""

from __future__ import annotations

import torch

from genesis_gym.runtime.random import Bound, EnvRandom
from genesis_gym.world import Component, World


class UniformCommand(Component):
    """A vector that is drawn uniformly at the beginning of an episode, and again every few seconds.

    Attributes:
        value: The present command, `(num_envs, k)`.
        low: Least values, `(k,)`; may be assigned.
        high: Greatest values, `(k,)`; may be assigned.
    """

    def __init__(
        self, world: World, *, high: Bound, low: Bound | None = None, every: float = 10.0, standing: float = 0.1
    ) -> None:
        """Draw from a box.

        Args:
            world: The world.
            high: Greatest values, `(k,)`.
            low: Least values, `(k,)`; None for minus the greatest.
            every: Seconds between two commands.
            standing: Share of the commands that are zero.
        """
        self.high = torch.as_tensor(high, dtype=torch.float32, device=world.device).reshape(-1)
        self.low = -self.high if low is None else torch.as_tensor(low, dtype=torch.float32, device=world.device)
        self.value = world.zeros(len(self.high))
        self._left = world.zeros()
        self._every = every
        self._standing = standing
        self._dt = world.control_dt

    @property
    def moving(self) -> torch.Tensor:
        """Whether the command is not zero, bool `(num_envs,)`."""
        return (self.value != 0.0).any(-1)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw the first command of an episode."""
        self._draw(envs, rng)

    def update(self, rng: EnvRandom) -> None:
        """Draw another one where the time has come."""
        self._left = self._left - self._dt
        self._draw(self._left <= 0.5 * self._dt, rng)

    def _draw(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        drawn = rng.uniform("command", self.low, self.high)
        stand = rng.uniform("command stands", 0.0, 1.0) < self._standing
        self.value = torch.where(envs[:, None], torch.where(stand[:, None], 0.0, drawn), self.value)
        self._left = torch.where(envs, self._every, self._left)
