"""Playing the episodes of a policy, for evaluations, demonstrations and pictures alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from genesis_gym.core import Core
from genesis_gym.errors import ArgumentError, check_positive_int
from genesis_gym.learning.agents.policy import Act, Observation


@dataclass(frozen=True)
class PlayStep:
    """One step of a round: of one episode in each of the environments 0 to `count - 1`.

    All tensors below are those of these environments alone.

    Attributes:
        first: Number of the episode in environment 0, from 0; episode k starts from the seed of the first plus k.
        step: Control steps since the round began; 0 for its beginning.
        observation: After the step.
        action: That led to it, clipped to the bounds of the action space; None at the beginning.
        reward: `(count,)`; zeros at the beginning.
        metrics: Name → `(count, ...)`.
        running: bool `(count,)`: episodes that had not ended before this step.
        terminated: bool `(count,)`: episodes that ended here by success or failure.
        truncated: bool `(count,)`: episodes that ended here by the clock or a fault.
        last: Whether all episodes of the round have ended.
    """

    first: int
    step: int
    observation: Observation
    action: torch.Tensor | None
    reward: torch.Tensor
    metrics: dict[str, torch.Tensor]
    running: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    last: bool

    @property
    def count(self) -> int:
        """Episodes of the round."""
        return len(self.running)

    @property
    def ended(self) -> torch.Tensor:
        """Episodes that ended here, bool `(count,)`."""
        return self.terminated | self.truncated


def episodes(env: Core, act: Act, count: int, seed: int, *, envs: int | None = None) -> Iterator[PlayStep]:
    """Play episodes side by side, one in each environment, in as many rounds as are needed.

    Episode k starts from seed + k whatever the number of environments. Each round lasts until all of its episodes
    have ended, so that quick episodes are not counted more often than long ones. At each step that is handed out
    the environment is in that state: nothing has been reset yet.

    Args:
        env: The environment; its episodes in progress are lost.
        act: The policy.
        count: How many episodes, at least 1.
        seed: Seed of the first.
        envs: Episodes in a round; None for one in each environment.

    Yields:
        The beginning of each round and each step.

    Raises:
        ArgumentError: `count` or `envs` is not allowed, or the environment's episodes have no end.
    """
    envs = env.num_envs if envs is None else envs
    check_positive_int("episodes", count)
    check_positive_int("envs", envs)
    if envs > env.num_envs:
        raise ArgumentError(f"envs={envs} is not allowed; the environment has num_envs={env.num_envs}")
    if env.max_episode_steps is None:
        raise ArgumentError("an episode of this environment may never end: max_episode_steps must be a number")
    for first in range(0, count, envs):
        yield from _round(env, act, first, min(envs, count - first), seed)


def _round(env: Core, act: Act, first: int, count: int, seed: int) -> Iterator[PlayStep]:
    def own(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value[:count] for name, value in values.items()}

    observation, metrics = env.reset(seed=seed + first)
    running = torch.ones(count, dtype=torch.bool, device=env.device)
    none = torch.zeros_like(running)
    step = 0
    yield PlayStep(
        first,
        step,
        own(observation),
        None,
        torch.zeros(count, device=env.device),
        own(metrics),
        running,
        none,
        none,
        False,
    )
    while bool(running.any()):
        action = act(observation)
        result = env.step(action)
        observation = result.observation
        step += 1
        terminated, truncated = (running & flag[:count] for flag in (result.terminated, result.truncated))
        goes_on = running & ~(terminated | truncated)
        yield PlayStep(
            first,
            step,
            own(observation),
            torch.clamp(action[:count], env.action_low, env.action_high),
            result.reward[:count],
            own(result.metrics),
            running,
            terminated,
            truncated,
            not bool(goes_on.any()),
        )
        running = goes_on
