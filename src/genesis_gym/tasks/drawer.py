"""Drawer: pull open the drawer of a cabinet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.tasks.funnel import through_funnel
from genesis_gym.tasks.task import Evaluation, Task

CABINET = Path(__file__).with_suffix(".urdf")

#: How far the drawer slides, metres, as its file says.
TRAVEL = 0.2
#: Where the closed fingers pull, seen from the middle of the bar: amid bar and front, a little lower; metres.
BEHIND = (0.036, 0.0, -0.01)
#: How far aside of there the fingers, 4 cm thick at the bar's height, may be when they go down, metres.
SPOUT = 0.01
#: The drawer is nearly still below this speed: ManiSkill's OpenCabinetDrawer, m/s.
STILL = 0.1


@dataclass(kw_only=True, eq=False)
class OpenDrawer(Task):
    """Pull open a drawer: hook the closed fingers behind its bar and draw it towards the robot, -x.

    Success follows ManiSkill2's OpenCabinetDrawer (Gu et al., 2023): the drawer is open by a share of its travel
    and nearly still, slower than 0.1 m/s. At difficulty d it has to be opened by a share d of that.

    Reward terms, each what is still lacking, 0 to 1: `approach`, the square root of the metres from the tool to
    the place behind the bar, through a funnel above it, and `open`, of the opening; `success` (0 or 1) and
    `action`, the sum of the squared actions. Knocking the closed drawer, which rests on its stop, neither pays nor
    costs.

    Attributes:
        share: Share of its travel, 0.2 m, by which the drawer has to be open.
        low: Lower corner of the places of the closed drawer's bar, world frame, metres (x, y).
        high: Upper corner.
        drawer_opening: How far the drawer is open, metres `(num_rows, 1)`.
        drawer_velocity: Speed at which it opens, m/s `(num_rows, 1)`.
        handle_position: Middle of the bar, world frame, metres `(num_rows, 3)`.
    """

    reward_weights = {"approach": -0.4, "open": -0.6, "success": 2.0, "action": 0.0}  # noqa: RUF012
    gripper_opening = 0.0
    begins_poised = True
    control_mode = "ee_delta_position"
    needs_gripper = True  # its closed fingers are the hook

    share: float = 0.9
    low: tuple[float, float] = (0.5, -0.15)
    high: tuple[float, float] = (0.6, 0.15)

    def build(self, simulation: Simulation) -> None:
        """Add the cabinet, which rows may have in different places."""
        import genesis as gs

        self._cabinet: Any = simulation.scene.add_entity(
            gs.morphs.URDF(
                file=str(CABINET),
                pos=((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2, 0.0),
                fixed=True,
                batch_fixed_verts=True,
                default_armature=None,  # no motor drives it
            )
        )

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate the openings to reach."""
        super().start(robot, simulation)
        self._low = torch.tensor([*self.low, 0.0], device=self.device)
        self._high = torch.tensor([*self.high, 0.0], device=self.device)
        self._behind = torch.tensor(BEHIND, device=self.device)
        self._handle: Any = self._cabinet.get_link("drawer")
        self._enough = torch.full((self.num_rows,), self.share * TRAVEL, device=self.device)

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Draw a place for the cabinet, whose drawer is closed."""
        self._cabinet.set_pos(random.uniform("cabinet", self._low, self._high), envs_idx=rows)
        self._enough = torch.where(rows, self.share * TRAVEL * self.difficulty, self._enough)

    @property
    def drawer_opening(self) -> torch.Tensor:
        """How far the drawer is open, metres `(num_rows, 1)`."""
        opening: torch.Tensor = self._cabinet.get_dofs_position()
        return opening

    @property
    def drawer_velocity(self) -> torch.Tensor:
        """Speed at which it opens, m/s `(num_rows, 1)`."""
        velocity: torch.Tensor = self._cabinet.get_dofs_velocity()
        return velocity

    @property
    def handle_position(self) -> torch.Tensor:
        """Middle of the bar, world frame, metres `(num_rows, 3)`."""
        position: torch.Tensor = self._handle.get_pos()
        return position

    @property
    def to_handle(self) -> torch.Tensor:
        """Way from the tool to the middle of the bar, world frame, metres `(num_rows, 3)`."""
        return self.handle_position - self.robot.tool_position

    def observation(self) -> dict[str, torch.Tensor]:
        """Joints, the drawer's opening and its speed, and the bar: place and way from the tool, world frame."""
        return {
            **super().observation(),
            "drawer_opening": self.drawer_opening,
            "drawer_velocity": self.drawer_velocity,
            "handle_position": self.handle_position,
            "to_handle": self.to_handle,
        }

    def evaluate(self) -> Evaluation:
        """Success is a drawer that is open enough and nearly still."""
        opening = self.drawer_opening[:, 0]
        return {
            "success": (opening >= self._enough) & (self.drawer_velocity[:, 0].abs() <= STILL),
            "drawer_opening": opening,
            "distance_to_handle": torch.linalg.vector_norm(self.to_handle, dim=-1),
        }

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nearer and wider open are better."""
        way = torch.linalg.vector_norm(through_funnel(self.to_handle + self._behind, SPOUT), dim=-1)
        return {
            "approach": (way - SPOUT).clamp(min=0.0).sqrt(),
            "open": 1.0 - (evaluation["drawer_opening"] / self._enough.clamp(min=1e-6)).clamp(0.0, 1.0),
            "success": evaluation["success"],
            "action": action.square().sum(-1),
        }
