"""Reach a pose: bring the tool centre to a place in the air, and the hand to an orientation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym import rotations
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import World


@dataclass(kw_only=True, eq=False)
class ReachPose(Reach):
    """Bring the tool centre within `tolerance` of a place, the hand within `angle_tolerance` of an orientation.

    Places are drawn as in `Reach`, orientations by rotating that of the hand at home by up to `spread` about each
    axis of the world. At difficulty d both lie a share d of the way from home.

    A goal is a place in metres and a rotation from the orientation at home, a rotation vector in rad, world frame.

    Reward terms: `distance` in metres, `angle` in rad, `success` (0 or 1), and as in `Reach` `velocity` and
    `action`.

    Attributes:
        angle_tolerance: Greatest angle to the target's orientation at success, rad.
        spread: How far orientations are rotated about each axis, rad.
        rotation: How the hand shall be rotated from its orientation at home, a rotation vector in rad, world frame
            `(num_envs, 3)`.
    """

    reward_weights = {**Reach.reward_weights, "angle": -1.0}  # noqa: RUF012
    goal_parts = ("target", "to_target", "to_rotation")

    angle_tolerance: float = 0.2
    spread: float = 0.5

    def build(self, world: World) -> None:
        """Add the arm and a marker."""
        super().build(world)
        self.rotation = world.zeros(3)

    def start(self) -> None:
        """Take over the workspace and the orientation at home."""
        super().start()
        self._upright = self.arm.tool.orientation

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw new targets."""
        super().reset(envs, rng)
        most = self.world.tensor([self.spread] * 3)
        rotation = self.difficulty[:, None] * rng.uniform("turn", -most, most)
        self.rotation = torch.where(envs[:, None], rotation, self.rotation)

    def parts(self) -> dict[str, torch.Tensor]:
        """As in `Reach`, and how the hand is still to be rotated, a rotation vector in rad, world frame."""
        wanted, present = rotations.from_vector(self.rotation), rotations.from_vector(self._rotated())
        to_rotation = rotations.to_vector(rotations.multiply(wanted, rotations.inverse(present)))
        return {**super().parts(), "to_rotation": to_rotation}

    def achieved_goal(self) -> torch.Tensor:
        """Where the tool centre is, and how the hand is rotated."""
        return torch.cat([self.arm.tool.position, self._rotated()], dim=-1)

    def desired_goal(self) -> torch.Tensor:
        """Where it shall be, and how rotated."""
        return torch.cat([self.target, self.rotation], dim=-1)

    def goal(self) -> torch.Tensor:
        """The place."""
        return self.target

    def distance(self, achieved: torch.Tensor, desired: torch.Tensor) -> torch.Tensor:
        """The greater of both errors in units of its tolerance, times `tolerance`: metres of an equal error."""
        return self._greater(*self._errors(achieved, desired))

    def evaluate(self) -> Evaluation:
        """Success is when both errors are within their tolerances."""
        position_error, angle_error = self._errors(self.achieved_goal(), self.desired_goal())
        distance = self._greater(position_error, angle_error)
        return Evaluation(
            terminated={"success": distance < self.tolerance},
            metrics={
                "distance_to_target": distance,
                "position_error": position_error,
                "angle_error": angle_error,
            },
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Closer is better in both, and arriving is best."""
        errors = evaluation.metrics
        return {
            **super().reward(evaluation),
            "distance": errors["position_error"],
            "angle": errors["angle_error"],
        }

    def _rotated(self) -> torch.Tensor:
        """How the hand is rotated from home."""
        return rotations.to_vector(rotations.multiply(self.arm.tool.orientation, rotations.inverse(self._upright)))

    def _greater(self, position_error: torch.Tensor, angle_error: torch.Tensor) -> torch.Tensor:
        """The greater of both errors in units of its tolerance, times `tolerance`."""
        return torch.maximum(position_error, angle_error * (self.tolerance / self.angle_tolerance))

    def _errors(self, achieved: torch.Tensor, desired: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Metres and rad between two goals."""
        position_error = super().distance(achieved[..., :3], desired[..., :3])
        orientations = (rotations.from_vector(goal[..., 3:]) for goal in (achieved, desired))
        return position_error, rotations.angle_between(*orientations)
