"""One protocol for everything with memory: what `nn.Module` is to torch.

Robots, objects, action terms, sensors, commands, pushes and tasks are components. A component's state is found by
walking its attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from genesis_gym.runtime.random import EnvRandom
from genesis_gym.runtime.state import Stateful

#: Values, the environments to write them to, and the episode's random numbers.
Write = Callable[[torch.Tensor, torch.Tensor, EnvRandom], None]


@dataclass(frozen=True, kw_only=True)
class Property:
    """A quantity that may differ between environments, and how to set it.

    Attributes:
        write: Called with the drawn values, `(num_envs,)` or `(num_envs, size)`, the mask of the environments that
            begin an episode, and the episode's random numbers.
        nominal: What a drawn value is when nothing varies: 1 for a scale, 0 for an offset.
        size: Numbers that are drawn for each environment; None for one, given as `(num_envs,)`.
        low: Least value that may be drawn.
        high: Greatest value that may be drawn.
        integer: Whether whole numbers are drawn.
        prepare: Called once with the greatest value of the range, before the first episode.
    """

    write: Write
    nominal: float = 1.0
    size: int | None = None
    low: float = -math.inf
    high: float = math.inf
    integer: bool = False
    prepare: Callable[[float], None] = lambda greatest: None


class Component(Stateful):
    """A part of a task with memory.

    Hooks, each called by the environment for every component of a task: `start` once after the scene is built and
    `update` once in a control step, children before parents; `reset` at the beginning of episodes, parents before
    children, so that a sensor sees where its task has placed things.
    """

    def start(self) -> None:
        """Allocate what needs the built scene."""

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Begin an episode in some environments.

        Args:
            envs: bool mask `(num_envs,)`. Other environments must not change.
            rng: Random numbers of their new episodes.
        """

    def update(self, rng: EnvRandom) -> None:
        """Take note of a control step, after its physics and before its evaluation.

        Args:
            rng: Random numbers of this step.
        """

    def properties(self) -> dict[str, Property]:
        """What of it may be randomised, by name; called after `start`."""
        return {}


def components(root: Component) -> dict[str, Component]:
    """Every component below and including `root`, once each, children before parents.

    Returns:
        Path → component: attributes and places in containers, such as `command` or `actions.terms.arm`; empty for
        the root.
    """
    found: dict[str, Component] = {}
    seen: set[int] = set()

    def visit(value: Any, *path: Any) -> None:
        if isinstance(value, Stateful):
            if id(value) not in seen:
                seen.add(id(value))
                for name, child in value._state_items():
                    visit(child, *path, name)
                if isinstance(value, Component):
                    found[".".join(map(str, path))] = value
        elif isinstance(value, (Mapping, list, tuple)):
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            for place, child in items:
                visit(child, *path, place)

    visit(root)
    return found
