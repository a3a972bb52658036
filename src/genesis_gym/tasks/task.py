"""The base of every task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

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
        reward_weights: Name of a reward term → its weight, 1 for a term that is not named; a term of weight 0 is
            left out. The environment's argument `reward_weights` overrides them one by one.
        gripper_opening: How far the gripper is held open, 0 to 1; None for a gripper that the policy drives by one
            more number of its action, the last: where the fingers go, -1 closed to 1 open.
        firm_contacts: Whether what is held and pushed neither creeps, trembles nor sinks in. That costs a fifth of
            the speed, even where nothing is touched.
        needs_gripper: Whether only a robot with a gripper can do it, beside tasks whose policy drives one.
        begins_poised: Whether episodes begin with the tool low above the workspace, instead of at home.
        action_repeat: For how many commands of the controller, of 20 ms each, an action lasts; at least 1.
        control_mode: Name in `genesis_gym.controllers.CONTROLLERS` of what the task is best done with.
        robot: The robot, from `start` on.
        num_rows: Rows of the scene, from `start` on.
        device: Where tensors live, from `start` on.
        difficulty: How hard the next reset of each row shall be, 0 to 1, float `(num_rows,)`; 1 without a
            curriculum.
    """

    reward_weights: ClassVar[Mapping[str, float]] = {}
    gripper_opening: ClassVar[float | None] = 1.0
    firm_contacts: ClassVar[bool] = True
    needs_gripper: ClassVar[bool] = False
    begins_poised: ClassVar[bool] = False
    action_repeat: ClassVar[int] = 1
    control_mode: ClassVar[str] = "joint_delta"
    robot: Robot
    num_rows: int
    device: torch.device
    difficulty: torch.Tensor

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
        self.difficulty = torch.ones(self.num_rows, device=self.device)

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

    def show(self) -> None:
        """Bring what only onlookers see to its place; called before a picture is drawn."""

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
        """Named terms of the reward of the step just taken; the reward is their weighted sum.

        Args:
            evaluation: What `evaluate` returned for the state after the step.
            action: The action that the policy chose, `(num_rows, action_dim)` in [-1, 1].

        Returns:
            Name → float or bool `(num_rows,)`, not yet weighted.
        """
        return {}

    def potential(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Named potentials Φ, each of which rewards progress by a term Φ(s') − Φ(s) of its name.

        The environment remembers Φ(s) for each row and begins anew at each reset, so that the terms of an
        episode add up to Φ(last) − Φ(first). This is the potential-based shaping of Ng, Harada & Russell,
        "Policy invariance under reward transformations", ICML 1999, without discount.

        Args:
            evaluation: What `evaluate` returned for the present state.

        Returns:
            Name → float `(num_rows,)`.
        """
        return {}


class GoalTask(Task):
    """A task with a goal, such as a place, whose success is to be near it.

    With `goal=True` an environment shows the goal by itself, as Gymnasium-Robotics' `GoalEnv` does, so that a
    learner may ask what another goal would have been worth.

    Attributes:
        tolerance: Distance below which the goal is achieved.
        goal_parts: Parts of the observation that depend on the goal; left out where the goal is shown by itself.
    """

    tolerance: float
    goal_parts: ClassVar[tuple[str, ...]] = ()

    def achieved_goal(self) -> torch.Tensor:
        """What is achieved at present.

        Returns:
            float `(num_rows, k)`.
        """
        raise NotImplementedError

    def desired_goal(self) -> torch.Tensor:
        """What shall be achieved.

        Returns:
            float `(num_rows, k)`.
        """
        raise NotImplementedError

    def distance(self, achieved: torch.Tensor, desired: torch.Tensor) -> torch.Tensor:
        """How far two goals are from each other; Euclidean unless overridden.

        Args:
            achieved: float `(..., k)`.
            desired: float `(..., k)`.

        Returns:
            float `(...)`.
        """
        distance: torch.Tensor = torch.linalg.vector_norm(desired - achieved, dim=-1)
        return distance

    def goal(self) -> torch.Tensor:
        """The desired goal, if it is a place."""
        return self.desired_goal()

    def evaluate(self) -> Evaluation:
        """Success is a distance below the tolerance."""
        distance = self.distance(self.achieved_goal(), self.desired_goal())
        return {"success": distance < self.tolerance, "distance_to_target": distance}
