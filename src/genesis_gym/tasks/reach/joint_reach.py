"""Joint reach: bring every joint to a target, the first of skills."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.arm import ArmTask
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import SOFT, Physics


@dataclass(kw_only=True, eq=False)
class JointReach(ArmTask):
    """Bring every joint within `tolerance` of a target drawn around the home position.

    At difficulty d the target lies a share d of the way from home to the drawn target.

    Reward terms: `error`, the norm of the joint errors in rad, `success` (0 or 1), and `action`, the sum of the
    squared actions.

    Attributes:
        tolerance: Greatest error of any joint at success, rad.
        spread: How far a target may be from home in each joint, rad.
        joint_target: Where to go, rad `(num_envs, joints)`.
    """

    physics = Physics(contacts=SOFT)  # nothing is touched
    reward_weights = {"error": -1.0, "success": 10.0, "action": 0.0}  # noqa: RUF012

    tolerance: float = 0.1
    spread: float = 0.6

    def start(self) -> None:
        """Allocate the targets."""
        arm, margin = self.arm, 0.5 * self.tolerance
        self._low = torch.maximum(arm.default - self.spread, arm.joint_low + margin)
        self._high = torch.minimum(arm.default + self.spread, arm.joint_high - margin)
        self.joint_target = arm.default.expand(self.world.num_envs, -1).clone()

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw new targets."""
        drawn = rng.uniform("joint_target", self._low, self._high)
        target = torch.lerp(self.arm.default.expand_as(drawn), drawn, self.difficulty[:, None])
        self.joint_target = torch.where(envs[:, None], target, self.joint_target)

    def parts(self) -> dict[str, torch.Tensor]:
        """Joints, then how far each is from its target, rad."""
        return {**super().parts(), "joint_error": self._error()}

    def evaluate(self) -> Evaluation:
        """Success is when the last joint has arrived."""
        error = self._error()
        return Evaluation(
            terminated={"success": error.abs().amax(-1) < self.tolerance},
            metrics={"joint_error": torch.linalg.vector_norm(error, dim=-1)},
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Closer is better, and arriving is best."""
        return {
            "error": evaluation.metrics["joint_error"],
            "success": evaluation.terminated["success"],
            "action": self.actions.action.square().sum(-1),
        }

    def _error(self) -> torch.Tensor:
        return self.joint_target - self.arm.joint_position
