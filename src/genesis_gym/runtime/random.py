"""Random numbers that depend on (seed, episode, name) of a row and on nothing else.

A counter-based generator hashes its arguments instead of keeping a state, so a row draws the same numbers
whatever the number of rows, whatever the other rows do and in whatever order names are drawn.
"""

from __future__ import annotations

import zlib

import torch

# SplitMix64: Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with the
# finaliser constants of the reference implementation (Vigna, splitmix64.c), as signed 64-bit integers.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64


def _shift_right(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift: torch shifts int64 arithmetically."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """SplitMix64's finaliser: a bijection of 64-bit integers that spreads every input bit."""
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


class RowRandom:
    """One independent random sequence for each row.

    Attributes:
        seeds: Seed of each row, int64 `(rows,)`.
        episodes: Episode number of each row since it was seeded, int64 `(rows,)`.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.seeds = torch.zeros(rows, dtype=torch.int64, device=device)
        self.episodes = torch.zeros(rows, dtype=torch.int64, device=device)
        self._mixed_seeds = torch.zeros(rows, dtype=torch.int64, device=device)
        self._keys = torch.zeros(rows, dtype=torch.int64, device=device)

    def seed(self, seeds: torch.Tensor, rows: torch.Tensor) -> None:
        """Give some rows a seed and put them before their first episode.

        Args:
            seeds: int64 `(rows,)`; entries outside the mask are ignored.
            rows: bool mask `(rows,)`.
        """
        self.seeds = torch.where(rows, seeds, self.seeds)
        self.episodes = torch.where(rows, -1, self.episodes)
        self._mixed_seeds = _mix(self.seeds + _GOLDEN)

    def next_episode(self, rows: torch.Tensor) -> None:
        """Advance some rows to their next episode.

        Args:
            rows: bool mask `(rows,)`.
        """
        self.episodes = self.episodes + rows
        self._keys = _mix(self._mixed_seeds ^ (self.episodes * _GOLDEN + 1))

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        return {"seeds": self.seeds, "episodes": self.episodes}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave.

        Args:
            state: The tensors, of as many rows as this.
        """
        everywhere = torch.ones_like(self.episodes, dtype=torch.bool)
        self.seed(state["seeds"].to(self.seeds), everywhere)
        self.episodes = state["episodes"].to(self.episodes)
        self.next_episode(~everywhere)

    def uniform(self, name: str, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """Draw uniformly from a box, for every row.

        Args:
            name: What is drawn. Different names draw independent numbers; drawing one name twice in an
                episode gives the same numbers twice.
            low: Lower bounds, float `(k,)`.
            high: Upper bounds, float `(k,)`.

        Returns:
            float32 `(rows, k)` in [low, high].
        """
        return low + (high - low) * _unit(self._keys, name, low.numel())

    def normal(self, name: str, count: int, step: torch.Tensor) -> torch.Tensor:
        """Draw from the standard normal distribution, anew at each step of an episode, for every row.

        Args:
            name: What is drawn.
            count: How many numbers for each row.
            step: Step within the episode, int64 `(rows,)`.

        Returns:
            float32 `(rows, count)`, by the transform of Box & Muller, 1958.
        """
        unit = _unit(_mix(self._keys ^ (step * _GOLDEN + 1)), name, 2 * count)
        radius = torch.sqrt(-2.0 * torch.log(unit[:, :count] + 2.0**-24))  # the logarithm of 0 is kept out
        return radius * torch.cos(2.0 * torch.pi * unit[:, count:])


def _unit(keys: torch.Tensor, name: str, count: int) -> torch.Tensor:
    """Uniform numbers in [0, 1), float32 `(rows, count)`."""
    first = zlib.crc32(name.encode()) << 16  # each name has its own stretch of a row's SplitMix64 sequence
    counter = torch.arange(first, first + count, device=keys.device) * _GOLDEN
    bits = _mix(keys[:, None] + counter)
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24  # 24 bits fill a float32's mantissa
