"""Domain randomisation: an open mapping from properties of components to ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.variation.ranges import Ranges
from genesis_gym.world import Component, Part, Property
from genesis_gym.world.component import components


class Randomization(Component):
    """Draws properties anew at each reset of an environment, uniformly and from its own seed.

    Attributes:
        values: Component and property → what was drawn, `(num_envs,)` or `(num_envs, size)`.
    """

    def __init__(self, ranges: Ranges, root: Component, observation: Component) -> None:
        """Find the properties.

        Args:
            ranges: What `check_ranges` returned.
            root: The task, started.
            observation: What makes its observations.

        Raises:
            ArgumentError: No component has a property of that name, or a range is out of bounds.
        """
        self.values: dict[str, torch.Tensor] = {}
        there = [
            (label, name, found)
            for label, part in _labelled([*components(root).values(), observation])
            for name, found in part.properties().items()
        ]
        self._properties: list[tuple[str, str, Property, float, float]] = []
        for given, (low, high) in ranges.items():
            matches = [entry for entry in there if given in (entry[1], f"{entry[0]}.{entry[1]}")]
            if not matches:
                names = sorted({*(name for _, name, _ in there), *(f"{label}.{name}" for label, name, _ in there)})
                check_choice("randomization", given, names)
            for label, name, found in matches:
                if not found.low <= low <= high <= found.high:
                    raise ArgumentError(
                        f"randomization: {given}=({low:g}, {high:g}) is not allowed; it must lie between "
                        f"{found.low:g} and {found.high:g}"
                    )
                if any(f"{label}.{name}" == taken for _, taken, *_ in self._properties):
                    raise ArgumentError(
                        f"randomization: {given} varies {label}.{name}, which another name varies too"
                    )
                found.prepare(high)
                self._properties.append((given, f"{label}.{name}", found, low, high))

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Draw and set the properties of some environments, which the scene has just reset."""
        for _, name, found, low, high in self._properties:
            drawn = rng.uniform(name, low, high + found.integer, found.size)
            if found.integer:
                drawn = drawn.floor().clamp(max=high)
            mask = envs if drawn.ndim == 1 else envs[:, None]
            value = self.values[name] = torch.where(mask, drawn, self.values.get(name, drawn))
            found.write(value, envs, rng)

    @property
    def metrics(self) -> dict[str, torch.Tensor]:
        """What each environment drew, by the names that were given; of the first of several components."""
        first: dict[str, torch.Tensor] = {}
        for given, name, *_ in self._properties:
            first.setdefault(f"randomization/{given}", self.values[name])
        return first


def _labelled(parts: Sequence[Component]) -> Iterator[tuple[str, Component]]:
    """Components and what each is called in the names of its properties; the second of a class is `…_2`."""
    taken: Counter[str] = Counter()
    for part in parts:
        label = type(part).__name__.lower()
        if isinstance(part, Part) and part.name is not None:
            label = part.name
        taken[label] += 1
        yield label if taken[label] == 1 else f"{label}_{taken[label]}", part
