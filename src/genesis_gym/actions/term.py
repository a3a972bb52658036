"""The protocol of action terms, and their concatenation."""

from __future__ import annotations

from itertools import accumulate

import torch

from genesis_gym.errors import ArgumentError, safe_repr
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.world import Component, Property, World


class ActionTerm(Component):
    """A share of a task's action, and what it does to the world.

    Attributes:
        size: Numbers in it.
        low: Least values, `(size,)`; -1 unless set.
        high: Greatest values, `(size,)`; 1 unless set. What exceeds the bounds is clipped.
        action: The latest one, within the bounds, `(num_envs, size)`.
    """

    size: int

    def __init__(self, world: World, size: int) -> None:
        """Allocate the action.

        Args:
            world: The world that it acts in.
            size: Numbers in it.
        """
        self.size = size
        self.low = -torch.ones(size, device=world.device, dtype=torch.float32)
        self.high = torch.ones(size, device=world.device, dtype=torch.float32)
        self.action = world.zeros(size)
        self._previous = self.action

    @property
    def change(self) -> torch.Tensor:
        """How much the latest action differs from the one before, `(num_envs, size)`."""
        return self.action - self._previous

    @property
    def neutral(self) -> torch.Tensor:
        """The action that asks for nothing, `(num_envs, size)`: zero unless overridden.

        Delays are filled with it, actions that are not finite are replaced by it, and environments that wait for
        their reset take it.
        """
        return torch.zeros_like(self.action)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget the past of some environments. Call super first."""
        self.action = torch.where(envs[:, None], self.neutral, self.action)
        self._previous = torch.where(envs[:, None], self.action, self._previous)

    def process(self, action: torch.Tensor) -> None:
        """Take an action, once in a control step. Call super first.

        Args:
            action: Within the bounds, finite, `(num_envs, size)`.
        """
        self._previous, self.action = self.action, action

    def apply(self) -> None:
        """Act on the world; called before every physics step."""


class Actions(Component):
    """The terms of a task, concatenated in the order in which they were added.

    Attributes:
        terms: Name → term.
        size: Numbers in the whole action.
        action: What the policy chose, within the bounds, `(num_envs, size)`.
    """

    def __init__(self, world: World) -> None:
        """Begin without terms."""
        self.terms: dict[str, ActionTerm] = {}
        self._places: list[tuple[ActionTerm, slice]] = []
        self.action = world.zeros(0)
        self._world = world
        self._latency = torch.zeros(world.num_envs, dtype=torch.int64, device=world.device)
        self._late = world.zeros(0)[None]

    @property
    def size(self) -> int:
        """Numbers in the whole action."""
        return sum(term.size for term in self.terms.values())

    @property
    def low(self) -> torch.Tensor:
        """Least values, `(size,)`."""
        return torch.cat([term.low for term in self.terms.values()])

    @property
    def high(self) -> torch.Tensor:
        """Greatest values, `(size,)`."""
        return torch.cat([term.high for term in self.terms.values()])

    @property
    def neutral(self) -> torch.Tensor:
        """The action that asks for nothing, `(num_envs, size)`."""
        return torch.cat([term.neutral for term in self.terms.values()], dim=-1)

    def add(self, term: ActionTerm, name: str) -> None:
        """Add a term.

        Raises:
            ArgumentError: The name is taken.
        """
        if name in self.terms:
            raise ArgumentError(f"name={safe_repr(name)} is taken; the action has {', '.join(self.terms)}")
        self.terms[name] = term
        starts = accumulate((each.size for each in self.terms.values()), initial=0)
        self._places = [
            (each, slice(start, start + each.size))
            for each, start in zip(self.terms.values(), starts, strict=False)
            if each.size
        ]
        self.action = self._world.zeros(self.size)
        self._late = self.action[None]

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget the past of some environments."""
        neutral = self.neutral
        self.action = torch.where(envs[:, None], neutral, self.action)
        self._late = torch.where(envs[:, None], neutral, self._late)

    def process(self, action: torch.Tensor) -> None:
        """Hand an action to the terms, as late as the latency has it.

        Args:
            action: Within the bounds, finite, `(num_envs, size)`.
        """
        self.action = action
        if len(self._late) > 1:
            self._late = torch.cat([action[None], self._late[:-1]])
            index = self._latency.clamp(0, len(self._late) - 1)  # a state may come from a stranger
            action = self._late.gather(0, index[None, :, None].expand(1, *action.shape))[0]
        for term, place in self._places:
            term.process(action[:, place])

    def apply(self) -> None:
        """Let every term act on the world; called before every physics step."""
        for term in self.terms.values():
            term.apply()

    def properties(self) -> dict[str, Property]:
        """Latency of the actions, in control steps."""

        def write(latency: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
            self._latency = latency.long()

        def prepare(greatest: float) -> None:
            self._late = self.action.expand(1 + int(greatest), -1, -1).clone()

        return {"action_latency": Property(write=write, nominal=0.0, integer=True, prepare=prepare)}
