"""Reach: bring the tool centre to a target in the air."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.task import Evaluation, Task


@dataclass(kw_only=True, eq=False)
class Reach(Task):
    """Bring the tool centre within `tolerance` of a target drawn from a box.

    Reward: `distance`, −5 for each metre of distance, and `success`, +10 within the tolerance.

    Attributes:
        tolerance: Radius of success, metres.
        target_low: Lower corner of the box of targets, world frame, metres.
        target_high: Upper corner.
        distance_weight: Reward for each metre of distance.
        success_bonus: Reward on success.
        target: Where to go, world frame, metres `(num_rows, 3)`.
    """

    tolerance: float = 0.05
    target_low: tuple[float, float, float] = (0.3, -0.3, 0.2)
    target_high: tuple[float, float, float] = (0.7, 0.3, 0.5)
    distance_weight: float = -5.0
    success_bonus: float = 10.0

    def build(self, simulation: Simulation) -> None:
        """Show the target where somebody looks; nothing collides with it."""
        self._marker: Any = None
        if simulation.visual:
            import genesis as gs

            sphere = gs.morphs.Sphere(radius=self.tolerance, fixed=True, collision=False)
            self._marker = simulation.scene.add_entity(sphere, surface=gs.surfaces.Default(color=(0.1, 0.9, 0.3)))

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the targets."""
        super().start(robot, simulation)
        self._low = torch.tensor(self.target_low, device=self.device)
        self._high = torch.tensor(self.target_high, device=self.device)
        self.target = torch.zeros(self.num_rows, 3, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw new targets."""
        drawn = random.uniform("target", self._low, self._high)
        self.target = torch.where(rows[:, None], drawn, self.target)
        if self._marker is not None:
            self._marker.set_pos(self.target)

    def observation(self) -> dict[str, torch.Tensor]:
        """Joints, then the target and the way to it, both in metres in the world frame."""
        return {**super().observation(), "target": self.target, "to_target": self._to_target()}

    def goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def evaluate(self) -> Evaluation:
        """Success is a distance below the tolerance."""
        distance = torch.linalg.vector_norm(self._to_target(), dim=-1)
        return {"success": distance < self.tolerance, "distance_to_target": distance}

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Closer is better, and arriving is best."""
        return {
            "distance": self.distance_weight * evaluation["distance_to_target"],
            "success": self.success_bonus * evaluation["success"],
        }

    def _to_target(self) -> torch.Tensor:
        return self.target - self.robot.tool_position
