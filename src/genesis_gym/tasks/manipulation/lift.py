"""Lift: grasp a cube and raise it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.manipulation.grasp import HOLDING_FORCE, Grasp
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import World


@dataclass(kw_only=True, eq=False)
class LiftCube(Grasp):
    """Grasp a cube on the ground and raise it by `height`, held between the fingers.

    Cube, height and success follow ManiSkill2's LiftCube (Gu et al., 2023), whose cube needs no grasp but an arm
    at rest. At difficulty d the cube has to be raised by a share d of the height.

    Reward terms: `approach` and `grasp` of `Grasp`, `lift`, one minus the square root of the share of the height,
    `success` (0 or 1) and `action`, the sum of the squared actions.

    Attributes:
        height: How far to raise the cube, metres.
    """

    reward_weights = {"approach": -0.4, "grasp": -0.4, "lift": -0.2, "success": 1.0, "action": 0.0}  # noqa: RUF012

    height: float = 0.2

    def build(self, world: World) -> None:
        """Add the arm and the cube."""
        super().build(world)
        self._height = self.height * world.ones()

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw a place for the cube."""
        super().reset(envs, rng)
        self._height = torch.where(envs, self.height * self.difficulty, self._height)

    def evaluate(self) -> Evaluation:
        """Success is a cube that is high enough and held."""
        grasp = super().evaluate()
        rise = self.cube.position[:, 2] - self.cube_size / 2
        held = grasp.metrics["grip_force"] >= HOLDING_FORCE
        return Evaluation(
            terminated={"success": (rise >= self._height) & held}, metrics={"rise": rise, **grasp.metrics}
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Nearer, firmer and higher are better."""
        share = (evaluation.metrics["rise"] / self._height.clamp(min=1e-6)).clamp(0.0, 1.0)
        return {
            **super().reward(evaluation),
            "lift": 1.0 - share.sqrt(),  # so that the first centimetre pays
            "success": evaluation.terminated["success"],
            "action": self.actions.action.square().sum(-1),
        }
