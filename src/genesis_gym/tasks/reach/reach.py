"""Reach: bring the tool centre to a target in the air."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.arm import ArmGoalTask
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import SOFT, Marker, Physics, World


@dataclass(kw_only=True, eq=False)
class Reach(ArmGoalTask):
    """Bring the tool centre within `tolerance` of a target drawn from a box.

    At difficulty d the target lies on the straight line from the tool at home to the drawn target, after a share d
    of it.

    Reward terms: `distance` in metres, `success` (0 or 1), `velocity`, the sum of the squared joint speeds in
    (rad/s)², and `action`, the sum of the squared actions.

    Attributes:
        tolerance: Radius of success, metres.
        target_low: Lower corner of the box of targets, world frame, metres; None for the workspace's.
        target_high: Upper corner, likewise.
        target: Where to go, world frame, metres `(num_envs, 3)`.
    """

    physics = Physics(contacts=SOFT)  # nothing is touched
    reward_weights = {"distance": -5.0, "success": 10.0, "velocity": 0.0, "action": 0.0}  # noqa: RUF012
    goal_parts: ClassVar[tuple[str, ...]] = ("target", "to_target")

    tolerance: float = 0.05
    target_low: tuple[float, float, float] | None = None
    target_high: tuple[float, float, float] | None = None

    def build(self, world: World) -> None:
        """Add the arm and a marker."""
        super().build(world)
        self._marker = world.add(Marker(self.tolerance), name="target")
        self.target = world.zeros(3)

    def start(self) -> None:
        """Take over the workspace."""
        given = (self.target_low, self.target_high)
        self._low, self._high = (
            own if corner is None else self.world.tensor(corner)
            for corner, own in zip(given, self.arm.tool.workspace, strict=True)
        )
        self._easiest = self.arm.tool.position

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw new targets."""
        drawn = rng.uniform("target", self._low, self._high)
        target = torch.lerp(self._easiest, drawn, self.difficulty[:, None])
        self.target = torch.where(envs[:, None], target, self.target)

    def show(self) -> None:
        """Move the marker to the target."""
        self._marker.show_at(self.target)

    def parts(self) -> dict[str, torch.Tensor]:
        """Joints, the target and the displacement to it, both in metres in the world frame."""
        return {**super().parts(), "target": self.target, "to_target": self.target - self.arm.tool.position}

    def achieved_goal(self) -> torch.Tensor:
        """Where the tool centre is."""
        return self.arm.tool.position

    def desired_goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Closer is better, and arriving is best."""
        return {
            "distance": evaluation.metrics["distance_to_target"],
            "success": evaluation.terminated["success"],
            "velocity": self.arm.joint_velocity.square().sum(-1),
            "action": self.actions.action.square().sum(-1),
        }
