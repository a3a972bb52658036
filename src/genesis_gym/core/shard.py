"""The environments of one process of a `ShardedEnv`, and the tensors that processes exchange."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from genesis_gym.core.env import BatchedEnv

#: Attributes of `BatchedEnv` that are read in every process.
READABLE = ("observation", "neutral_action", "episode_steps", "fault_counts", "difficulty")

#: Name → tensor `(num_envs, ...)` or nested dictionary.
Tensors = dict[str, Any]


class Shard:
    """The environments of one process, and the commands that they follow."""

    def __init__(self, env: BatchedEnv) -> None:
        """Wrap a batched environment.

        Args:
            env: It is this object's own.
        """
        self.env = env
        self._evaluations: list[AbstractContextManager[None]] = []

    def run(self, command: str, arguments: Sequence[Any], inputs: Tensors) -> Any:
        """Follow a command.

        Args:
            command: Name of one of the methods below.
            arguments: Its arguments.
            inputs: Its tensors by name, `(num_envs, ...)`.

        Returns:
            Tensors, bytes, or None.
        """
        return getattr(self, command)(*arguments, **inputs)

    def step(self, action: torch.Tensor) -> Tensors:
        """Take a step."""
        return self.env.step(action)._asdict()

    def reset(
        self,
        envs: torch.Tensor | None = None,
        seeds: torch.Tensor | None = None,
        seeded: torch.Tensor | None = None,
    ) -> Tensors:
        """Begin episodes; without `seeds` no environment gets one."""
        seed: list[int | None] | None = None
        if seeds is not None and seeded is not None:
            pairs = zip(seeds.tolist(), seeded.tolist(), strict=True)
            seed = [value if given else None for value, given in pairs]
        observation, metrics = self.env.reset(envs, seed=seed)
        return {"observation": observation, "metrics": metrics}

    def read(self, name: str) -> Tensors:
        """Read one of the attributes `READABLE`."""
        return {name: getattr(self.env, name)}

    def set_episode_steps(self, episode_steps: torch.Tensor) -> None:
        """Set the clocks."""
        self.env.episode_steps = episode_steps

    def randomize_episode_length(self) -> None:
        """Set the clocks at random."""
        self.env.randomize_episode_length()

    def increase_difficulty(self) -> None:
        """Take a step of the curriculum."""
        self.env.increase_difficulty()

    def begin_evaluation(self) -> None:
        """Enter `BatchedEnv.evaluation_mode`."""
        evaluation = self.env.evaluation_mode()
        evaluation.__enter__()
        self._evaluations.append(evaluation)

    def end_evaluation(self) -> None:
        """Leave it."""
        self._evaluations.pop().__exit__(None, None, None)

    def state_dict(self) -> bytes:
        """The state, pickled."""
        return pickle.dumps(self.env.state_dict())

    def load_state_dict(self, state: bytes) -> None:
        """Continue from what `state_dict` gave."""
        self.env.load_state_dict(pickle.loads(state))


def shared_tensors(env: BatchedEnv) -> Tensors:
    """Make shared memory for all that commands take and give; an episode is begun to learn what metrics there are.

    Args:
        env: The environments.

    Returns:
        Name → tensor `(num_envs, ...)`, or nested dictionary.
    """
    observation, metrics = env.reset()
    flags = torch.zeros(env.num_envs, dtype=torch.bool)
    examples = {name: getattr(env, name) for name in READABLE} | {
        "action": torch.zeros(env.num_envs, env.action_dim),
        "envs": flags,
        "seeds": torch.zeros(env.num_envs, dtype=torch.int64),
        "seeded": flags,
        "observation": observation,
        "reward": torch.zeros(env.num_envs),
        "terminated": flags,
        "truncated": flags,
        "metrics": metrics,
    }
    return {name: _share(value) for name, value in examples.items()}


def write(shared: Tensors, result: Tensors) -> None:
    """Copy the result of a command into shared memory.

    Args:
        shared: What `shared_tensors` gave.
        result: Some of it.
    """
    for name, value in result.items():
        if isinstance(value, dict):
            write(shared[name], value)
        else:
            shared[name].copy_(value)


def join(parts: Sequence[Any]) -> Any:
    """Concatenate the results of several processes by environment.

    Args:
        parts: Tensors, or dictionaries of which the later may have more names than the first.

    Returns:
        The same with the names of the first, in tensors that nobody else holds; anything else as a list.
    """
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(list(parts))
    if isinstance(parts[0], dict):
        return {name: join([part[name] for part in parts]) for name in parts[0]}
    return list(parts)


def _share(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _share(part) for name, part in value.items()}
    return value.clone().share_memory_()
