"""Pick and place: bring a cube to a place in the air or on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.grasp import Grasp
from genesis_gym.tasks.task import Evaluation, GoalTask


@dataclass(kw_only=True, eq=False)
class PickAndPlace(Grasp, GoalTask):
    """Bring a cube's centre within `tolerance` of a target in the air or, one time in three, on the ground.

    Cube, tolerance, extents and the share of targets on the ground are those of panda-gym's PandaPickAndPlace
    (Gallouédec et al., 2021), which like this asks for no grasp. At difficulty d the target lies a share d of the
    way from the cube to the drawn target.

    Reward terms: `approach` and `grasp` of `Grasp`, `place`, what is `lacking` of the way to the target, all of it
    for a cube that is not held: so one that was only knocked costs nothing; `success` (0 or 1), `action`,
    the sum of the squared actions, and `progress`, metres that the cube has come closer in this step.

    Attributes:
        tolerance: Radius of success, metres.
        height: How far above the cube's place targets may be, metres.
        on_ground: Share of the targets that are on the ground.
        target: Where the cube shall go, world frame, metres `(num_rows, 3)`.
    """

    reward_weights = {  # noqa: RUF012
        "approach": -0.4,
        "grasp": -0.4,
        "place": -0.2,
        "success": 1.0,
        "action": 0.0,
        "progress": 0.0,
    }
    goal_parts: ClassVar[tuple[str, ...]] = ("target", "to_target")

    tolerance: float = 0.05
    height: float = 0.2
    on_ground: float = 0.3

    def build(self, simulation: Simulation) -> None:
        """Add the cube and, where somebody looks, a marker that nothing collides with."""
        super().build(simulation)
        if simulation.visual:
            import genesis as gs

            sphere = gs.morphs.Sphere(radius=self.tolerance, fixed=True, collision=False)
            self._marker: Any = simulation.scene.add_entity(
                sphere, material=gs.materials.Kinematic(), surface=gs.surfaces.Default(color=(0.1, 0.9, 0.3))
            )

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the targets."""
        super().start(robot, simulation)
        self._top = self._high + torch.tensor([0.0, 0.0, self.height], device=self.device)
        self._unit = torch.ones(1, device=self.device)
        self.target = torch.zeros(self.num_rows, 3, device=self.device)
        self._first_distance = torch.ones(self.num_rows, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw a place for the cube and a target."""
        super().reset(rows, random)
        drawn = random.uniform("target", self._low, self._top)
        grounded = random.uniform("on_ground", torch.zeros_like(self._unit), self._unit)[:, 0] < self.on_ground
        drawn[:, 2] = torch.where(grounded, self.cube_size / 2, drawn[:, 2])
        target = torch.lerp(self.cube_position, drawn, self.difficulty[:, None])
        self.target = torch.where(rows[:, None], target, self.target)
        distance = self.distance(self.cube_position, self.target).clamp(min=self.tolerance)
        self._first_distance = torch.where(rows, distance, self._first_distance)

    def show(self) -> None:
        """Bring the marker to the target."""
        self._marker.set_pos(self.target)

    def observation(self) -> dict[str, torch.Tensor]:
        """As in `Grasp`, the target and the way from the cube to it, world frame, metres."""
        parts = super().observation()
        return {**parts, "target": self.target, "to_target": self.target - parts["cube_position"]}

    def achieved_goal(self) -> torch.Tensor:
        """Where the cube is."""
        return self.cube_position

    def desired_goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def evaluate(self) -> Evaluation:
        """Success is a distance below the tolerance."""
        return {**super().evaluate(), **GoalTask.evaluate(self)}

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nearer and firmer are better, and a held cube closer to its target."""
        return {
            **super().reward(evaluation, action),
            "place": self.uncarried(
                evaluation["distance_to_target"], self._first_distance, evaluation["grip_force"]
            ),
            "success": evaluation["success"],
            "action": action.square().sum(-1),
        }

    def potential(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Progress is distance made good by the cube."""
        return {"progress": -evaluation["distance_to_target"]}
