"""What is in a world: read at most once while nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from genesis_gym.runtime.state import Cache
from genesis_gym.world.component import Component

if TYPE_CHECKING:
    from genesis_gym.world.world import World


class Part(Component):
    """Something in the world. What is read of it is kept until the world changes.

    Attributes:
        name: What it is called.
    """

    name: str | None = None

    def attach(self, world: World, name: str) -> None:
        """Remember where it is."""
        self.name = name
        self._world = world
        self._cache = Cache()
        self._cached_version = -1

    @property
    def world(self) -> World:
        """The world that it is in."""
        return self._world

    def _read(self, name: str, get: Callable[[], torch.Tensor]) -> torch.Tensor:
        """A quantity of every environment, read from the simulator at most once while nothing moves."""
        if self._cached_version != self._world.version:
            self._cache.clear()
            self._cached_version = self._world.version
        value = self._cache.get(name)
        if value is None:
            value = self._cache[name] = self._world.visible(get())
        return value

    def _state_items(self) -> Iterator[tuple[str, Any]]:
        """All but the world, which holds its parts."""
        return ((name, value) for name, value in vars(self).items() if name != "_world")
