"""The base of every task."""

from __future__ import annotations

import torch

from genesis_gym.robots import Robot
from genesis_gym.runtime import RowRandom, Simulation

#: `"success"` and `"fail"` (bool) end an episode; every other entry (float) is a metric for `info` and logs.
Evaluation = dict[str, torch.Tensor]


class Task:
    """A robot with nothing to do. Subclasses override the hooks that they need.

    Every tensor is batched: its first dimension is the row. Hooks are called in this order: `build` once before
    the scene is built, `start` once after it; then, for each episode of a row, `reset` and, for each control
    step of all rows, `evaluate`, `reward` and `observation`.

    Attributes:
        robot: The robot, from `start` on.
        num_rows: Rows of the scene, from `start` on.
        device: Where tensors live, from `start` on.
    """

    robot: Robot
    num_rows: int
    device: torch.device

    def build(self, simulation: Simulation) -> None:
        """Add the task's entities to `simulation.scene`.

        Args:
            simulation: Owner of a scene that is not built yet.
        """

    def start(self, robot: Robot, simulation: Simulation) -> None:
        """Allocate buffers in a scene that has just been built. Call super first.

        Args:
            robot: The robot, at home.
            simulation: Owner of the built scene.
        """
        self.robot = robot
        self.num_rows = simulation.num_rows
        self.device = simulation.device

    def reset(self, rows: torch.Tensor, random: RowRandom) -> None:
        """Begin an episode in some rows; robot and scene are already at their initial state there.

        Args:
            rows: bool mask `(num_rows,)`. Other rows must not change.
            random: Source of every random number.
        """

    def observation(self) -> dict[str, torch.Tensor]:
        """What the policy sees: named parts, joined in this order.

        Returns:
            Name → float `(num_rows, k)`.
        """
        return {
            "joint_position": self.robot.joint_position,
            "joint_velocity": self.robot.joint_velocity,
        }

    def goal(self) -> torch.Tensor | None:
        """Where the goal of each row's episode is, for those who look on.

        Returns:
            Position in the world frame, metres `(num_rows, 3)`; None for a task without one.
        """
        return None

    def evaluate(self) -> Evaluation:
        """Judge the present state: the one truth for termination, metrics and reward.

        Returns:
            `"success"` and `"fail"`, bool `(num_rows,)`, where the task has them, and float metrics.
        """
        return {}

    def reward(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named terms of the reward of the step just taken; their sum is the reward.

        Args:
            evaluation: What `evaluate` returned for the state after the step.
            action: The action taken, `(num_rows, action_dim)` in [-1, 1].

        Returns:
            Name → float `(num_rows,)`.
        """
        return {}
