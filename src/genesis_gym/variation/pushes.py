"""Pushes: kicks that a robot has to recover from."""

from __future__ import annotations

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime.masks import known_empty
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.world import Component


class RandomPush(Component):
    """Kicks the base of a robot horizontally, at random times: its velocity jumps.

    Attributes:
        speed: Greatest jump along x and along y, m/s; may be assigned.
    """

    def __init__(self, robot: Robot, *, every: tuple[float, float] = (8.0, 12.0), speed: float = 0.5) -> None:
        """Kick a robot.

        Args:
            robot: The robot, whose base is floating.
            every: Least and greatest time between two kicks, s.
            speed: Greatest jump along x and along y, m/s.
        """
        self._robot = robot
        self.speed = speed
        self._every = every
        self._left = robot.world.zeros()

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw the time of the first kick."""
        self._left = torch.where(envs, rng.uniform("push time", *self._every), self._left)

    def update(self, rng: EnvRandom) -> None:
        """Kick where the time has come."""
        self._left = self._left - self._robot.world.control_dt
        due = self._left <= 0.0
        if self.speed == 0.0 or known_empty(due):
            return
        jump = rng.uniform("push", -self.speed, self.speed, 2)
        self._robot.add_velocity(due, torch.nn.functional.pad(jump, (0, 1)))
        self._left = torch.where(due, rng.uniform("push time", *self._every), self._left)
