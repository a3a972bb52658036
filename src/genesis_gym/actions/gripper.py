"""Action terms of a gripper: driven by the policy, or held."""

from __future__ import annotations

import torch

from genesis_gym.actions.joints import COMMAND_SECONDS
from genesis_gym.actions.term import ActionTerm
from genesis_gym.robots import Robot
from genesis_gym.runtime.random import EnvRandom


class Gripper(ActionTerm):
    """One number, where the fingers go at the speed of the real ones: -1 is closed, 1 is open.

    Their target is never farther ahead of them than makes the grasp force: so a closing gripper presses with that
    force on whatever is in between, and lets go of it within ten commands of 20 ms. The fingers have one target,
    as the drive of the real ones couples them: what they hold stays in the middle.

    Attributes:
        target: Position of the fingers to be, metres from closed, `(num_envs, 1)`.
    """

    def __init__(self, robot: Robot) -> None:
        """Drive the gripper of a robot.

        Args:
            robot: The robot.

        Raises:
            ArgumentError: It has no gripper.
        """
        super().__init__(robot.world, 1)
        self._gripper = robot.gripper
        spec = self._gripper.spec
        self._every = max(1, round(COMMAND_SECONDS / robot.world.dt))
        self._open = spec.open
        self._travel = spec.speed * self._every * robot.world.dt
        self._lead = spec.force / spec.kp
        self._physics_steps = 0

    @property
    def neutral(self) -> torch.Tensor:
        """Where the fingers are told to be already."""
        return (2.0 * self.target / self._open - 1.0).clamp(-1.0, 1.0)

    def start(self) -> None:
        """Make the fingers firm."""
        self._gripper.stiffen()
        self.target = self._gripper.opening

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget the past of some environments: their target becomes where the fingers are."""
        self.target = torch.where(envs[:, None], self._gripper.opening, self.target)
        super().reset(envs, rng)

    def process(self, action: torch.Tensor) -> None:
        """Take an action."""
        super().process(action)
        self._physics_steps = 0

    def apply(self) -> None:
        """Command the fingers, every 20 ms."""
        if self._physics_steps % self._every == 0:
            opening = self._gripper.opening
            goal = 0.5 * (1.0 + self.action) * self._open
            target = self.target + (goal - self.target).clamp(-self._travel, self._travel)
            self.target = target.clamp(opening - self._lead, opening + self._lead).clamp(0.0, self._open)
            self._gripper.command(self.target)
        self._physics_steps += 1


class HeldGripper(ActionTerm):
    """No number: the fingers are held open or closed from the beginning of an episode on."""

    def __init__(self, robot: Robot, opening: float) -> None:
        """Hold the gripper of a robot.

        Args:
            robot: The robot.
            opening: 0 for closed, 1 for open.
        """
        super().__init__(robot.world, 0)
        self._gripper = robot.gripper
        self._position = opening * robot.gripper.spec.open * robot.world.ones(1)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Command the fingers."""
        self._gripper.command(self._position)
