"""The base of every task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import torch

from genesis_gym.actions import Actions, ActionTerm
from genesis_gym.robots import RobotSpec, find_robot
from genesis_gym.world import Component, Physics, Viewpoint, World

#: Named parts, concatenated in order, or one tensor of any shape and dtype, such as an image.
Group = Mapping[str, torch.Tensor] | torch.Tensor

Term = TypeVar("Term", bound=ActionTerm)


@dataclass(kw_only=True)
class Evaluation:
    """What the present state is: the one truth for ends, metrics and reward.

    Attributes:
        terminated: Reason → bool `(num_envs,)`: ends of the task itself. `success` is the reason that counts as
            one.
        truncated: Reason → bool `(num_envs,)`: ends for another reason, such as having left the terrain; the
            clock, whose reason is `time_limit`, is the environment's.
        metrics: Name → float `(num_envs,)`, for `info` and logs.
    """

    terminated: dict[str, torch.Tensor] = field(default_factory=dict)
    truncated: dict[str, torch.Tensor] = field(default_factory=dict)
    metrics: dict[str, torch.Tensor] = field(default_factory=dict)


class Task(Component):
    """What robots are asked to do, and the world in which they do it.

    Subclasses are keyword-only dataclasses whose fields are the arguments of `gymnasium.make`. Every tensor is
    batched: its first dimension is the environment. Hooks are called in this order: `build` once before the scene
    is built, `start` once after it; then, for each episode of an environment, `reset` and, for each control step
    of all environments, `update`, `evaluate`, `reward` and `observe`.

    Attributes:
        physics: Rate and options of the solver.
        decimation: Physics steps in a control step.
        episode_seconds: After which an episode is truncated; None for never.
        reward_weights: Name of a reward term → its weight, 1 for a term that is not named; a term of weight 0 is
            left out. The environment's argument `reward_weights` overrides them one by one.
        noise: Part of an observation → standard deviation of its Gaussian noise, in the part's unit. The group
            `critic` has none.
        scale: Part of an observation → factor, applied after the noise.
        clip: Part of an observation → bound of its magnitude, applied last; one number bounds every part.
        viewpoint: From where the scene is drawn.
        agents: Name of an agent → names of the action terms that are its own; for several agents only.
        robot: The robot, of tasks that declare such a field; a name in `genesis_gym.robots.ROBOTS` is looked up.
        world: The world, from `build` on.
        actions: The action terms, from `build` on.
        difficulty: How hard the next reset of each environment shall be, 0 to 1, float `(num_envs,)`; 1 without a
            curriculum.
    """

    physics: ClassVar[Physics] = Physics()
    decimation: ClassVar[int] = 2
    episode_seconds: ClassVar[float | None] = 2.0
    reward_weights: ClassVar[Mapping[str, float]] = {}
    noise: ClassVar[Mapping[str, float]] = {}
    scale: ClassVar[Mapping[str, float]] = {}
    clip: ClassVar[Mapping[str, float] | float] = {}
    viewpoint: ClassVar[Viewpoint] = Viewpoint()
    agents: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    world: World
    actions: Actions
    difficulty: torch.Tensor
    robot: RobotSpec

    def __post_init__(self) -> None:
        """Look up a robot that is given by its name, as `gymnasium.make(…, robot="ur5e")` does."""
        if "robot" in vars(self):
            self.robot = find_robot(self.robot)

    def enter(self, world: World) -> None:
        """Build the task in a world; called by the environment.

        Args:
            world: An empty world.
        """
        self.world = world
        self.actions = Actions(world)
        self.difficulty = world.ones()
        self.build(world)

    def add_action(self, term: Term, *, name: str | None = None) -> Term:
        """Add an action term; the action is the concatenation of all in this order.

        Args:
            term: The term.
            name: What it is called; None for the name of its class, such as `joint_offset`.

        Returns:
            The term.
        """
        self.actions.add(term, name or re.sub(r"(?<!^)(?=[A-Z])", "_", type(term).__name__).lower())
        return term

    def build(self, world: World) -> None:
        """Add robots, objects, sensors and action terms.

        Args:
            world: A world that is not built yet.
        """
        raise NotImplementedError

    def observe(self) -> Mapping[str, Group]:
        """What the policy sees.

        Returns:
            Group → its parts, or one tensor. One group `policy` makes a `Box`, several a `Dict`.
        """
        raise NotImplementedError

    def evaluate(self) -> Evaluation:
        """Judge the present state."""
        return Evaluation()

    def reward(self, evaluation: Evaluation) -> dict[str, torch.Tensor]:
        """Named terms of the reward of the step just taken; the reward is their weighted sum.

        Args:
            evaluation: What `evaluate` returned for the state after the step.

        Returns:
            Name → float or bool `(num_envs,)`, not yet weighted.
        """
        return {}

    def show(self) -> None:
        """Update debug visuals, such as markers; called before the scene is drawn."""

    def goal(self) -> torch.Tensor | None:
        """Where the goal of each environment's episode is, for visualisation.

        Returns:
            Position in the world frame, metres `(num_envs, 3)`; None for a task without one.
        """
        return None


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
        """What is achieved at present, float `(num_envs, k)`."""
        raise NotImplementedError

    def desired_goal(self) -> torch.Tensor:
        """What shall be achieved, float `(num_envs, k)`."""
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
        return Evaluation(
            terminated={"success": distance < self.tolerance}, metrics={"distance_to_target": distance}
        )
