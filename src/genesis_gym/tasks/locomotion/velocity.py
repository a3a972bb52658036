"""Velocity tracking: walk as commanded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from genesis_gym.actions import JointOffset
from genesis_gym.robots import GO2, RobotSpec
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks.task import Evaluation, Group, Task
from genesis_gym.variation import RandomPush, UniformCommand
from genesis_gym.world import SOFT, Contacts, Flat, Physics, Terrain, Viewpoint, World


@dataclass(kw_only=True, eq=False)
class VelocityTracking(Task):
    """Track a commanded planar velocity and yaw rate (Rudin et al., 2022).

    The episode fails when the trunk touches something or has turned over.

    Attributes:
        robot: A legged robot with the groups of links `feet` and `trunk`.
        terrain: What it walks on.
        fastest: Greatest command: forward and lateral velocity, m/s, and yaw rate, rad/s.
    """

    physics = Physics(dt=0.005, contacts=SOFT)
    decimation = 4  # 50 Hz
    episode_seconds = 20.0
    viewpoint = Viewpoint((2.7, -2.6, 1.7), (0.0, 0.0, 0.1))
    noise = {"angular_velocity": 0.2, "gravity": 0.05, "joint_position": 0.01, "joint_velocity": 1.5}  # noqa: RUF012
    reward_weights = {  # noqa: RUF012
        "linear": 1.0,
        "yaw": 0.5,
        "bounce": -2.0,
        "sway": -0.05,
        "effort": -2e-4,
        "action_rate": -0.01,
        "air_time": 0.5,
        "fall": -1.0,
    }

    robot: RobotSpec = GO2
    terrain: Terrain = field(default_factory=Flat)
    fastest: tuple[float, float, float] = (1.0, 0.5, 1.0)

    def build(self, world: World) -> None:
        """Add the ground, the robot and its sensors."""
        self.ground = world.add(self.terrain)
        self.legs = world.add(self.robot)
        self.feet = world.add(Contacts(self.legs.links["feet"]))
        self.trunk = world.add(Contacts(self.legs.links["trunk"]))
        self.offsets = self.add_action(JointOffset(self.legs, scale=0.25))
        self.command = UniformCommand(world, high=self.fastest, every=10.0)
        self.push = RandomPush(self.legs, every=(8.0, 12.0), speed=0.5)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Place the robot, its heading and joints at random."""
        self.legs.place(envs, self.ground.spawn(envs, rng), yaw=rng.uniform("yaw", -math.pi, math.pi))
        self.legs.set_joints(envs, self.legs.default * rng.uniform("joints", 0.8, 1.2, len(self.legs.joints)))

    def observe(self) -> Mapping[str, Group]:
        """What a real robot measures, and the base's linear velocity for the critic; SI units, base frame."""
        base = self.legs.base
        policy = {
            "angular_velocity": base.angular_velocity,
            "gravity": base.gravity,
            "command": self.command.value,
            "joint_position": self.legs.joint_position - self.legs.default,
            "joint_velocity": self.legs.joint_velocity,
            "last_action": self.offsets.action,
        }
        return {"policy": policy, "critic": {**policy, "linear_velocity": base.linear_velocity}}

    def evaluate(self) -> Evaluation:
        """How far the velocities are from the command, and whether the robot has fallen."""
        base = self.legs.base
        error = self.command.value - torch.cat([base.linear_velocity[:, :2], base.angular_velocity[:, 2:]], -1)
        return Evaluation(
            terminated={"fall": self.trunk.touching.any(-1) | (base.gravity[:, 2] > 0.0)},
            metrics={"speed_error": error[:, :2].norm(dim=-1), "yaw_error": error[:, 2].abs()},
        )

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Tracking pays; bouncing, swaying, effort, haste and falling cost."""
        base, metrics = self.legs.base, evaluation.metrics
        return {
            "linear": torch.exp(-metrics["speed_error"].square() / 0.25),
            "yaw": torch.exp(-metrics["yaw_error"].square() / 0.25),
            "bounce": base.linear_velocity[:, 2].square(),
            "sway": base.angular_velocity[:, :2].square().sum(-1),
            "effort": self.legs.joint_effort.square().sum(-1),
            "action_rate": self.offsets.change.square().sum(-1),
            "air_time": ((self.feet.air_time - 0.5) * self.feet.landed).sum(-1) * self.command.moving,
            "fall": evaluation.terminated["fall"],
        }
