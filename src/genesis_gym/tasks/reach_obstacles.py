"""Reach past obstacles: bring the tool centre to a target in the air, around two pillars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genesis_gym.errors import ArgumentError
from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.reach import Reach

#: Radius and height of a pillar, metres: the hand at home is above it.
RADIUS = 0.03
HEIGHT = 0.45
#: Least distance of targets from a pillar's axis, metres: with the tolerance there is room for half the hand.
CLEARANCE = 0.1
#: Where the middle of a pillar is that is out of the way, metres: below the ground, and below a table's floor.
SUNK = -2.0


@dataclass(kw_only=True, eq=False)
class ReachObstacles(Reach):
    """Bring the tool centre within `tolerance` of a target, around two pillars that the arm cannot pass through.

    The pillars stand left and right of the arm's middle, elsewhere in each episode, in rows whose difficulty is 1,
    a curriculum's last level; below that, where as in `Reach` targets are nearer too, they are sunk in the ground.
    Targets keep off them. Touching them is allowed.

    Reward terms are those of `Reach`.

    Attributes:
        pillar_position: Middle of each pillar, world frame, metres `(num_rows, 2, 3)`.
    """

    firm_contacts = True

    def build(self, simulation: Simulation) -> None:
        """Add the pillars."""
        super().build(simulation)
        import genesis as gs

        self._pillars: list[Any] = [
            simulation.scene.add_entity(
                gs.morphs.Cylinder(radius=RADIUS, height=HEIGHT, pos=(0.0, 0.0, SUNK), fixed=True),
                surface=gs.surfaces.Default(color=(0.75, 0.3, 0.25)),
            )
            for _ in range(2)
        ]

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Divide the box of targets into a left and a right half, in each of which one pillar stands.

        Raises:
            ArgumentError: The box of targets is too small.
        """
        super().start(robot, simulation)
        margin = torch.tensor([CLEARANCE, CLEARANCE], device=self.device)
        low, high = self._low[:2] + margin, self._high[:2] - margin
        middle = (low[1] + high[1]) / 2
        if high[0] < low[0] or high[1] - low[1] < 2 * CLEARANCE:
            raise ArgumentError(
                f"the box of targets of {type(self).__name__} is too small for two pillars; it must be at least "
                f"{2 * CLEARANCE:g} m along x and {4 * CLEARANCE:g} m along y"
            )
        self._pillar_low = torch.stack([low[0], low[1], low[0], middle + CLEARANCE])
        self._pillar_high = torch.stack([high[0], middle - CLEARANCE, high[0], high[1]])
        self.pillar_position = torch.zeros(self.num_rows, 2, 3, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw new targets and places for the pillars, and move targets that are too near one away from it."""
        super().reset(rows, random)
        standing = self.difficulty >= 1.0
        place = random.uniform("pillars", self._pillar_low, self._pillar_high).view(-1, 2, 2)
        height = torch.where(standing, HEIGHT / 2, SUNK)[:, None, None].expand(-1, 2, 1)
        drawn = torch.cat([place, height], dim=-1)
        self.pillar_position = torch.where(rows[:, None, None], drawn, self.pillar_position)
        for pillar, position in zip(self._pillars, drawn.unbind(1), strict=True):
            pillar.set_pos(position, envs_idx=rows)

        away = self.target[:, None, :2] - place
        distance = torch.linalg.vector_norm(away, dim=-1, keepdim=True).clamp(min=1e-6)
        outwards = (away / distance * (CLEARANCE - distance).clamp(min=0.0)).sum(1)  # of one of the two at most
        moved = self.target + torch.nn.functional.pad(outwards, (0, 1))
        self.target = torch.where((rows & standing)[:, None], moved, self.target)

    def observation(self) -> dict[str, torch.Tensor]:
        """As in `Reach`, and the middle of each pillar, world frame, metres."""
        return {**super().observation(), "pillar_position": self.pillar_position.flatten(1)}
