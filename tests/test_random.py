"""The counter-based generator: its independence is what every reproducibility promise rests on."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from genesis_gym.runtime import EpisodeRandom

CPU = torch.device("cpu")
UNIT = torch.zeros(3), torch.ones(3)


def generator(seeds: list[int]) -> EpisodeRandom:
    random = EpisodeRandom(len(seeds), CPU)
    everywhere = torch.ones(len(seeds), dtype=torch.bool)
    random.seed(torch.tensor(seeds), everywhere)
    random.next_episode(everywhere)
    return random


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(0, 5))
def test_a_row_depends_on_its_own_seed_and_episode_only(seeds: list[int], episodes: int) -> None:
    together = generator(seeds)
    for _ in range(episodes):
        together.next_episode(torch.ones(len(seeds), dtype=torch.bool))
    drawn = together.uniform("x", *UNIT)
    for env, seed in enumerate(seeds):
        alone = generator([seed])
        for _ in range(episodes):
            alone.next_episode(torch.tensor([True]))
        assert torch.equal(alone.uniform("x", *UNIT)[0], drawn[env])


@given(
    st.integers(0, 2**63 - 1),
    st.floats(-1e3, 1e3, width=32, allow_subnormal=False),
    st.floats(0, 1e3, width=32, allow_subnormal=False),
)
def test_draws_lie_in_their_box(seed: int, low: float, extent: float) -> None:
    lower = torch.full((4,), low)
    drawn = generator([seed]).uniform("x", lower, lower + extent)
    assert drawn.dtype == torch.float32
    assert ((lower <= drawn) & (drawn <= lower + extent)).all()


def test_names_and_episodes_draw_independent_numbers_in_any_order() -> None:
    random = generator([0, 1])
    x, y = random.uniform("x", *UNIT), random.uniform("y", *UNIT)
    assert not (x == y).any()
    assert torch.equal(random.uniform("x", *UNIT), x)
    random.next_episode(torch.tensor([True, False]))
    later = random.uniform("x", *UNIT)
    assert not (later[0] == x[0]).any()
    assert torch.equal(later[1], x[1])


def test_draws_are_uniform_and_uncorrelated_over_consecutive_seeds() -> None:
    """Consecutive seeds, which envs have, are the worst case for a weak hash; bounds are five sigma."""
    n = 100_000
    drawn = generator(list(range(n))).uniform("x", torch.zeros(2), torch.ones(2)).double()
    assert (drawn.mean(0) - 0.5).abs().max() < 5 * (1 / 12 / n) ** 0.5
    assert (drawn.var(0) - 1 / 12).abs().max() < 5 * (1 / 180 / n) ** 0.5
    neighbours = torch.corrcoef(torch.stack([drawn[:-1, 0], drawn[1:, 0], drawn[:-1, 1]]))
    assert (neighbours - torch.eye(3, dtype=torch.float64)).abs().max() < 5 / n**0.5
    counts = torch.histc(drawn[:, 0].float(), bins=16, min=0, max=1)
    assert ((counts - n / 16) ** 2 / (n / 16)).sum() < 45  # chi-square, 15 degrees of freedom, p = 1e-4
