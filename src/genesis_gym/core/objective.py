"""Selects dense, sparse or goal-conditioned reward and observation of a task."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from genesis_gym.errors import ArgumentError
from genesis_gym.runtime.state import Stateful
from genesis_gym.tasks import GoalTask, Group, Task
from genesis_gym.tasks.task import Evaluation


class Objective(Stateful):
    """What of a task is rewarded and shown.

    Attributes:
        reward_weights: Weights of the terms where they are not 1.
    """

    def __init__(self, task: Task, *, sparse: bool, goal: bool) -> None:
        """Choose.

        Args:
            task: The task.
            sparse: Reward -1 until success and 0 then, instead of the task's terms.
            goal: Show the goal by itself, and reward by the two goals only.

        Raises:
            ArgumentError: The goal shall be shown, and the task is no `GoalTask`.
        """
        if goal and not isinstance(task, GoalTask):
            raise ArgumentError(f"goal=True is not possible: {type(task).__name__} is no GoalTask")
        self._task = task
        self._goal_task = task if goal and isinstance(task, GoalTask) else None
        self._sparse = sparse
        self.reward_weights: Mapping[str, float] = {} if sparse or goal else task.reward_weights

    def terms(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Terms of the reward, not yet weighted; as `Task.reward`.

        Raises:
            ArgumentError: The reward is sparse, and the task knows no success.
        """
        if self._sparse:
            if "success" not in evaluation.terminated:
                raise ArgumentError(f"reward='sparse' is not possible: {type(self._task).__name__} has no success")
            return {"sparse": evaluation.terminated["success"].float() - 1.0}
        if self._goal_task is not None:
            return {"distance": -evaluation.metrics["distance_to_target"]}
        return self._task.reward(evaluation)

    def observe(self) -> Mapping[str, Group]:
        """As `Task.observe`; the goal by itself if that is asked for."""
        groups, task = self._task.observe(), self._goal_task
        if task is None:
            return groups
        policy = groups["policy"]
        assert isinstance(policy, Mapping), "a GoalTask has named parts"
        return {
            "observation": {name: part for name, part in policy.items() if name not in task.goal_parts},
            "achieved_goal": {"achieved_goal": task.achieved_goal()},
            "desired_goal": {"desired_goal": task.desired_goal()},
        }

    def compute_reward(
        self, achieved: torch.Tensor, desired: torch.Tensor, weights: Mapping[str, float]
    ) -> torch.Tensor:
        """Reward of a step that achieves one goal when another is desired.

        Args:
            achieved: float `(..., k)`.
            desired: float `(..., k)`.
            weights: Weights of the terms.

        Returns:
            float32 `(...)`.

        Raises:
            ArgumentError: The goal is not shown by itself.
        """
        if self._goal_task is None:
            raise ArgumentError("compute_reward() needs the goal by itself; make the environment with goal=True")
        distance = self._goal_task.distance(achieved.float(), desired.float())
        evaluation = Evaluation(
            terminated={"success": distance < self._goal_task.tolerance}, metrics={"distance_to_target": distance}
        )
        reward = torch.zeros_like(distance)
        for name, term in self.terms(evaluation).items():
            reward = reward + weights[name] * term.float()
        return reward
