"""Hover: fly to a place and stay there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from genesis_gym.actions import Rotors
from genesis_gym.robots import CF2X, RobotSpec
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.task import Evaluation, Group, Task
from genesis_gym.world import SOFT, Ground, Marker, Physics, Viewpoint, World


@dataclass(kw_only=True, eq=False)
class Hover(Task):
    """Fly a quadrotor to a target and stay there; the neutral action hovers.

    The episode fails when the drone turns over, touches the ground or leaves.

    Attributes:
        robot: A drone.
        spread: Targets lie in a cube of this half edge about the start, metres; so does the drone at first.
        farthest: Distance to the target at which the episode ends, metres.
    """

    physics = Physics(dt=0.01, contacts=SOFT)
    decimation = 1  # 100 Hz
    episode_seconds = 5.0
    viewpoint = Viewpoint((1.7, -1.6, 1.7), (0.0, 0.0, 1.0))
    reward_weights = {"near": 1.0, "upright": 0.2, "spin": -0.002, "action_rate": -0.02, "crash": -5.0}  # noqa: RUF012

    robot: RobotSpec = CF2X
    spread: float = 0.5
    farthest: float = 2.5

    def build(self, world: World) -> None:
        """Add the ground and the drone."""
        world.add(Ground())
        self.drone = world.add(self.robot)
        self.rotors = self.add_action(Rotors(self.drone))
        self._marker = world.add(Marker(0.03), name="target")
        self.target = world.zeros(3)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw where the drone begins, about half a metre above its default height, and where it shall go."""
        offset = rng.uniform("start", -self.spread, self.spread, 3)
        self.drone.place(envs, self.world.tensor([0.0, 0.0, 0.5]) + offset)
        middle = self.drone.base.position - offset
        target = middle + rng.uniform("target", -self.spread, self.spread, 3)
        self.target = torch.where(envs[:, None], target, self.target)

    def observe(self) -> Mapping[str, Group]:
        """Displacement to the target, gravity and velocities in the base frame, SI units, and the last action."""
        base = self.drone.base
        return {
            "policy": {
                "to_target": base.to_frame(self.target - base.position),
                "gravity": base.gravity,
                "linear_velocity": base.linear_velocity,
                "angular_velocity": base.angular_velocity,
                "last_action": self.rotors.action,
            }
        }

    def show(self) -> None:
        """Move the marker to the target."""
        self._marker.show_at(self.target)

    def goal(self) -> torch.Tensor:
        """The target."""
        return self.target

    def evaluate(self) -> Evaluation:
        """How far the target is, and whether the drone has crashed or left."""
        base = self.drone.base
        distance = (self.target - base.position).norm(dim=-1)
        return Evaluation(
            terminated={"crash": (base.gravity[:, 2] > 0.0) | (base.position[:, 2] < 0.05)},
            truncated={"left": distance > self.farthest},
            metrics={"distance_to_target": distance},
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Near, upright and calm is best."""
        base, distance = self.drone.base, evaluation.metrics["distance_to_target"]
        return {
            "near": torch.exp(-3.0 * distance) + 0.5 * torch.exp(-distance),
            "upright": -base.gravity[:, 2],
            "spin": base.angular_velocity.square().sum(-1),
            "action_rate": self.rotors.change.square().sum(-1),
            "crash": evaluation.terminated["crash"],
        }
