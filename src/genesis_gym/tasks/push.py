"""Push: shove a cube along the ground to a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.funnel import through_funnel
from genesis_gym.tasks.task import Evaluation, GoalTask

#: The closed fingers, 2 cm wide, come down up to this far behind the cube's side, and not on it, metres.
GAP = 0.03
#: How far aside of that place they may be when they go down, metres. With 2 cm they come down on the cube's edge,
#: where a policy without noise gets stuck.
SPOUT = 0.01
#: The way to a target that counts as all of it, metres.
FAR = 0.3
#: Coulomb's coefficient of the cube on the ground, and of the fingers on the cube. Those are panda-gym's, where
#: the cube's 0.5 is multiplied by the table's 0.5 and the fingers' 1; a cube that slides there shows 0.25, too.
FRICTION, FINGER_FRICTION = 0.25, 0.5


@dataclass(kw_only=True, eq=False)
class Push(GoalTask):
    """Push a cube with the closed gripper until its centre is within `tolerance` of a target on the ground.

    The cube's size, the tolerance, the size of both boxes and the friction are those of panda-gym's PandaPush
    (Gallouédec et al., 2021). At difficulty d the target lies a share d of the way from the cube to the drawn
    target.

    Reward terms: `approach`, the square root of the metres from the tool to where it pushes, through a funnel
    above the cube, `place`, the share of the way to the target that is left, `success` (0 or 1), `action`, the sum
    of the squared actions, and `progress`, metres that the cube has come closer in this step.

    Attributes:
        tolerance: Radius of success, metres.
        cube_size: Edge of the cube, metres.
        cube_density: kg/m³.
        low: Lower corner of the box of cubes and of targets, world frame, metres (x, y).
        high: Upper corner.
        target: Where the cube shall go, world frame, metres `(num_rows, 3)`.
        cube_position: Centre of the cube, world frame, metres `(num_rows, 3)`.
    """

    reward_weights = {"approach": -1.0, "place": -0.4, "success": 2.0, "action": 0.0, "progress": 0.0}  # noqa: RUF012
    gripper_opening = 0.0
    begins_poised = True
    action_repeat = 2
    control_mode = "ee_delta_position"
    needs_gripper = True  # its closed fingers are what pushes
    goal_parts: ClassVar[tuple[str, ...]] = ("target", "to_target")

    tolerance: float = 0.05
    cube_size: float = 0.04
    cube_density: float = 1000.0
    low: tuple[float, float] = (0.35, -0.15)
    high: tuple[float, float] = (0.65, 0.15)

    def build(self, simulation: Simulation) -> None:
        """Add the cube and, where somebody looks, a mark on the ground that nothing collides with."""
        import genesis as gs

        start = ((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2, self.cube_size / 2)
        self._cube = simulation.scene.add_entity(
            gs.morphs.Box(size=(self.cube_size,) * 3, pos=start),
            material=gs.materials.Rigid(rho=self.cube_density),
            surface=gs.surfaces.Default(color=(0.9, 0.5, 0.1)),
        )
        if simulation.visual:
            disc = gs.morphs.Cylinder(radius=self.tolerance, height=0.002, fixed=True, collision=False)
            self._marker: Any = simulation.scene.add_entity(
                disc, material=gs.materials.Kinematic(), surface=gs.surfaces.Default(color=(0.1, 0.9, 0.3))
            )

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Set what slides on what, and allocate the targets."""
        super().start(robot, simulation)
        simulation.set_friction(FRICTION)
        robot.set_friction(FINGER_FRICTION)
        self._low = torch.tensor([*self.low, self.cube_size / 2], device=self.device)
        self._high = torch.tensor([*self.high, self.cube_size / 2], device=self.device)
        self.target = torch.zeros(self.num_rows, 3, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw a place for the cube and a target."""
        cube = random.uniform("cube", self._low, self._high)
        drawn = random.uniform("target", self._low, self._high)
        self._cube.set_pos(cube, envs_idx=rows)
        target = torch.lerp(cube, drawn, self.difficulty[:, None])
        self.target = torch.where(rows[:, None], target, self.target)

    def show(self) -> None:
        """Bring the marker to the ground below the target."""
        self._marker.set_pos(self.target * torch.tensor([1.0, 1.0, 0.0], device=self.device))

    @property
    def cube_position(self) -> torch.Tensor:
        """Centre of the cube, world frame, metres `(num_rows, 3)`."""
        position: torch.Tensor = self._cube.get_pos()
        return position

    def observation(self) -> dict[str, torch.Tensor]:
        """Joint positions, target, way from cube to target and from tool to cube, world frame, metres.

        No velocities, for the reason that `Grasp` gives.
        """
        cube = self.cube_position
        return {
            "joint_position": self.robot.joint_position,
            "target": self.target,
            "to_target": self.target - cube,
            "to_cube": cube - self.robot.tool_position,
        }

    def achieved_goal(self) -> torch.Tensor:
        """Where the cube is."""
        return self.cube_position

    def desired_goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def evaluate(self) -> Evaluation:
        """Success is a distance below the tolerance."""
        cube = self.cube_position
        distance = self.distance(cube, self.target)
        approach = torch.linalg.vector_norm(cube - self.robot.tool_position, dim=-1)
        return {
            "success": distance < self.tolerance,
            "distance_to_target": distance,
            "distance_to_cube": approach,
        }

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """The cube closer to its target, and the tool closer to where it is pushed from, are better."""
        return {
            "approach": torch.linalg.vector_norm(through_funnel(self._way_behind(), SPOUT), dim=-1).sqrt(),
            "place": (evaluation["distance_to_target"] / FAR).clamp(max=1.0),
            "success": evaluation["success"],
            "action": action.square().sum(-1),
        }

    def _way_behind(self) -> torch.Tensor:
        """Way from the tool to where it pushes, world frame, metres `(rows, 3)`.

        That is the cube's side that is away from the target, for a tool on the line from there; for one that is
        off the line, a place farther behind.
        """
        cube, tool = self.cube_position, self.robot.tool_position
        ahead = self.target - cube
        ahead = ahead / torch.linalg.vector_norm(ahead, dim=-1, keepdim=True).clamp(min=1e-6)
        along = ((tool - cube) * ahead).sum(-1, keepdim=True).clamp(max=0.0)
        aside = torch.linalg.vector_norm(tool - cube - along * ahead, dim=-1, keepdim=True)
        way: torch.Tensor = cube - (self.cube_size / 2 + aside.clamp(max=GAP)) * ahead - tool
        return way

    def potential(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Progress is distance made good by the cube."""
        return {"progress": -evaluation["distance_to_target"]}
