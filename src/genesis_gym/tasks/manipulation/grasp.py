"""Grasp: what the tasks share that begin with a cube on the ground and an open gripper."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.arm import ArmTask
from genesis_gym.tasks.manipulation.funnel import through_funnel
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import Box, World

#: Both fingers press on the cube, from opposite sides, with at least this: ManiSkill's `Panda.is_grasping`, N.
HOLDING_FORCE = 0.5
#: How near the cube's centre the fingers should be closing, metres, and what open ones count.
NEAR = 0.015
OPEN_SHARE = 1.0 / 3.0
#: How far to the side of the cube's centre open fingers may be when they go down about it, metres.
FUNNEL_RADIUS = 0.01


def cost_to_go(share: torch.Tensor) -> torch.Tensor:
    """Cost of what is left of a path, steep near the start and near the goal.

    Args:
        share: Of the path that is done; below 0 counts as 0, above 1 as 1.

    Returns:
        1 for none to 0 for all.
    """
    return (2.0 / math.pi) * torch.acos(share.clamp(0.0, 1.0).sqrt())


@dataclass(kw_only=True, eq=False)
class Grasp(ArmTask):
    """A cube on the ground, and a gripper that the policy drives: the base of tasks that do something with it.

    Reward terms, each a cost of 0 to 1: `approach`, the square root of the metres from the tool to the cube,
    through a funnel above it, and `grasp`, one half for fingers closed about the cube (open ones count a third)
    and one for the force with which they hold it. What a task adds weighs less than these two: until there is a
    grasp it is a constant, which a critic has to learn, and a chance to end all that by knocking the cube.

    Attributes:
        cube_size: Edge of the cube, metres.
        cube_density: kg/m³.
        low: Lower corner of the box of cubes, world frame, metres (x, y).
        high: Upper corner.
        cube: The cube, from `build` on.
    """

    gripper = "driven"
    pose = "ready"
    decimation = 4  # 25 Hz
    episode_seconds = 3.0

    control_mode: str = "ee_delta_position"
    cube_size: float = 0.04
    cube_density: float = 1000.0
    low: tuple[float, float] = (0.35, -0.15)
    high: tuple[float, float] = (0.65, 0.15)

    def build(self, world: World) -> None:
        """Add the arm and the cube."""
        super().build(world)
        self.cube = self.add_cube(world, (0.9, 0.5, 0.1), name="cube")
        self._low = world.tensor([*self.low, self.cube_size / 2])
        self._high = world.tensor([*self.high, self.cube_size / 2])

    def add_cube(self, world: World, color: tuple[float, float, float], *, name: str) -> Box:
        """Add a cube in the middle of the box of cubes.

        Args:
            world: A world that is not built yet.
            color: Red, green and blue, 0 to 1.
            name: What it is called.
        """
        middle = ((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2, self.cube_size / 2)
        cube = Box((self.cube_size,) * 3, density=self.cube_density, color=color)
        return world.add(cube, name=name, position=middle)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw a place for the cube."""
        self.cube.place(envs, rng.uniform("cube", self._low, self._high))

    @property
    def to_cube(self) -> torch.Tensor:
        """Displacement from the tool to the cube, world frame, metres `(num_envs, 3)`."""
        return self.cube.position - self.arm.tool.position

    def parts(self) -> dict[str, torch.Tensor]:
        """Joint positions, the gripper's opening and how firmly it holds, the cube's position and displacement.

        No velocities: a policy that sees how its own noise has just moved the arm learns to take that back in the
        next step, so that nothing is found out by it (docs/manipulation_experiments.md).
        """
        gripper = self.arm.gripper
        return {
            "joint_position": self.arm.joint_position,
            "gripper_opening": gripper.opening,
            "grip": self.grip_ratio(gripper.force)[:, None],
            "cube_position": self.cube.position,
            "to_cube": self.to_cube,
        }

    def evaluate(self) -> Evaluation:
        """How far the cube is from the tool, and how firmly it is gripped; success is for the tasks to define."""
        return Evaluation(
            metrics={
                "distance_to_cube": torch.linalg.vector_norm(self.to_cube, dim=-1),
                "grip_force": self.arm.gripper.force,
            }
        )

    def openness(self) -> torch.Tensor:
        """How far the fingers are open, `(num_envs,)`: 0 where they touch the cube, 1 where they are wide open."""
        gripper, touching = self.arm.gripper, self.cube_size / 2
        return ((gripper.opening[:, 0] - touching) / (gripper.spec.open - touching)).clamp(0.0, 1.0)

    def grip_ratio(self, grip_force: torch.Tensor) -> torch.Tensor:
        """Grip force as a share of the force with which the gripper closes, at most 1."""
        return (grip_force / self.arm.gripper.spec.force).clamp(max=1.0)

    def transport_cost(
        self, distance: torch.Tensor, whole: torch.Tensor, grip_force: torch.Tensor
    ) -> torch.Tensor:
        """Cost to go of a held cube's path; 1 for a cube that is not held, or that is no nearer than at first.

        Args:
            distance: Still to go, metres `(num_envs,)`.
            whole: Length of the whole path, metres `(num_envs,)`.
            grip_force: N `(num_envs,)`.

        Returns:
            1 to 0, `(num_envs,)`.
        """
        return 1.0 - (1.0 - cost_to_go(1.0 - distance / whole)) * self.grip_ratio(grip_force)

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Nearer and firmer are better."""
        openness = self.openness()
        near = torch.exp(-((evaluation.metrics["distance_to_cube"] / NEAR) ** 2))
        # The square root makes the first millimetre pay, which is all that a step closes; held for long, closing
        # pays where `near` is above the share.
        shape = OPEN_SHARE * openness + near * (1.0 - openness).sqrt()
        return {
            "approach": torch.linalg.vector_norm(through_funnel(self.to_cube, FUNNEL_RADIUS), dim=-1).sqrt(),
            "grasp": 1.0 - 0.5 * (shape + self.grip_ratio(evaluation.metrics["grip_force"])),
        }
