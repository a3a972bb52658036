"""What a step gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple, ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: Group → tensor `(num_envs, ...)`.
Observation = dict[str, torch.Tensor]

#: Name → `(num_envs,)` or `(num_envs, k)`.
Metrics = dict[str, torch.Tensor]


class StepResult(NamedTuple):
    """What one control step gives, for every environment.

    Attributes:
        observation: Group → `(num_envs, ...)`, of the state just reached; one group `policy` unless the task has
            others.
        reward: float32 `(num_envs,)`.
        terminated: bool `(num_envs,)`: the task ended, by success or otherwise.
        truncated: bool `(num_envs,)`: the clock ran out, the task was cut short, or the environment is faulty;
            never together with terminated.
        metrics: Name → `(num_envs,)`: `is_success`, `fault`, `end/<reason>` of each reason, the task's metrics,
            `reward/<term>` of this step, `reward_sum/<term>` of the episode so far, `difficulty` with a
            curriculum, and `randomization/<name>`, `(num_envs,)` or `(num_envs, k)`.
    """

    observation: Observation
    reward: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    metrics: Metrics


def choose(envs: torch.Tensor, first: Observation, second: Observation) -> Observation:
    """One observation in some environments, another in the rest."""
    masks = {group: envs.view(-1, *[1] * (tensor.ndim - 1)) for group, tensor in first.items()}
    return {group: torch.where(masks[group], first[group], second[group]) for group in first}


def in_normal_mode(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a method leave torch's inference mode: what the scene keeps must outlive it."""

    @wraps(method)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if not torch.is_inference_mode_enabled():
            return method(*args, **kwargs)
        with torch.inference_mode(mode=False):
            return method(*args, **kwargs)

    return run
