"""Reach a pose: bring the tool centre to a place in the air, and the hand to an orientation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym import rotations
from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.reach import Reach
from genesis_gym.tasks.task import Evaluation


@dataclass(kw_only=True, eq=False)
class ReachPose(Reach):
    """Bring the tool centre within `tolerance` of a place, the hand within `angle_tolerance` of an orientation.

    Places are drawn as in `Reach`, orientations by turning that of the hand at home by up to `spread` about each
    axis of the world. At difficulty d both lie a share d of the way from home.

    A goal is a place in metres and a turn from the orientation at home, a rotation vector in rad, world frame.

    Reward terms: `distance` in metres, `angle` in rad, `success` (0 or 1), and as in `Reach` `velocity`, `action`
    and `progress`.

    Attributes:
        angle_tolerance: Greatest angle to the target's orientation at success, rad.
        spread: How far orientations are turned about each axis, rad.
        turn: How the hand shall be turned from its orientation at home, a rotation vector in rad, world frame
            `(num_rows, 3)`.
    """

    reward_weights = {**Reach.reward_weights, "angle": -1.0}  # noqa: RUF012
    goal_parts = ("target", "to_target", "to_turn")

    angle_tolerance: float = 0.2
    spread: float = 0.5

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the targets."""
        super().start(robot, simulation)
        self._upright = robot.tool_quaternion
        self._most = torch.full((3,), self.spread, device=self.device)
        self.turn = torch.zeros(self.num_rows, 3, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw new targets."""
        super().reset(rows, random)
        turn = self.difficulty[:, None] * random.uniform("turn", -self._most, self._most)
        self.turn = torch.where(rows[:, None], turn, self.turn)

    def observation(self) -> dict[str, torch.Tensor]:
        """As in `Reach`, and how the hand is still to be turned, a rotation vector in rad, world frame."""
        wanted, present = rotations.from_vector(self.turn), rotations.from_vector(self._turned())
        to_turn = rotations.to_vector(rotations.multiply(wanted, rotations.inverse(present)))
        return {**super().observation(), "to_turn": to_turn}

    def achieved_goal(self) -> torch.Tensor:
        """Where the tool centre is, and how the hand is turned."""
        return torch.cat([self.robot.tool_position, self._turned()], dim=-1)

    def desired_goal(self) -> torch.Tensor:
        """Where it shall be, and how turned."""
        return torch.cat([self.target, self.turn], dim=-1)

    def goal(self) -> torch.Tensor:
        """The place."""
        return self.target

    def distance(self, achieved: torch.Tensor, desired: torch.Tensor) -> torch.Tensor:
        """The greater of both errors in units of its tolerance, times `tolerance`: metres of an equal error."""
        return self._greater(*self._errors(achieved, desired))

    def evaluate(self) -> Evaluation:
        """Success is when both errors are within their tolerances."""
        way, angle = self._errors(self.achieved_goal(), self.desired_goal())
        distance = self._greater(way, angle)
        return {
            "success": distance < self.tolerance,
            "distance_to_target": distance,
            "position_error": way,
            "angle_error": angle,
        }

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Closer is better in both, and arriving is best."""
        terms = super().reward(evaluation, action)
        return {**terms, "distance": evaluation["position_error"], "angle": evaluation["angle_error"]}

    def _turned(self) -> torch.Tensor:
        """How the hand is turned from home."""
        return rotations.to_vector(
            rotations.multiply(self.robot.tool_quaternion, rotations.inverse(self._upright))
        )

    def _greater(self, way: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        """The greater of both errors in units of its tolerance, times `tolerance`."""
        return torch.maximum(way, angle * (self.tolerance / self.angle_tolerance))

    def _errors(self, achieved: torch.Tensor, desired: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Metres and rad between two goals."""
        way = super().distance(achieved[..., :3], desired[..., :3])
        turns = (rotations.from_vector(goal[..., 3:]) for goal in (achieved, desired))
        return way, rotations.angle_between(*turns)
