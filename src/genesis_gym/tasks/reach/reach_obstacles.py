"""Reach past obstacles: bring the tool centre to a target in the air, around two pillars."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym.errors import ArgumentError
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.world import STIFF, Cylinder, Physics, World

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

    The pillars stand left and right of the arm's middle, elsewhere in each episode, in environments whose
    difficulty is 1, a curriculum's last level; below that, where as in `Reach` targets are nearer too, they are
    sunk in the ground. Targets keep off them. Touching them is allowed.

    Reward terms are those of `Reach`.

    Attributes:
        pillar_position: Middle of each pillar, world frame, metres `(num_envs, 2, 3)`.
    """

    physics = Physics(contacts=STIFF)

    def build(self, world: World) -> None:
        """Add the pillars."""
        super().build(world)
        self._pillars = [
            world.add(Cylinder(RADIUS, HEIGHT), name=f"pillar_{side}", position=(0.0, 0.0, SUNK))
            for side in ("left", "right")
        ]
        self.pillar_position = world.zeros(2, 3)

    def start(self) -> None:
        """Divide the box of targets into a left and a right half, in each of which one pillar stands.

        Raises:
            ArgumentError: The box of targets is too small.
        """
        super().start()
        margin = self.world.tensor([CLEARANCE, CLEARANCE])
        low, high = self._low[:2] + margin, self._high[:2] - margin
        middle = (low[1] + high[1]) / 2
        if high[0] < low[0] or high[1] - low[1] < 2 * CLEARANCE:
            raise ArgumentError(
                f"the box of targets of {type(self).__name__} is too small for two pillars; it must be at least "
                f"{2 * CLEARANCE:g} m along x and {4 * CLEARANCE:g} m along y"
            )
        self._pillar_low = torch.stack([low[0], low[1], low[0], middle + CLEARANCE])
        self._pillar_high = torch.stack([high[0], middle - CLEARANCE, high[0], high[1]])

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw new targets and places for the pillars, and move targets that are too near one away from it."""
        super().reset(envs, rng)
        standing = self.difficulty >= 1.0
        place = rng.uniform("pillars", self._pillar_low, self._pillar_high).view(-1, 2, 2)
        height = torch.where(standing, HEIGHT / 2, SUNK)[:, None, None].expand(-1, 2, 1)
        drawn = torch.cat([place, height], dim=-1)
        self.pillar_position = torch.where(envs[:, None, None], drawn, self.pillar_position)
        for pillar, position in zip(self._pillars, drawn.unbind(1), strict=True):
            pillar.place(envs, position)

        away = self.target[:, None, :2] - place
        distance = torch.linalg.vector_norm(away, dim=-1, keepdim=True).clamp(min=1e-6)
        outwards = (away / distance * (CLEARANCE - distance).clamp(min=0.0)).sum(1)  # of one of the two at most
        moved = self.target + torch.nn.functional.pad(outwards, (0, 1))
        self.target = torch.where((envs & standing)[:, None], moved, self.target)

    def parts(self) -> dict[str, torch.Tensor]:
        """As in `Reach`, and the middle of each pillar, world frame, metres."""
        return {**super().parts(), "pillar_position": self.pillar_position.flatten(1)}
