"""The action term of a drone."""

from __future__ import annotations

import torch

from genesis_gym.actions.term import ActionTerm
from genesis_gym.robots import Robot
from genesis_gym.runtime.random import EnvRandom


class Rotors(ActionTerm):
    """One number for each propeller: its speed is hover · (1 + span · a)."""

    def __init__(self, robot: Robot) -> None:
        """Drive the propellers of a drone.

        Args:
            robot: The drone.

        Raises:
            ArgumentError: It has no propellers.
        """
        self._propellers = robot.propellers
        super().__init__(robot.world, self._propellers.count)
        self._robot = robot
        self._rpm = self._propellers.hover * robot.world.ones(self.size)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget the past of some environments."""
        super().reset(envs, rng)
        self._rpm = torch.where(envs[:, None], self._propellers.hover, self._rpm)

    def process(self, action: torch.Tensor) -> None:
        """Take an action."""
        super().process(action)
        self._rpm = self._propellers.hover * (1.0 + self._propellers.span * action)

    def apply(self) -> None:
        """Spin; Genesis forgets the speeds after every physics step."""
        self._robot.command_propellers(self._rpm)
