"""What callers hand to a batched environment, checked before anything is built."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from genesis_gym.errors import ActionError, ArgumentError, check_choice, check_positive_int, is_number, safe_repr
from genesis_gym.runtime.backend import DEVICES
from genesis_gym.tasks import Task, make_task
from genesis_gym.validation import validate
from genesis_gym.variation import Curriculum, Ranges, check_ranges
from genesis_gym.variation.ranges import needs_per_env_solver
from genesis_gym.world import Physics


@dataclass(kw_only=True)
class Arguments:
    """Arguments of `BatchedEnv`.

    Attributes:
        task: The task, which nobody else has.
        num_envs: Environments.
        reward: `"dense"`, what the task gives, or `"sparse"`, -1 until success and 0 then.
        reward_weights: Weights of reward terms that differ from the task's.
        goal: Show the goal by itself: the observation has the groups `observation`, `achieved_goal` and
            `desired_goal`, and the reward depends on the two goals only, the dense one being minus their distance.
            The task must be a `GoalTask`.
        randomization: Name of a property → range from which each environment draws at each of its resets; see
            `genesis_gym.variation.randomization`.
        curriculum: When environments grow harder, or its fields; None for the full task from the start.
        observation_parts: Name → size of the parts that make the observation, in this order, so that several tasks
            can share one policy; a part that the task lacks is zero. None for the task's own.
        max_episode_steps: Control steps after which an episode is truncated; None for the task's
            `episode_seconds`, `math.inf` for never.
        device: One of `genesis_gym.runtime.DEVICES`.
        show_viewer: Open Genesis's viewer.
        camera_envs: Environments rendered by default; empty disables the camera.
    """

    task: Task
    num_envs: int
    reward: str = "dense"
    reward_weights: Mapping[str, float] = field(default_factory=dict)
    goal: bool = False
    randomization: Ranges = field(default_factory=dict)
    curriculum: Curriculum | None = None
    observation_parts: Mapping[str, int] | None = None
    max_episode_steps: float | None = None
    device: str = "auto"
    show_viewer: bool = False
    camera_envs: Sequence[int] = ()

    @classmethod
    def check(cls, task: str | type[Task] | Task, num_envs: int, options: Mapping[str, Any]) -> Arguments:
        """Refuse what is not allowed.

        Args:
            task: A name, a class or an instance.
            num_envs: Environments.
            options: The other fields; what is none of them is the task's.

        Raises:
            ArgumentError: A value is not allowed; it is named with what is.
        """
        check_positive_int("num_envs", num_envs)
        own = {field.name for field in fields(cls)} - {"task", "num_envs"}
        given = {name: value for name, value in options.items() if name in own}
        made = make_task(task, {name: value for name, value in options.items() if name not in own}, own)
        arguments = cls(task=made, num_envs=operator.index(num_envs), **given)
        check_choice("reward", arguments.reward, ("dense", "sparse"))
        check_choice("device", arguments.device, DEVICES)
        arguments.reward_weights = arguments.reward_weights or {}
        arguments.randomization = check_ranges(arguments.randomization or {})
        if arguments.curriculum is not None:
            arguments.curriculum = validate(Curriculum, "curriculum", arguments.curriculum)
        if arguments.max_episode_steps not in (None, math.inf):
            check_positive_int("max_episode_steps", arguments.max_episode_steps)
        arguments.camera_envs = check_envs("camera_envs", arguments.camera_envs, arguments.num_envs)
        return arguments

    @property
    def physics(self) -> Physics:
        """How the scene is solved."""
        physics = self.task.physics
        return replace(physics, per_env=True) if needs_per_env_solver(self.randomization) else physics

    def steps_of(self, episode_seconds: float | None, control_dt: float) -> int | None:
        """Control steps after which an episode is truncated; None for never."""
        if self.max_episode_steps is None:
            return None if episode_seconds is None else max(1, round(episode_seconds / control_dt))
        return None if self.max_episode_steps == math.inf else operator.index(int(self.max_episode_steps))


def check_action(action: torch.Tensor, num_envs: int, action_dim: int) -> torch.Tensor:
    """Refuse what is no action of every environment.

    Raises:
        ActionError: It is no floating-point tensor of shape `(num_envs, action_dim)`.
    """
    if not isinstance(action, torch.Tensor) or not action.is_floating_point():
        given = action.dtype if isinstance(action, torch.Tensor) else type(action).__name__
        raise ActionError(f"action has type {given}; it must be a floating-point tensor")
    if action.shape != (num_envs, action_dim):
        raise ActionError(
            f"action has shape {tuple(action.shape)}; it must be (num_envs, action_dim) = "
            f"({num_envs}, {action_dim})"
        )
    if action.is_inference():
        return action.clone()
    return action.detach() if action.requires_grad else action


def check_mask(envs: torch.Tensor, num_envs: int) -> torch.Tensor:
    """Refuse what is no mask of environments.

    Raises:
        ArgumentError: It is no bool tensor of shape `(num_envs,)`.
    """
    if not isinstance(envs, torch.Tensor) or envs.dtype != torch.bool or envs.shape != (num_envs,):
        given = f"{envs.dtype} {tuple(envs.shape)}" if isinstance(envs, torch.Tensor) else type(envs).__name__
        raise ArgumentError(f"envs is {given}; it must be a bool mask of shape ({num_envs},)")
    return envs


def check_envs(name: str, envs: Sequence[int], num_envs: int) -> list[int]:
    """Refuse what are no indices of environments.

    Args:
        name: What the argument is called where the user wrote it.
        envs: The indices.
        num_envs: Environments.

    Raises:
        ArgumentError: They are no sequence, or one is no integer from 0 to `num_envs - 1`.
    """
    try:
        given = list(envs)
    except TypeError as error:
        raise ArgumentError(
            f"{name}={safe_repr(envs)} is not allowed; it must be a list of environments"
        ) from error
    for env in given:
        if not (_is_integer(env) and 0 <= operator.index(env) < num_envs):
            raise ArgumentError(f"{name}: {safe_repr(env)} is not allowed; there are num_envs={num_envs}")
    return [operator.index(env) for env in given]


def check_steps(steps: torch.Tensor, num_envs: int) -> torch.Tensor:
    """Refuse what are no clocks.

    Raises:
        ArgumentError: It is no int64 tensor of shape `(num_envs,)`.
    """
    if steps.dtype != torch.int64 or steps.shape != (num_envs,):
        raise ArgumentError(
            f"episode_steps has dtype {steps.dtype} and shape {tuple(steps.shape)}; "
            f"it must be int64 of shape ({num_envs},)"
        )
    return steps


def check_seeds(
    seed: int | Sequence[int | None], num_envs: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give each environment its seed.

    Args:
        seed: An integer gives environment i `seed + i`; a sequence has one for each, or None.
        num_envs: Environments.
        device: Where tensors live.

    Returns:
        Seeds, int64 `(num_envs,)`, and which environments have one, bool `(num_envs,)`.

    Raises:
        ArgumentError: The sequence has another length, or a seed is no integer from 0 to 2**63 - 1.
    """
    if _is_integer(seed):
        first = operator.index(seed)  # type: ignore[arg-type]
        seeds: list[Any] = [first + i for i in range(num_envs)]
    elif isinstance(seed, (list, tuple, range)) or getattr(seed, "ndim", 0) == 1:
        seeds = list(seed)  # type: ignore[arg-type]
    else:
        raise ArgumentError(
            f"seed={safe_repr(seed)} is not allowed; it must be an integer, or one or None for each environment"
        )
    if len(seeds) != num_envs:
        raise ArgumentError(f"seed has {len(seeds)} entries; it must have num_envs={num_envs}")
    for s in seeds:
        if s is not None and not (_is_integer(s) and 0 <= operator.index(s) < 2**63):
            raise ArgumentError(f"seed={safe_repr(s)} is not allowed; it must be an integer from 0 to 2**63 - 1")
    values = torch.tensor([operator.index(s or 0) for s in seeds], dtype=torch.int64, device=device)
    return values, torch.tensor([s is not None for s in seeds], device=device)


