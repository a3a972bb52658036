"""What of a task is rewarded and shown: the task's own terms, or its goal alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from genesis_gym.errors import ArgumentError
from genesis_gym.tasks import GoalTask, Task
from genesis_gym.tasks.task import Evaluation


class Objective:
    """Chooses between dense and sparse rewards, and whether the goal is shown by itself.

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

    def terms(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """Terms of the reward that need no memory; arguments and result as of `Task.reward`.

        Raises:
            ArgumentError: The reward is sparse, and the task knows no success.
        """
        if self._sparse:
            if "success" not in evaluation:
                raise ArgumentError(f"reward='sparse' is not possible: {type(self._task).__name__} has no success")
            return {"sparse": evaluation["success"].float() - 1.0}
        if self._goal_task is not None:
            return {"distance": -evaluation["distance_to_target"]}
        return self._task.reward(evaluation, action)

    def potential(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """As `Task.potential`; none where the reward depends on the present goals only."""
        return {} if self._sparse or self._goal_task else self._task.potential(evaluation)

    def observation(self) -> dict[str, torch.Tensor]:
        """As `Task.observation`, without what depends on the goal if that is shown by itself."""
        hidden = self._goal_task.goal_parts if self._goal_task else ()
        return {name: part for name, part in self._task.observation().items() if name not in hidden}

    def goals(self) -> dict[str, torch.Tensor]:
        """The goals to be shown by themselves, float `(num_rows, k)` each; empty if none are."""
        if self._goal_task is None:
            return {}
        return {
            "achieved_goal": self._goal_task.achieved_goal(),
            "desired_goal": self._goal_task.desired_goal(),
        }

    def reward_of(self, achieved_goal: Any, desired_goal: Any, weights: Mapping[str, float]) -> Any:
        """As `BatchedEnv.compute_reward`."""
        if self._goal_task is None:
            raise ArgumentError("compute_reward() needs the goal by itself; make the environment with goal=True")
        achieved, desired = (torch.as_tensor(g, dtype=torch.float32) for g in (achieved_goal, desired_goal))
        distance = self._goal_task.distance(achieved, desired)
        evaluation = {"success": distance < self._goal_task.tolerance, "distance_to_target": distance}
        ((name, term),) = self.terms(evaluation, distance).items()
        reward = weights[name] * term
        return reward if isinstance(achieved_goal, torch.Tensor) else reward.numpy()
