"""Lift: grasp a cube and raise it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.grasp import HOLDING_FORCE, Grasp
from genesis_gym.tasks.task import Evaluation


@dataclass(kw_only=True, eq=False)
class LiftCube(Grasp):
    """Grasp a cube on the ground and raise it by `height`, held between the fingers.

    Cube, height and success follow ManiSkill2's LiftCube (Gu et al., 2023), whose cube needs no grasp but an arm
    at rest. At difficulty d the cube has to be raised by a share d of the height.

    Reward terms: `approach` and `grasp` of `Grasp`, `lift`, what the square root of the share of the height lacks
    to 1, `success` (0 or 1) and `action`, the sum of the squared actions.

    Attributes:
        height: How far to raise the cube, metres.
    """

    reward_weights = {"approach": -0.4, "grasp": -0.4, "lift": -0.2, "success": 1.0, "action": 0.0}  # noqa: RUF012

    height: float = 0.2

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the heights."""
        super().start(robot, simulation)
        self._height = torch.full((self.num_rows,), self.height, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw a place for the cube."""
        super().reset(rows, random)
        self._height = torch.where(rows, self.height * self.difficulty, self._height)

    def evaluate(self) -> Evaluation:
        """Success is a cube that is high enough and held."""
        grasp = super().evaluate()
        rise = self.cube_position[:, 2] - self.cube_size / 2
        return {
            "success": (rise >= self._height) & (grasp["grip_force"] >= HOLDING_FORCE),
            "rise": rise,
            **grasp,
        }

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nearer, firmer and higher are better."""
        share = (evaluation["rise"] / self._height.clamp(min=1e-6)).clamp(0.0, 1.0)
        return {
            **super().reward(evaluation, action),
            "lift": 1.0 - share.sqrt(),  # so that the first centimetre pays
            "success": evaluation["success"],
            "action": action.square().sum(-1),
        }
