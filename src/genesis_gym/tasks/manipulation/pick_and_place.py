"""Pick and place: bring a cube to a place in the air or on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.manipulation.grasp import Grasp
from genesis_gym.tasks.task import Evaluation, GoalTask
from genesis_gym.world import Marker, World


@dataclass(kw_only=True, eq=False)
class PickAndPlace(Grasp, GoalTask):
    """Bring a cube's centre within `tolerance` of a target in the air or, one time in three, on the ground.

    Cube, tolerance, extents and the share of targets on the ground are those of panda-gym's PandaPickAndPlace
    (Gallouédec et al., 2021), which like this asks for no grasp. At difficulty d the target lies a share d of the
    way from the cube to the drawn target.

    Reward terms: `approach` and `grasp` of `Grasp`, `place`, the cost to go of the path to the target, 1 for a
    cube that is not held: so one that was only knocked costs nothing; `success` (0 or 1) and `action`, the sum of
    the squared actions.

    Attributes:
        tolerance: Radius of success, metres.
        height: How far above the cube's place targets may be, metres.
        on_ground: Share of the targets that are on the ground.
        target: Where the cube shall go, world frame, metres `(num_envs, 3)`.
    """

    reward_weights = {"approach": -0.4, "grasp": -0.4, "place": -0.2, "success": 1.0, "action": 0.0}  # noqa: RUF012
    goal_parts: ClassVar[tuple[str, ...]] = ("target", "to_target")

    tolerance: float = 0.05
    height: float = 0.2
    on_ground: float = 0.3

    def build(self, world: World) -> None:
        """Add the arm, the cube and a marker."""
        super().build(world)
        self._marker = world.add(Marker(self.tolerance), name="target")
        self._top = self._high + world.tensor([0.0, 0.0, self.height])
        self.target = world.zeros(3)
        self._first_distance = world.ones()

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw a place for the cube and a target."""
        super().reset(envs, rng)
        drawn = rng.uniform("target", self._low, self._top)
        grounded = rng.uniform("on_ground", 0.0, 1.0) < self.on_ground
        drawn[:, 2] = torch.where(grounded, self.cube_size / 2, drawn[:, 2])
        cube = self.cube.position
        target = torch.lerp(cube, drawn, self.difficulty[:, None])
        self.target = torch.where(envs[:, None], target, self.target)
        distance = self.distance(cube, self.target).clamp(min=self.tolerance)
        self._first_distance = torch.where(envs, distance, self._first_distance)

    def show(self) -> None:
        """Move the marker to the target."""
        self._marker.show_at(self.target)

    def parts(self) -> dict[str, torch.Tensor]:
        """As in `Grasp`, the target and the displacement from the cube to it, world frame, metres."""
        return {**super().parts(), "target": self.target, "to_target": self.target - self.cube.position}

    def achieved_goal(self) -> torch.Tensor:
        """Where the cube is."""
        return self.cube.position

    def desired_goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def evaluate(self) -> Evaluation:
        """Success is a distance below the tolerance."""
        grasp, goal = super().evaluate(), GoalTask.evaluate(self)
        return Evaluation(terminated=goal.terminated, metrics={**grasp.metrics, **goal.metrics})

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Nearer and firmer are better, and a held cube closer to its target."""
        metrics = evaluation.metrics
        return {
            **super().reward(evaluation),
            "place": self.transport_cost(
                metrics["distance_to_target"], self._first_distance, metrics["grip_force"]
            ),
            "success": evaluation.terminated["success"],
            "action": self.actions.action.square().sum(-1),
        }
