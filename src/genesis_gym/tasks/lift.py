"""Lift: grasp a cube and raise it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.task import Evaluation, Task

#: Both fingers press on the cube, from opposite sides, with at least this: ManiSkill's `Panda.is_grasping`, N.
HOLDING_FORCE = 0.5
#: A distance of 1 / REACH is three quarters of the way to the cube, 1/m: ManiSkill's PickCube.
REACH = 5.0


@dataclass(kw_only=True, eq=False)
class LiftCube(Task):
    """Grasp a cube on the ground and raise it by `height`, held between the fingers.

    Cube, height and success follow ManiSkill2's LiftCube (Gu et al., 2023), whose cube needs no grasp but an arm
    at rest. At difficulty d the cube has to be raised by a share d of the height.

    Reward terms, each what is still lacking, 0 to 1: `approach`, tanh(5 d) for d metres from the tool to the cube,
    `grasp`, the share of the gripper's force with which the cube is not held yet, and `lift`, the share of the
    height; `success` (0 or 1) and `action`, the sum of the squared actions.

    Attributes:
        height: How far to raise the cube, metres.
        cube_size: Edge of the cube, metres.
        cube_density: kg/m³.
        low: Lower corner of the box of cubes, world frame, metres (x, y).
        high: Upper corner.
        cube_position: Centre of the cube, world frame, metres `(num_rows, 3)`.
    """

    reward_weights = {"approach": -1.0, "grasp": -1.0, "lift": -3.0, "success": 10.0, "action": 0.0}  # noqa: RUF012
    gripper_opening = None
    control_mode = "ee_delta_position"

    height: float = 0.2
    cube_size: float = 0.04
    cube_density: float = 1000.0
    low: tuple[float, float] = (0.35, -0.15)
    high: tuple[float, float] = (0.65, 0.15)

    def build(self, simulation: Simulation) -> None:
        """Add the cube."""
        import genesis as gs

        start = ((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2, self.cube_size / 2)
        self._cube: Any = simulation.scene.add_entity(
            gs.morphs.Box(size=(self.cube_size,) * 3, pos=start),
            material=gs.materials.Rigid(rho=self.cube_density),
            surface=gs.surfaces.Default(color=(0.9, 0.5, 0.1)),
        )

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the heights."""
        super().start(robot, simulation)
        self._low = torch.tensor([*self.low, self.cube_size / 2], device=self.device)
        self._high = torch.tensor([*self.high, self.cube_size / 2], device=self.device)
        self._height = torch.full((self.num_rows,), self.height, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw a place for the cube."""
        self._cube.set_pos(random.uniform("cube", self._low, self._high), envs_idx=rows)
        self._height = torch.where(rows, self.height * self.difficulty, self._height)

    @property
    def cube_position(self) -> torch.Tensor:
        """Centre of the cube, world frame, metres `(num_rows, 3)`."""
        position: torch.Tensor = self._cube.get_pos()
        return position

    def observation(self) -> dict[str, torch.Tensor]:
        """Joints, the gripper's opening, and the cube: place, way from the tool, velocity, world frame, m and m/s."""
        cube = self.cube_position
        return {
            **super().observation(),
            "opening": self.robot.opening,
            "cube_position": cube,
            "to_cube": cube - self.robot.tool_position,
            "cube_velocity": self._cube.get_vel(),
        }

    def evaluate(self) -> Evaluation:
        """Success is a cube that is high enough and held."""
        cube = self.cube_position
        rise = cube[:, 2] - self.cube_size / 2
        grip = self.robot.grip_force
        return {
            "success": (rise >= self._height) & (grip >= HOLDING_FORCE),
            "rise": rise,
            "distance_to_cube": torch.linalg.vector_norm(cube - self.robot.tool_position, dim=-1),
            "grip_force": grip,
        }

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nearer, firmer and higher are better."""
        return {
            "approach": torch.tanh(REACH * evaluation["distance_to_cube"]),
            "grasp": 1.0 - (evaluation["grip_force"] / self.robot.spec.gripper_force).clamp(max=1.0),
            "lift": 1.0 - (evaluation["rise"] / self._height).clamp(0.0, 1.0),
            "success": evaluation["success"],
            "action": action.square().sum(-1),
        }
