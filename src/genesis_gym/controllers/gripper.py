"""A gripper that the action opens and closes, beside any controller of the arm."""

from __future__ import annotations

import torch

from genesis_gym.controllers.joint import Controller
from genesis_gym.robots import Robot

#: Stiffness and damping of the fingers' PD controllers, N/m and N·s/m: those of Isaac Lab's Franka. With 100 N/m,
#: the asset's own, a finger would press on a 4 cm cube with 2 N.
STIFFNESS = 2000.0
DAMPING = 100.0


class WithGripper:
    """An arm's controller, and a gripper that the last number of the action drives.

    It is where the fingers go, at the speed of the real ones: -1 is closed, 1 is open. Their target is never
    farther ahead of them than makes the grasp force: so a closing gripper presses with that force on whatever is
    in between, and lets go of it within ten steps of 20 ms. The fingers have one target, as the drive of the real
    ones couples them: what they hold stays in the middle.

    Attributes:
        action_dim: Numbers in one row's action: the arm's, and one.
        target: Position of the fingers to be, metres from closed, `(rows, 1)`.
    """

    def __init__(self, arm: Controller, robot: Robot, control_dt: float) -> None:
        self.action_dim = arm.action_dim + 1
        self._arm = arm
        self._robot = robot
        self._open = robot.spec.gripper_open
        self._travel = robot.spec.gripper_speed * control_dt
        self._lead = robot.spec.gripper_force / STIFFNESS
        robot.set_gripper_gains(STIFFNESS, DAMPING)
        self.target = robot.opening

    def reset(self, rows: torch.Tensor) -> None:
        """Forget the past of some rows: their targets become where arm and fingers are.

        Args:
            rows: bool mask `(rows,)`.
        """
        self._arm.reset(rows)
        self.target = torch.where(rows[:, None], self._robot.opening, self.target)

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        return {**self._arm.state(), "fingers": self.target}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave.

        Args:
            state: The tensors, of as many rows as this.
        """
        self._arm.restore(state)
        self.target = state["fingers"]

    def apply(self, action: torch.Tensor) -> None:
        """Command arm and gripper for one control step.

        Args:
            action: `(rows, action_dim)` in [-1, 1], finite.
        """
        self._arm.apply(action[:, :-1])
        opening = self._robot.opening
        goal = 0.5 * (1.0 + action[:, -1:]) * self._open
        target = self.target + (goal - self.target).clamp(-self._travel, self._travel)
        self.target = target.clamp(opening - self._lead, opening + self._lead).clamp(0.0, self._open)
        self._robot.command_gripper(self.target)
