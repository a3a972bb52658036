"""From the groups of a task to the observation: scaled, noisy, clipped and concatenated."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from genesis_gym.core.arguments import check_parts
from genesis_gym.core.result import Observation
from genesis_gym.errors import ArgumentError, check_choice, is_number, safe_repr
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.tasks import Group, Task
from genesis_gym.world import Component, Property

#: The group that only a critic sees, without noise.
CRITIC = "critic"


class Observations(Component):
    """Makes the observation of every step.

    Attributes:
        layout: Group → name of each part → its place; empty for a group that is one tensor.
    """

    def __init__(
        self, task: Task, groups: Mapping[str, Group], observation_parts: Mapping[str, int] | None
    ) -> None:
        """Infer the layout.

        Args:
            task: The task, which declares noise, scale and clip of parts.
            groups: An example of what it gives.
            observation_parts: Name → size of the parts of the first group, in this order, so that several tasks
                can share one policy; a part that the task lacks is zero. None for the task's own.

        Raises:
            ArgumentError: A declaration names no part, or `observation_parts` lacks a part.
        """
        self._task = task
        self._num_envs, self._device = task.world.num_envs, task.world.device
        sizes = {
            group: {} if isinstance(parts, torch.Tensor) else {n: p.shape[-1] for n, p in parts.items()}
            for group, parts in groups.items()
        }
        if observation_parts is not None:
            first = next(iter(sizes))
            sizes[first] = check_parts(observation_parts, sizes[first])
        self._sizes = sizes
        self.layout = {group: _places(parts) for group, parts in sizes.items()}
        self._check_declarations(task)
        self._noise = {
            group: self._each(group, task.noise, 0.0)
            for group in groups
            if group != CRITIC and any(name in task.noise for name in sizes[group])
        }
        self._scale = {
            group: self._each(group, task.scale, 1.0)
            for group in groups
            if any(name in task.scale for name in sizes[group])
        }
        clip = task.clip if isinstance(task.clip, Mapping) else {}
        default = math.inf if isinstance(task.clip, Mapping) else float(task.clip)
        self._clip = {group: self._each(group, clip, default) for group in groups if sizes[group]}
        self._bound = {group: default for group in groups if not any(name in clip for name in sizes[group])}
        self._no_total = task.world.zeros()
        self._images = {
            group: (tuple(image.shape[1:]), image.dtype)
            for group, image in groups.items()
            if isinstance(image, torch.Tensor)
        }

    @property
    def bounds(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Group → least and greatest values, of the group's shape and dtype."""
        bounds = {group: (-clip, clip.clone()) for group, clip in self._clip.items()}
        for group, (shape, dtype) in self._images.items():
            low, high = (0, 255) if dtype == torch.uint8 else (-math.inf, math.inf)
            bounds[group] = torch.full(shape, low, dtype=dtype), torch.full(shape, high, dtype=dtype)
        return {group: bounds[group] for group in self.layout}

    def read(self, groups: Mapping[str, Group], rng: EnvRandom) -> tuple[Observation, torch.Tensor]:
        """Make the observation of the present state.

        Args:
            groups: What the task gives.
            rng: Random numbers of this step.

        Returns:
            The observation, which nobody else holds, and for each environment a number that is finite only if all
            of its observation is, before it is clipped.
        """
        observation, total = {}, self._no_total
        for group, parts in groups.items():
            if isinstance(parts, torch.Tensor):
                observation[group] = parts.clone()
                if parts.is_floating_point():
                    total = total + parts.flatten(1).sum(-1)
                continue
            joined = self._join(group, parts, rng)
            total = total + joined.sum(-1)
            observation[group] = self._clipped(group, joined)
        return observation, total

    def properties(self) -> dict[str, Property]:
        """Standard deviation of the noise of each part that a policy sees, in the part's unit."""
        groups: dict[str, list[str]] = {}
        for group, parts in self.layout.items():
            for name in parts if group != CRITIC else ():
                groups.setdefault(name, []).append(group)
        return {f"noise.{name}": self._noise_of(name, places) for name, places in groups.items()}

    def _noise_of(self, name: str, groups: list[str]) -> Property:
        """Noise of a part in all groups that have it."""

        def write(deviation: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
            for group in groups:
                noise = self._noise[group].expand(self._num_envs, -1).clone()
                noise[:, self.layout[group][name]] = deviation[:, None]
                self._noise[group] = noise

        def prepare(greatest: float) -> None:
            for group in groups:
                noise = self._noise.setdefault(group, self._each(group, self._task.noise, 0.0))
                self._noise[group] = noise.expand(self._num_envs, -1).clone()

        return Property(write=write, nominal=0.0, low=0.0, prepare=prepare)

    def _join(self, group: str, parts: Mapping[str, torch.Tensor], rng: EnvRandom) -> torch.Tensor:
        """The parts of a group, noisy and scaled, in one tensor."""
        joined = torch.cat(
            [
                parts[name] if name in parts else torch.zeros(self._num_envs, size, device=self._device)
                for name, size in self._sizes[group].items()
            ],
            dim=-1,
        ).float()
        if group in self._noise:
            joined = joined + self._noise[group] * rng.normal(f"{group} noise", joined.shape[-1])
        if group in self._scale:
            joined = joined * self._scale[group]
        return joined

    def _clipped(self, group: str, joined: torch.Tensor) -> torch.Tensor:
        bound = self._bound.get(group)  # of all parts
        if bound is None:
            return torch.clamp(joined, -self._clip[group], self._clip[group])
        return joined if bound == math.inf else joined.clamp(-bound, bound)

    def _each(self, group: str, declared: Mapping[str, float], default: float) -> torch.Tensor:
        """A number for each element of a group, `(n,)`."""
        values = [declared.get(name, default) for name, size in self._sizes[group].items() for _ in range(size)]
        return torch.tensor(values, dtype=torch.float32, device=self._device)

    def _check_declarations(self, task: Task) -> None:
        shown = {name for parts in self._sizes.values() for name in parts}
        names = sorted(shown | set(getattr(task, "goal_parts", ())))  # which may be left out
        for what in ("noise", "scale", "clip"):
            declared = getattr(task, what)
            if what == "clip" and not isinstance(declared, Mapping):
                if not is_number(declared) or not declared > 0:
                    raise ArgumentError(f"clip={safe_repr(declared)} is not allowed; it must be a number above 0")
                continue
            for name, value in declared.items():
                check_choice(f"{what} of {type(task).__name__}: part", name, names)
                if not is_number(value) or value < 0:
                    raise ArgumentError(f"{what}: {name}={safe_repr(value)} is not allowed; it must be at least 0")


def _places(sizes: Mapping[str, int]) -> dict[str, slice]:
    """Where each part lies."""
    places, end = {}, 0
    for name, size in sizes.items():
        places[name] = slice(end, end + size)
        end += size
    return places
