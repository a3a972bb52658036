"""Episodes that succeed, for learning from demonstrations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from genesis_gym.core import Core
from genesis_gym.errors import GenesisGymError, check_positive_int
from genesis_gym.learning.agents.policy import Act, Observation
from genesis_gym.learning.evaluation.episodes import PlayStep, episodes

#: A policy that succeeds less often than once in so many episodes is refused.
TRIES = 20


@dataclass(frozen=True)
class Demonstration:
    """An episode of one environment that ended in success.

    Attributes:
        seed: What the environment was reset with.
        observations: Group → of T steps and the reset, `(T + 1, ...)`.
        actions: `(T, action_dim)`.
        rewards: `(T,)`.
        terminations: bool `(T,)`: only the last is True.
    """

    seed: int
    observations: Observation
    actions: torch.Tensor
    rewards: torch.Tensor
    terminations: torch.Tensor


def collect(env: Core, act: Act, count: int, seed: int = 0) -> tuple[list[Demonstration], int]:
    """Play episodes side by side until enough have succeeded.

    Args:
        env: The environment; its own episodes are restored afterwards.
        act: The policy.
        count: Episodes to keep, at least 1.
        seed: Seed of the first episode that is tried; the next has seed + 1.

    Returns:
        The episodes in the order of their seeds, and how many were tried to have them.

    Raises:
        ArgumentError: `count` is below 1, or the environment's episodes have no end.
        GenesisGymError: Of `TRIES` times as many episodes not enough have succeeded.
    """
    check_positive_int("episodes", count)
    most = TRIES * max(count, env.num_envs)
    found: list[Demonstration] = []
    steps: list[PlayStep] = []
    with env.evaluation_mode():
        for step in episodes(env, act, most, seed):
            steps.append(step)
            if step.last:
                found += _successes(steps, seed)
                steps = []
                if len(found) >= count:
                    break
    if len(found) < count:
        raise GenesisGymError(
            f"{len(found)} of {most} episodes succeeded and {count} are wanted: nothing was written"
        )
    return found[:count], found[count - 1].seed - seed + 1


def _successes(steps: list[PlayStep], seed: int) -> Iterator[Demonstration]:
    """The episodes of a round that succeeded."""
    lengths = sum(step.running.long() for step in steps[1:])
    succeeded = torch.stack([step.terminated & step.metrics["is_success"] for step in steps]).any(0)
    for env in succeeded.nonzero().flatten().tolist():
        played = steps[1 : int(lengths[env]) + 1]  # type: ignore[index]
        yield Demonstration(
            seed=seed + steps[0].first + env,
            observations={
                group: torch.stack([step.observation[group][env] for step in (steps[0], *played)])
                for group in steps[0].observation
            },
            actions=torch.stack([step.action[env] for step in played if step.action is not None]),
            rewards=torch.stack([step.reward[env] for step in played]),
            terminations=torch.stack([step.terminated[env] for step in played]),
        )
