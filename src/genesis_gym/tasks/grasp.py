"""Grasp: what the tasks share that begin with a cube on the ground and an open gripper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.funnel import through_funnel
from genesis_gym.tasks.task import Evaluation, Task

#: Both fingers press on the cube, from opposite sides, with at least this: ManiSkill's `Panda.is_grasping`, N.
HOLDING_FORCE = 0.5
#: How near the cube's centre the fingers should be closing, metres, and what open ones count.
NEAR = 0.015
OPEN_SHARE = 1.0 / 3.0
#: How far aside of the cube's centre open fingers may be when they go down about it, metres.
SPOUT = 0.01


def lacking(share: torch.Tensor) -> torch.Tensor:
    """What a share lacks to 1, steep at both ends: the first centimetre of a way pays, and the last.

    Args:
        share: Of a way; below 0 counts as 0, above 1 as 1.

    Returns:
        1 for none to 0 for all.
    """
    return (2.0 / math.pi) * torch.acos(share.clamp(0.0, 1.0).sqrt())


@dataclass(kw_only=True, eq=False)
class Grasp(Task):
    """A cube on the ground, and a gripper that the policy drives: the base of tasks that do something with it.

    Reward terms, each what is still lacking, 0 to 1: `approach`, the square root of the metres from the tool to
    the cube, through a funnel above it, and `grasp`, one half for fingers closed about the cube (open ones count a
    third) and one for the force with which they hold it. What a task adds weighs less than these two: until there
    is a grasp it is a constant, which a critic has to learn, and a chance to end all that by knocking the cube.

    Attributes:
        cube_size: Edge of the cube, metres.
        cube_density: kg/m³.
        low: Lower corner of the box of cubes, world frame, metres (x, y).
        high: Upper corner.
        cube_position: Centre of the cube, world frame, metres `(num_rows, 3)`.
    """

    gripper_opening = None
    begins_poised = True
    action_repeat = 2
    control_mode = "ee_delta_position"

    cube_size: float = 0.04
    cube_density: float = 1000.0
    low: tuple[float, float] = (0.35, -0.15)
    high: tuple[float, float] = (0.65, 0.15)

    def build(self, simulation: Simulation) -> None:
        """Add the cube."""
        self._cube = self.add_cube(simulation, (0.9, 0.5, 0.1))

    def add_cube(self, simulation: Simulation, color: tuple[float, float, float]) -> Any:
        """Add a cube in the middle of the box of cubes.

        Args:
            simulation: Owner of a scene that is not built yet.
            color: Red, green and blue, 0 to 1.

        Returns:
            Genesis's entity.
        """
        import genesis as gs

        start = ((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2, self.cube_size / 2)
        return simulation.scene.add_entity(
            gs.morphs.Box(size=(self.cube_size,) * 3, pos=start),
            material=gs.materials.Rigid(rho=self.cube_density),
            surface=gs.surfaces.Default(color=color),
        )

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the corners of the box of cubes."""
        super().start(robot, simulation)
        self._low = torch.tensor([*self.low, self.cube_size / 2], device=self.device)
        self._high = torch.tensor([*self.high, self.cube_size / 2], device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw a place for the cube."""
        self._cube.set_pos(random.uniform("cube", self._low, self._high), envs_idx=rows)

    @property
    def cube_position(self) -> torch.Tensor:
        """Centre of the cube, world frame, metres `(num_rows, 3)`."""
        position: torch.Tensor = self._cube.get_pos()
        return position

    @property
    def to_cube(self) -> torch.Tensor:
        """Way from the tool to the cube, world frame, metres `(num_rows, 3)`."""
        return self.cube_position - self.robot.tool_position

    def observation(self) -> dict[str, torch.Tensor]:
        """Joint positions, the gripper's opening and how firmly it holds, the cube's place and the way there.

        No velocities: a policy that sees how its own noise has just moved the arm learns to take that back in the
        next step, so that nothing is found out by it (docs/manipulation_experiments.md).
        """
        return {
            "joint_position": self.robot.joint_position,
            "opening": self.robot.opening,
            "grip": self.firmness(self.robot.grip_force)[:, None],
            "cube_position": self.cube_position,
            "to_cube": self.to_cube,
        }

    def evaluate(self) -> Evaluation:
        """How far the cube is from the tool, and how firmly it is gripped; success is for the tasks to define."""
        return {
            "distance_to_cube": torch.linalg.vector_norm(self.to_cube, dim=-1),
            "grip_force": self.robot.grip_force,
        }

    def looseness(self) -> torch.Tensor:
        """How far the fingers are open, `(num_rows,)`: 0 where they touch the cube, 1 where they are wide open."""
        touching = self.cube_size / 2
        return ((self.robot.opening[:, 0] - touching) / (self.robot.spec.gripper_open - touching)).clamp(0.0, 1.0)

    def firmness(self, grip_force: torch.Tensor) -> torch.Tensor:
        """How firmly a cube is held, as a share of the force with which the gripper closes, at most 1."""
        return (grip_force / self.robot.spec.gripper_force).clamp(max=1.0)

    def uncarried(self, way: torch.Tensor, whole: torch.Tensor, grip_force: torch.Tensor) -> torch.Tensor:
        """What is `lacking` of a held cube's way: all of it for one that is not held, or that has come no nearer.

        Args:
            way: Still to go, metres `(num_rows,)`.
            whole: What counts as all of it, metres `(num_rows,)`.
            grip_force: N `(num_rows,)`.

        Returns:
            1 for all to 0 for none, `(num_rows,)`.
        """
        return 1.0 - (1.0 - lacking(1.0 - way / whole)) * self.firmness(grip_force)

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nearer and firmer are better."""
        loose = self.looseness()
        near = torch.exp(-((evaluation["distance_to_cube"] / NEAR) ** 2))
        # The square root makes the first millimetre pay, which is all that a step closes; held for long, closing
        # pays where `near` is above the share.
        shape = OPEN_SHARE * loose + near * (1.0 - loose).sqrt()
        return {
            "approach": torch.linalg.vector_norm(through_funnel(self.to_cube, SPOUT), dim=-1).sqrt(),
            "grasp": 1.0 - 0.5 * (shape + self.firmness(evaluation["grip_force"])),
        }
