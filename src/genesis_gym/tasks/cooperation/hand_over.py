"""Hand-over: one arm gives a bar to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from genesis_gym.actions import Gripper, ToolPosition
from genesis_gym.robots import FRANKA, Robot
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.task import Evaluation, Group, Task
from genesis_gym.world import Box, Marker, Physics, Table, Viewpoint, World

#: An arm holds the bar from this force on, N.
HOLDING_FORCE = 0.5


@dataclass(kw_only=True, eq=False)
class HandOver(Task):
    """The left arm picks a bar up, the right one takes it over and holds it at a target.

    Attributes:
        tolerance: Radius of success, metres.
    """

    physics = Physics(dt=0.01)
    decimation = 4  # 25 Hz
    episode_seconds = 8.0
    viewpoint = Viewpoint((2.0, -1.3, 1.3), (0.25, 0.0, 0.25))
    agents = {side: (f"{side}_tool", f"{side}_gripper") for side in ("left", "right")}  # noqa: RUF012
    reward_weights = {"reach": -0.4, "grasp": -0.4, "place": -0.2, "success": 2.0}  # noqa: RUF012

    tolerance: float = 0.05

    def build(self, world: World) -> None:
        """Add a table, two arms and a bar."""
        world.add(Table())
        self.arms: dict[str, Robot] = {}
        for side, y in (("left", 0.45), ("right", -0.45)):
            arm = self.arms[side] = world.add(FRANKA, name=side, position=(0.0, y, 0.0), pose="ready")
            self.add_action(ToolPosition(arm), name=f"{side}_tool")
            self.add_action(Gripper(arm), name=f"{side}_gripper")
        self.bar = world.add(Box((0.24, 0.03, 0.03), density=600.0), name="bar", position=(0.5, 0.27, 0.015))
        self._marker = world.add(Marker(self.tolerance), name="target")
        self.target = world.zeros(3)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw places for the bar, before the left arm, and the target, before the right one."""
        self.bar.place(envs, rng.uniform("bar", (0.4, 0.2, 0.015), (0.6, 0.35, 0.015)))
        target = rng.uniform("target", (0.4, -0.35, 0.2), (0.6, -0.2, 0.4))
        self.target = torch.where(envs[:, None], target, self.target)

    def observe(self) -> Mapping[str, Group]:
        """What both arms see, SI units, world frame."""
        parts: dict[str, torch.Tensor] = {}
        for side, arm in self.arms.items():
            parts[f"{side}/joint_position"] = arm.joint_position
            parts[f"{side}/gripper_opening"] = arm.gripper.opening
            parts[f"{side}/grip_force"] = arm.gripper.force[:, None]
            parts[f"{side}/to_bar"] = self.bar.position - arm.tool.position
        return {"policy": {**parts, "to_target": self.target - self.bar.position}}

    def show(self) -> None:
        """Move the marker to the target."""
        self._marker.show_at(self.target)

    def goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def evaluate(self) -> Evaluation:
        """Success is a bar at the target that only the right arm holds."""
        distance = (self.target - self.bar.position).norm(dim=-1)
        held = {side: arm.gripper.force >= HOLDING_FORCE for side, arm in self.arms.items()}
        success = (distance < self.tolerance) & held["right"] & ~held["left"]
        ends = {"success": success, "dropped": self.bar.position[:, 2] < -0.1}
        return Evaluation(terminated=ends, metrics={"distance_to_target": distance})

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Nearer and firmer are better."""
        giver, taker = self.arms["left"], self.arms["right"]
        return {
            "reach": (self.bar.position - giver.tool.position).norm(dim=-1),
            "grasp": 1.0 - (giver.gripper.force + taker.gripper.force).clamp(max=20.0) / 20.0,
            "place": evaluation.metrics["distance_to_target"],
            "success": evaluation.terminated["success"],
        }
