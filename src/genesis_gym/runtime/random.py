"""Random numbers that depend on (seed, episode, step, name) of an environment and on nothing else.

A counter-based generator hashes its arguments instead of keeping a state, so an environment draws the same numbers
whatever the number of environments, whatever the others do and in whatever order names are drawn.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import torch

from genesis_gym.runtime.state import Stateful

# SplitMix64: Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with the
# finaliser constants of the reference implementation (Vigna, splitmix64.c), as signed 64-bit integers.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64

#: A number, or one number for each component.
Bound = float | Sequence[float] | torch.Tensor


def _shift_right(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift: torch shifts int64 arithmetically."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """SplitMix64's finaliser: a bijection of 64-bit integers that spreads every input bit."""
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


class EnvRandom(Stateful):
    """The random numbers of one moment of every environment.

    Different names draw independent numbers; one name drawn twice at one moment gives the same numbers twice.
    """

    def __init__(self, keys: torch.Tensor, step: torch.Tensor | None = None, scope: str = "") -> None:
        """Draw from keys.

        Args:
            keys: int64 `(num_envs,)`.
            step: Step that is mixed into them at the first draw, int64 `(num_envs,)`; most steps draw nothing.
            scope: What every name begins with.
        """
        self._keys = keys
        self._step = step
        self._scope = scope

    def of(self, part: str) -> EnvRandom:
        """The numbers of a part of the task: two parts of one class draw the same names, and other numbers.

        Args:
            part: Its path, as `genesis_gym.world.component.components` gives it; empty for the task itself.
        """
        return EnvRandom(self._keys, self._step, f"{part} ") if part else self

    def at(self, step: torch.Tensor) -> EnvRandom:
        """The numbers of one step of the present episodes.

        Args:
            step: Control step within the episode, int64 `(num_envs,)`.

        Returns:
            Their source, independent of that of the episode and of every other step.
        """
        return EnvRandom(self._keys, step)

    def uniform(self, name: str, low: Bound, high: Bound, count: int | None = None) -> torch.Tensor:
        """Draw uniformly, in every environment.

        Args:
            name: What is drawn.
            low: Lower bound: a number, or `(k,)`.
            high: Upper bound, likewise.
            count: How many numbers, where both bounds are one number.

        Returns:
            float32 in [low, high]: `(num_envs, k)`, or `(num_envs, count)`, or `(num_envs,)` for bounds that are
            one number without a count.
        """
        device = self._keys.device
        lower, upper = (torch.as_tensor(bound, dtype=torch.float32, device=device) for bound in (low, high))
        size = max(lower.numel(), upper.numel()) if count is None else count
        drawn = lower + (upper - lower) * self._unit(name, size)
        return drawn[:, 0] if count is None and lower.ndim == upper.ndim == 0 else drawn

    def normal(self, name: str, count: int) -> torch.Tensor:
        """Draw from the standard normal distribution, in every environment.

        Args:
            name: What is drawn.
            count: How many numbers.

        Returns:
            float32 `(num_envs, count)`, by the transform of Box & Muller, 1958.
        """
        unit = self._unit(name, 2 * count)
        radius = torch.sqrt(-2.0 * torch.log(unit[:, :count] + 2.0**-24))  # the logarithm of 0 is kept out
        return radius * torch.cos(2.0 * math.pi * unit[:, count:])

    def _unit(self, name: str, count: int) -> torch.Tensor:
        """Uniform numbers in [0, 1), float32 `(num_envs, count)`."""
        if self._step is not None:
            self._keys, self._step = _mix(self._keys ^ (self._step * _GOLDEN + 1)), None
        # Each name has its own stretch of a SplitMix64 sequence.
        first = zlib.crc32(f"{self._scope}{name}".encode()) << 16
        counter = torch.arange(first, first + count, device=self._keys.device) * _GOLDEN
        bits = _mix(self._keys[:, None] + counter)
        return _shift_right(bits, 40).to(torch.float32) * 2.0**-24  # 24 bits fill a float32's mantissa


class EpisodeRandom(EnvRandom):
    """The random numbers of every environment's present episode; `at` gives those of a step in it.

    Attributes:
        seeds: Seed of each environment, int64 `(num_envs,)`.
        episodes: Episode number of each environment since it was seeded, int64 `(num_envs,)`.
    """

    def __init__(self, num_envs: int, device: torch.device) -> None:
        self.seeds = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.episodes = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._mixed_seeds = torch.zeros(num_envs, dtype=torch.int64, device=device)
        super().__init__(torch.zeros(num_envs, dtype=torch.int64, device=device))

    def seed(self, seeds: torch.Tensor, envs: torch.Tensor) -> None:
        """Give some environments a seed and put them before their first episode.

        Args:
            seeds: int64 `(num_envs,)`; entries outside the mask are ignored.
            envs: bool mask `(num_envs,)`.
        """
        self.seeds = torch.where(envs, seeds, self.seeds)
        self.episodes = torch.where(envs, -1, self.episodes)
        self._mixed_seeds = _mix(self.seeds + _GOLDEN)

    def next_episode(self, envs: torch.Tensor) -> None:
        """Advance some environments to their next episode.

        Args:
            envs: bool mask `(num_envs,)`.
        """
        self.episodes = self.episodes + envs
        self._keys = _mix(self._mixed_seeds ^ (self.episodes * _GOLDEN + 1))
