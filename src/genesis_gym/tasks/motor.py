"""Motor: bring every joint to a target, the first of skills."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.task import Evaluation, Task


@dataclass(kw_only=True, eq=False)
class Motor(Task):
    """Bring every joint within `tolerance` of a target drawn around the home position.

    At difficulty d the target lies a share d of the way from home to the drawn target.

    Reward terms: `error`, the norm of the joint errors in rad, `success` (0 or 1), `action`, the sum of the
    squared actions, and `progress`, by how much the error's norm has shrunk in this step.

    Attributes:
        tolerance: Greatest error of any joint at success, rad.
        spread: How far a target may be from home in each joint, rad.
        joint_target: Where to go, rad `(num_rows, joints)`.
    """

    reward_weights = {"error": -1.0, "success": 10.0, "action": 0.0, "progress": 0.0}  # noqa: RUF012
    firm_contacts = False  # nothing is touched

    tolerance: float = 0.1
    spread: float = 0.6

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the targets."""
        super().start(robot, simulation)
        margin = 0.5 * self.tolerance
        self._low = torch.maximum(robot.home - self.spread, robot.joint_low + margin)
        self._high = torch.minimum(robot.home + self.spread, robot.joint_high - margin)
        self.joint_target = robot.home.expand(self.num_rows, -1).clone()

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw new targets."""
        drawn = random.uniform("joint_target", self._low, self._high)
        target = torch.lerp(self.robot.home.expand_as(drawn), drawn, self.difficulty[:, None])
        self.joint_target = torch.where(rows[:, None], target, self.joint_target)

    def observation(self) -> dict[str, torch.Tensor]:
        """Joints, then how far each is from its target, rad."""
        return {**super().observation(), "joint_error": self._error()}

    def evaluate(self) -> Evaluation:
        """Success is when the last joint has arrived."""
        error = self._error()
        return {
            "success": error.abs().amax(-1) < self.tolerance,
            "joint_error": torch.linalg.vector_norm(error, dim=-1),
        }

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Closer is better, and arriving is best."""
        return {
            "error": evaluation["joint_error"],
            "success": evaluation["success"],
            "action": action.square().sum(-1),
        }

    def potential(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Progress is error made good."""
        return {"progress": -evaluation["joint_error"]}

    def _error(self) -> torch.Tensor:
        return self.joint_target - self.robot.joint_position
