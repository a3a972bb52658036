"""Stack: put one cube on top of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.funnel import through_funnel
from genesis_gym.tasks.grasp import HOLDING_FORCE, Grasp
from genesis_gym.tasks.task import Evaluation

#: ManiSkill's bounds of success: how far the upper cube may be off its place, beside half its diagonal along the
#: ground and up or down, metres, and how fast it may be, m/s and rad/s.
SLACK = 0.005
STILL = 0.01
STILL_TURN = 0.5

#: How far aside of its place a held cube may be when it goes down, and how high above it before, metres; and the
#: slope in between.
SPOUT = 0.015
CLEARANCE = 0.03
SLOPE = 1.0
#: The way to its place that counts as all of it is longer than at first by this: taking hold moves a cube, metres.
MOVED = 0.01
#: How near its place the cube should be let go of, metres. Success allows for more, where it may tip over.
NEAR = 0.02


@dataclass(kw_only=True, eq=False)
class StackCube(Grasp):
    """Put a cube on top of another and let go of it.

    Cubes and success follow ManiSkill's StackCube (Tao et al., 2024): the upper cube lies on the lower one, within
    half a diagonal and 5 mm aside, rests there, and is not held. At difficulty d the lower cube is a share d of
    the way, beyond the least distance, from the upper one's first place to its own.

    Reward terms: `approach` and `grasp` of `Grasp`, `place`, what is `lacking` of the way to the place on top, all
    of it for a cube that is not held or no nearer than at first, and `release`, a quarter each for a cube near its
    place and, there, for fingers told to open, a loose grasp and open fingers; there the first three lack nothing.
    `success` is 0 or 1, `action` the sum of the squared actions.

    Attributes:
        separation: Least distance between the cubes' first places, metres.
        top: Place for the upper cube's centre, on top of the lower one, world frame, metres `(num_rows, 3)`.
    """

    reward_weights = {  # noqa: RUF012
        "approach": -0.4,
        "grasp": -0.4,
        "place": -0.2,
        "release": -0.8,
        "success": 5.0,
        "action": 0.0,
    }

    separation: float = 0.1

    def build(self, simulation: Simulation) -> None:
        """Add both cubes."""
        super().build(simulation)
        self._lower: Any = self.add_cube(simulation, (0.1, 0.7, 0.3))

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate what is added to positions."""
        super().start(robot, simulation)
        self._above = torch.tensor([0.0, 0.0, self.cube_size], device=self.device)
        self._diagonal = self.cube_size / 2 * 2**0.5
        self._whole_way = torch.ones(self.num_rows, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw places for both cubes, apart from each other."""
        super().reset(rows, random)
        cube = self.cube_position
        way = random.uniform("lower", self._low, self._high) - cube
        distance = torch.linalg.vector_norm(way, dim=-1, keepdim=True).clamp(min=1e-6)
        beyond = (distance - self.separation).clamp(min=0.0)
        self._lower.set_pos(
            cube + way / distance * (self.separation + self.difficulty[:, None] * beyond), envs_idx=rows
        )
        self._whole_way = torch.where(rows, self._way() + MOVED, self._whole_way)

    @property
    def top(self) -> torch.Tensor:
        """Place for the upper cube's centre, world frame, metres `(num_rows, 3)`."""
        position: torch.Tensor = self._lower.get_pos() + self._above
        return position

    def goal(self) -> torch.Tensor:
        """The place on top."""
        return self.top

    def observation(self) -> dict[str, torch.Tensor]:
        """As in `PickAndPlace`, whose policies can go on from here: the target is the place on top."""
        parts, top = super().observation(), self.top
        return {**parts, "target": top, "to_target": top - parts["cube_position"]}

    def evaluate(self) -> Evaluation:
        """Success is a cube that lies on top, at rest and not held."""
        grasp, way = super().evaluate(), self.top - self.cube_position
        aside = torch.linalg.vector_norm(way[:, :2], dim=-1)
        on_top = (aside <= self._diagonal + SLACK) & (way[:, 2].abs() <= SLACK)
        speed = torch.linalg.vector_norm(self._cube.get_vel(), dim=-1)
        turn = torch.linalg.vector_norm(self._cube.get_ang(), dim=-1)
        still = (speed <= STILL) & (turn <= STILL_TURN)
        return {
            "success": on_top & still & (grasp["grip_force"] < HOLDING_FORCE),
            "on_top": on_top.float(),
            "distance_to_target": torch.linalg.vector_norm(way, dim=-1),
            **grasp,
        }

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nearer and firmer are better, a held cube closer to its place, and open fingers once it is there."""
        way, grip_force = self._way(), evaluation["grip_force"]
        terms = {**super().reward(evaluation, action), "place": self.uncarried(way, self._whole_way, grip_force)}
        near = torch.exp(-((way / NEAR) ** 2))
        # What the gripper is told pays, too: a grasp is as firm with -1 as with -0.5, where noise finds no slope.
        told = (1.0 + action[:, -1].clamp(-1.0, 1.0)) / 2.0
        loose = 1.0 - self.firmness(grip_force) + self.looseness().sqrt()
        return {
            **{name: (1.0 - near) * term for name, term in terms.items()},
            "release": 1.0 - near * (1.0 + told + loose) / 4.0,
            "success": evaluation["success"],
            "action": action.square().sum(-1),
        }

    def _way(self) -> torch.Tensor:
        """The cube's way to the place on top, over the lower cube and down, metres `(num_rows,)`."""
        way = through_funnel(self.top - self.cube_position, SPOUT, slope=SLOPE, clearance=CLEARANCE)
        length: torch.Tensor = torch.linalg.vector_norm(way, dim=-1)
        return length
