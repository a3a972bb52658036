"""Push: shove a cube along the ground to a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.arm import ArmGoalTask
from genesis_gym.tasks.manipulation.funnel import through_funnel
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import Box, Marker, World

#: The closed fingers, 2 cm wide, come down up to this far behind the cube's side, and not on it, metres.
GAP = 0.03
#: How far to the side of that place they may be when they go down, metres. With 2 cm they come down on the cube's
#: edge, where a policy without noise gets stuck.
FUNNEL_RADIUS = 0.01
#: Distance to a target that counts as all of it, metres.
FAR = 0.3
#: Coulomb's coefficient of the cube on the ground, and of the fingers on the cube. Those are panda-gym's, where
#: the cube's 0.5 is multiplied by the table's 0.5 and the fingers' 1; a cube that slides there shows 0.25, too.
FRICTION, FINGER_FRICTION = 0.25, 0.5


@dataclass(kw_only=True, eq=False)
class Push(ArmGoalTask):
    """Push a cube with the closed gripper until its centre is within `tolerance` of a target on the ground.

    The cube's size, the tolerance, the size of both boxes and the friction are those of panda-gym's PandaPush
    (Gallouédec et al., 2021). At difficulty d the target lies a share d of the way from the cube to the drawn
    target. One episode in thirteen begins with the cube on its target.

    Reward terms: `approach`, the square root of the metres from the tool to where it pushes, through a funnel
    above the cube, `place`, the share of the distance to the target that is left, `success` (0 or 1), and
    `action`, the sum of the squared actions.

    Attributes:
        tolerance: Radius of success, metres.
        cube_size: Edge of the cube, metres.
        cube_density: kg/m³.
        low: Lower corner of the box of cubes and of targets, world frame, metres (x, y).
        high: Upper corner.
        target: Where the cube shall go, world frame, metres `(num_envs, 3)`.
        cube: The cube, from `build` on.
    """

    reward_weights = {"approach": -1.0, "place": -0.4, "success": 2.0, "action": 0.0}  # noqa: RUF012
    gripper = "closed"
    needs_gripper = True  # its closed fingers are what pushes
    pose = "ready"
    decimation = 4  # 25 Hz
    episode_seconds = 3.0
    goal_parts: ClassVar[tuple[str, ...]] = ("target", "to_target")

    control_mode: str = "ee_delta_position"
    tolerance: float = 0.05
    cube_size: float = 0.04
    cube_density: float = 1000.0
    low: tuple[float, float] = (0.35, -0.15)
    high: tuple[float, float] = (0.65, 0.15)

    def build(self, world: World) -> None:
        """Add the arm, the cube and a mark on the ground."""
        super().build(world)
        middle = ((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2, self.cube_size / 2)
        cube = Box((self.cube_size,) * 3, density=self.cube_density)
        self.cube = world.add(cube, name="cube", position=middle)
        self._marker = world.add(Marker(self.tolerance, disc=True), name="target")
        self._low = world.tensor([*self.low, self.cube_size / 2])
        self._high = world.tensor([*self.high, self.cube_size / 2])
        self.target = world.zeros(3)

    def start(self) -> None:
        """Set what slides on what."""
        self.world.set_friction(FRICTION)
        self.arm.set_friction(FINGER_FRICTION)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw a place for the cube and a target."""
        cube = rng.uniform("cube", self._low, self._high)
        drawn = rng.uniform("target", self._low, self._high)
        self.cube.place(envs, cube)
        target = torch.lerp(cube, drawn, self.difficulty[:, None])
        self.target = torch.where(envs[:, None], target, self.target)

    def show(self) -> None:
        """Move the marker to the ground below the target."""
        self._marker.show_at(self.target * self.world.tensor([1.0, 1.0, 0.0]))

    def parts(self) -> dict[str, torch.Tensor]:
        """Joint positions, target, displacement from cube to target and from tool to cube, world frame, metres.

        No velocities, for the reason that `Grasp` gives.
        """
        cube = self.cube.position
        return {
            "joint_position": self.arm.joint_position,
            "target": self.target,
            "to_target": self.target - cube,
            "to_cube": cube - self.arm.tool.position,
        }

    def achieved_goal(self) -> torch.Tensor:
        """Where the cube is."""
        return self.cube.position

    def desired_goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def evaluate(self) -> Evaluation:
        """Success is a distance below the tolerance."""
        cube = self.cube.position
        distance = self.distance(cube, self.target)
        approach = torch.linalg.vector_norm(cube - self.arm.tool.position, dim=-1)
        return Evaluation(
            terminated={"success": distance < self.tolerance},
            metrics={"distance_to_target": distance, "distance_to_cube": approach},
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """The cube closer to its target, and the tool closer to where it is pushed from, are better."""
        displacement = through_funnel(self._to_pushing_point(), FUNNEL_RADIUS)
        return {
            "approach": torch.linalg.vector_norm(displacement, dim=-1).sqrt(),
            "place": (evaluation.metrics["distance_to_target"] / FAR).clamp(max=1.0),
            "success": evaluation.terminated["success"],
            "action": self.actions.action.square().sum(-1),
        }

    def _to_pushing_point(self) -> torch.Tensor:
        """Displacement from the tool to where it pushes, world frame, metres `(num_envs, 3)`.

        That is the cube's side that is away from the target, for a tool on the line from there; for one that is
        off the line, a place farther behind.
        """
        cube, tool = self.cube.position, self.arm.tool.position
        ahead = self.target - cube
        ahead = ahead / torch.linalg.vector_norm(ahead, dim=-1, keepdim=True).clamp(min=1e-6)
        along = ((tool - cube) * ahead).sum(-1, keepdim=True).clamp(max=0.0)
        lateral = torch.linalg.vector_norm(tool - cube - along * ahead, dim=-1, keepdim=True)
        displacement: torch.Tensor = cube - (self.cube_size / 2 + lateral.clamp(max=GAP)) * ahead - tool
        return displacement
