"""Stack: put one cube on top of another."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.manipulation.funnel import through_funnel
from genesis_gym.tasks.manipulation.grasp import HOLDING_FORCE, Grasp
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import World

#: ManiSkill's bounds of success: how far the upper cube may be off its place, beside half its diagonal along the
#: ground and up or down, metres, and how fast it may be, m/s and rad/s.
SLACK = 0.005
STILL = 0.01
STILL_TURN = 0.5

#: How far to the side of its place a held cube may be when it goes down, and how high above it before, metres; and
#: the slope in between.
FUNNEL_RADIUS = 0.015
CLEARANCE = 0.03
SLOPE = 1.0
#: The path to its place counts as longer than at first by this: taking hold moves a cube, metres.
MOVED = 0.01
#: How near its place the cube should be let go of, metres. Success allows for more, where it may tip over.
NEAR = 0.02


@dataclass(kw_only=True, eq=False)
class StackCube(Grasp):
    """Put a cube on top of another and let go of it.

    Cubes and success follow ManiSkill's StackCube (Tao et al., 2024): the upper cube lies on the lower one, within
    half a diagonal and 5 mm to the side, rests there, and is not held. At difficulty d the lower cube is a share d
    of the way, beyond the least distance, from the upper one's first place to its own.

    Reward terms: `approach` and `grasp` of `Grasp`, `place`, the cost to go of the path to the place on top, 1 for
    a cube that is not held or no nearer than at first, and `release`, a quarter each for a cube near its place
    and, there, for a commanded opening, a loose grasp and open fingers; there the first three cost nothing.
    `success` is 0 or 1, `action` the sum of the squared actions.

    Attributes:
        separation: Least distance between the cubes' first places, metres.
    """

    reward_weights = {  # noqa: RUF012
        "approach": -0.4,
        "grasp": -0.4,
        "place": -0.2,
        "release": -0.8,
        "success": 5.0,
        "action": 0.0,
    }
    episode_seconds = 4.0

    separation: float = 0.1

    def build(self, world: World) -> None:
        """Add the arm and both cubes."""
        super().build(world)
        self._lower = self.add_cube(world, (0.1, 0.7, 0.3), name="lower_cube")
        self._above = world.tensor([0.0, 0.0, self.cube_size])
        self._diagonal = self.cube_size / 2 * 2**0.5
        self._whole_path = world.ones()

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw places for both cubes, apart from each other."""
        super().reset(envs, rng)
        cube = self.cube.position
        apart = rng.uniform("lower", self._low, self._high) - cube
        distance = torch.linalg.vector_norm(apart, dim=-1, keepdim=True).clamp(min=1e-6)
        beyond = (distance - self.separation).clamp(min=0.0)
        self._lower.place(envs, cube + apart / distance * (self.separation + self.difficulty[:, None] * beyond))
        self._whole_path = torch.where(envs, self._path_length() + MOVED, self._whole_path)

    @property
    def top(self) -> torch.Tensor:
        """Place for the upper cube's centre, on top of the lower one, world frame, metres `(num_envs, 3)`."""
        return self._lower.position + self._above

    def goal(self) -> torch.Tensor:
        """The place on top."""
        return self.top

    def parts(self) -> dict[str, torch.Tensor]:
        """As in `PickAndPlace`, whose policies can continue from here: the target is the place on top."""
        top = self.top
        return {**super().parts(), "target": top, "to_target": top - self.cube.position}

    def evaluate(self) -> Evaluation:
        """Success is a cube that lies on top, at rest and not held."""
        grasp, displacement = super().evaluate(), self.top - self.cube.position
        lateral = torch.linalg.vector_norm(displacement[:, :2], dim=-1)
        on_top = (lateral <= self._diagonal + SLACK) & (displacement[:, 2].abs() <= SLACK)
        speed = torch.linalg.vector_norm(self.cube.linear_velocity, dim=-1)
        turn = torch.linalg.vector_norm(self.cube.angular_velocity, dim=-1)
        still = (speed <= STILL) & (turn <= STILL_TURN)
        return Evaluation(
            terminated={"success": on_top & still & (grasp.metrics["grip_force"] < HOLDING_FORCE)},
            metrics={
                "on_top": on_top.float(),
                "distance_to_target": torch.linalg.vector_norm(displacement, dim=-1),
                **grasp.metrics,
            },
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Nearer and firmer are better, a held cube closer to its place, and open fingers once it is there."""
        path, grip_force = self._path_length(), evaluation.metrics["grip_force"]
        place = self.transport_cost(path, self._whole_path, grip_force)
        terms = {**super().reward(evaluation), "place": place}
        near = torch.exp(-((path / NEAR) ** 2))
        # The command pays, too: grip force saturates between -1 and -0.5, so it gives noise no gradient.
        commanded = (1.0 + self.actions.action[:, -1].clamp(-1.0, 1.0)) / 2.0
        loose = 1.0 - self.grip_ratio(grip_force) + self.openness().sqrt()
        return {
            **{name: (1.0 - near) * term for name, term in terms.items()},
            "release": 1.0 - near * (1.0 + commanded + loose) / 4.0,
            "success": evaluation.terminated["success"],
            "action": self.actions.action.square().sum(-1),
        }

    def _path_length(self) -> torch.Tensor:
        """Length of the cube's path to the place on top, over the lower cube and down, metres `(num_envs,)`."""
        displacement = self.top - self.cube.position
        path = through_funnel(displacement, FUNNEL_RADIUS, slope=SLOPE, clearance=CLEARANCE)
        length: torch.Tensor = torch.linalg.vector_norm(path, dim=-1)
        return length
