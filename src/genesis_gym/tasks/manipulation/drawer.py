"""Drawer: pull open the drawer of a cabinet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.arm import ArmTask
from genesis_gym.tasks.manipulation.funnel import through_funnel
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import Articulation, World

CABINET = Path(__file__).with_suffix(".urdf")

#: How far the drawer slides, metres, as its file says.
TRAVEL = 0.2
#: Where the closed fingers pull, seen from the middle of the bar: amid bar and front, a little lower; metres.
BEHIND = (0.036, 0.0, -0.01)
#: How far to the side of there the fingers, 4 cm thick at the bar's height, may be when they go down, metres.
FUNNEL_RADIUS = 0.01
#: The drawer is nearly still below this speed: ManiSkill's OpenCabinetDrawer, m/s.
STILL = 0.1


@dataclass(kw_only=True, eq=False)
class OpenDrawer(ArmTask):
    """Pull open a drawer: hook the closed fingers behind its bar and draw it towards the robot, -x.

    Success follows ManiSkill2's OpenCabinetDrawer (Gu et al., 2023): the drawer is open by a share of its travel
    and nearly still, slower than 0.1 m/s. At difficulty d it has to be opened by a share d of that.

    Reward terms, costs of 0 to 1: `approach`, the square root of the metres from the tool to the place behind the
    bar, through a funnel above it, and `open`, what is left of the opening; `success` (0 or 1) and `action`, the
    sum of the squared actions. Knocking the closed drawer, which rests on its stop, neither pays nor costs.

    Attributes:
        share: Share of its travel, 0.2 m, by which the drawer has to be open.
        low: Lower corner of the places of the closed drawer's bar, world frame, metres (x, y).
        high: Upper corner.
    """

    reward_weights = {"approach": -0.4, "open": -0.6, "success": 2.0, "action": 0.0}  # noqa: RUF012
    gripper = "closed"
    needs_gripper = True  # its closed fingers are the hook
    pose = "ready"
    episode_seconds = 3.0

    control_mode: str = "ee_delta_position"
    share: float = 0.9
    low: tuple[float, float] = (0.5, -0.15)
    high: tuple[float, float] = (0.6, 0.15)

    def build(self, world: World) -> None:
        """Add the arm and the cabinet, which environments may have in different places."""
        super().build(world)
        middle = ((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2, 0.0)
        self._cabinet = world.add(Articulation(CABINET), name="cabinet", position=middle)
        self._low = world.tensor([*self.low, 0.0])
        self._high = world.tensor([*self.high, 0.0])
        self._behind = world.tensor(BEHIND)
        self._enough = self.share * TRAVEL * world.ones()

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw a place for the cabinet, whose drawer is closed."""
        self._cabinet.place(envs, rng.uniform("cabinet", self._low, self._high))
        self._enough = torch.where(envs, self.share * TRAVEL * self.difficulty, self._enough)

    @property
    def drawer_opening(self) -> torch.Tensor:
        """How far the drawer is open, metres `(num_envs, 1)`."""
        return self._cabinet.joint_position

    @property
    def drawer_velocity(self) -> torch.Tensor:
        """Speed at which it opens, m/s `(num_envs, 1)`."""
        return self._cabinet.joint_velocity

    @property
    def handle_position(self) -> torch.Tensor:
        """Middle of the bar, world frame, metres `(num_envs, 3)`."""
        return self._cabinet.link_position("drawer")

    @property
    def to_handle(self) -> torch.Tensor:
        """Displacement from the tool to the middle of the bar, world frame, metres `(num_envs, 3)`."""
        return self.handle_position - self.arm.tool.position

    def parts(self) -> dict[str, torch.Tensor]:
        """Joints, the drawer's opening and its speed, and the bar: position and displacement, world frame."""
        return {
            **super().parts(),
            "drawer_opening": self.drawer_opening,
            "drawer_velocity": self.drawer_velocity,
            "handle_position": self.handle_position,
            "to_handle": self.to_handle,
        }

    def evaluate(self) -> Evaluation:
        """Success is a drawer that is open enough and nearly still."""
        opening = self.drawer_opening[:, 0]
        still = self.drawer_velocity[:, 0].abs() <= STILL
        return Evaluation(
            terminated={"success": (opening >= self._enough) & still},
            metrics={
                "drawer_opening": opening,
                "distance_to_handle": torch.linalg.vector_norm(self.to_handle, dim=-1),
            },
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Nearer and wider open are better."""
        displacement = through_funnel(self.to_handle + self._behind, FUNNEL_RADIUS)
        distance = torch.linalg.vector_norm(displacement, dim=-1)
        opening = evaluation.metrics["drawer_opening"]
        return {
            "approach": (distance - FUNNEL_RADIUS).clamp(min=0.0).sqrt(),
            "open": 1.0 - (opening / self._enough.clamp(min=1e-6)).clamp(0.0, 1.0),
            "success": evaluation.terminated["success"],
            "action": self.actions.action.square().sum(-1),
        }
