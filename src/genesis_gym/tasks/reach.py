"""Reach: bring the tool centre to a target in the air."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.task import Evaluation, GoalTask


@dataclass(kw_only=True, eq=False)
class Reach(GoalTask):
    """Bring the tool centre within `tolerance` of a target drawn from a box.

    At difficulty d the target lies on the straight way from the tool at home to the drawn target, after a share d
    of it.

    Reward terms: `distance` in metres, `success` (0 or 1), `velocity`, the sum of the squared joint speeds in
    (rad/s)², `action`, the sum of the squared actions, and `progress`, metres come closer in this step.

    Attributes:
        tolerance: Radius of success, metres.
        target_low: Lower corner of the box of targets, world frame, metres; None for the workspace's.
        target_high: Upper corner, likewise.
        target: Where to go, world frame, metres `(num_rows, 3)`.
    """

    reward_weights = {"distance": -5.0, "success": 10.0, "velocity": 0.0, "action": 0.0, "progress": 0.0}  # noqa: RUF012
    firm_contacts = False  # nothing is touched
    goal_parts: ClassVar[tuple[str, ...]] = ("target", "to_target")

    tolerance: float = 0.05
    target_low: tuple[float, float, float] | None = None
    target_high: tuple[float, float, float] | None = None

    def build(self, simulation: Simulation) -> None:
        """Add a marker where somebody looks; nothing collides with it."""
        if simulation.visual:
            import genesis as gs

            sphere = gs.morphs.Sphere(radius=self.tolerance, fixed=True, collision=False)
            self._marker: Any = simulation.scene.add_entity(
                sphere, material=gs.materials.Kinematic(), surface=gs.surfaces.Default(color=(0.1, 0.9, 0.3))
            )

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the targets."""
        super().start(robot, simulation)
        given = (self.target_low, self.target_high)
        self._low, self._high = (
            own if corner is None else torch.tensor(corner, device=self.device)
            for corner, own in zip(given, robot.workspace, strict=True)
        )
        self._easiest = robot.tool_position
        self.target = torch.zeros(self.num_rows, 3, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw new targets."""
        drawn = random.uniform("target", self._low, self._high)
        target = torch.lerp(self._easiest, drawn, self.difficulty[:, None])
        self.target = torch.where(rows[:, None], target, self.target)

    def show(self) -> None:
        """Bring the marker to the target."""
        self._marker.set_pos(self.target)

    def observation(self) -> dict[str, torch.Tensor]:
        """Joints, then the target and the way to it, both in metres in the world frame."""
        return {
            **super().observation(),
            "target": self.target,
            "to_target": self.target - self.robot.tool_position,
        }

    def achieved_goal(self) -> torch.Tensor:
        """Where the tool centre is."""
        return self.robot.tool_position

    def desired_goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Closer is better, and arriving is best."""
        return {
            "distance": evaluation["distance_to_target"],
            "success": evaluation["success"],
            "velocity": self.robot.joint_velocity.square().sum(-1),
            "action": action.square().sum(-1),
        }

    def potential(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Progress is distance made good."""
        return {"progress": -evaluation["distance_to_target"]}