def check_weights(
    given: Mapping[str, float], names: Sequence[str], defaults: Mapping[str, float]
) -> dict[str, float]:
    """Give each reward term its weight.

    Args:
        given: The weights that differ from the task's.
        names: The task's terms.
        defaults: The task's weights; 1 where it names none.

    Returns:
        Term → weight, in the order of `names`.

    Raises:
        ArgumentError: A term is unknown, or a weight is no finite number.
    """
    for name, weight in given.items():
        check_choice("reward_weights: term", name, names)
        if not is_number(weight):
            raise ArgumentError(
                f"reward_weights: {name}={safe_repr(weight)} is not allowed; it must be a finite number"
            )
    weights = {**dict.fromkeys(names, 1.0), **defaults, **given}
    return {name: float(weights[name]) for name in names}


def check_parts(parts: Mapping[str, int], own: Mapping[str, int]) -> dict[str, int]:
    """Refuse parts of an observation that lack one of the task's.

    Args:
        parts: Name → size of the declared parts.
        own: Those of the task.

    Raises:
        ArgumentError: A size is not allowed, or a part of the task is missing or of another size.
    """
    for name, size in parts.items():
        check_positive_int(f"observation_parts: {name}", size)
    wrong = {name: size for name, size in own.items() if parts.get(name) != size}
    if wrong:
        missing = ", ".join(f"{name}={size}" for name, size in wrong.items())
        raise ArgumentError(f"observation_parts={dict(parts)} lacks parts of the task's observation: {missing}")
    return dict(parts)


def _is_integer(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and getattr(value, "ndim", 0) == 0
