"""Controllers in joint space."""

from __future__ import annotations

import torch

from genesis_gym.robots import Robot


class Controller:
    """Moves a joint target at no more than the joints' speed limits.

    A subclass says where the action wants the target to be; this class keeps that within the joint limits and
    within one control step's travel, and feeds the target's velocity forward so that the PD controller follows
    without lag. An action of zero change holds the arm still.

    Attributes:
        action_dim: Numbers in one row's action.
        target: Joint target, rad `(rows, joints)`.
    """

    def __init__(self, robot: Robot, control_dt: float) -> None:
        self.action_dim = len(robot.spec.joints)
        self.target = robot.joint_position
        self._robot = robot
        self._control_dt = control_dt
        self._travel = robot.velocity_limits * control_dt

    def reset(self, rows: torch.Tensor) -> None:
        """Forget the past of some rows: their target becomes where their joints are.

        Args:
            rows: bool mask `(rows,)`.
        """
        self.target = torch.where(rows[:, None], self._robot.joint_position, self.target)

    def apply(self, action: torch.Tensor) -> None:
        """Command the robot for one control step.

        Args:
            action: `(rows, action_dim)` in [-1, 1], finite.
        """
        wanted = self._wanted(action).clamp(self._robot.joint_low, self._robot.joint_high)
        step = (wanted - self.target).clamp(-self._travel, self._travel)
        self.target = self.target + step
        self._robot.command(self.target, step / self._control_dt)

    def _wanted(self, action: torch.Tensor) -> torch.Tensor:
        """Where the action wants the target, rad `(rows, joints)`."""
        raise NotImplementedError


class JointDelta(Controller):
    """`joint_delta`: the action is the change of the target; ±1 moves a joint at its speed limit."""

    def _wanted(self, action: torch.Tensor) -> torch.Tensor:
        return self.target + action * self._travel


class JointPosition(Controller):
    """`joint_position`: the action is the target itself; ±1 are the joint limits."""

    def _wanted(self, action: torch.Tensor) -> torch.Tensor:
        low, high = self._robot.joint_low, self._robot.joint_high
        wanted: torch.Tensor = low + (action + 1.0) * 0.5 * (high - low)
        return wanted
