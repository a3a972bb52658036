"""The counter-based generator: its independence is what every reproducibility promise rests on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genesis_gym.runtime.random import EpisodeRandom

CPU = torch.device("cpu")
UNIT = torch.zeros(3), torch.ones(3)


def generator(seeds: list[int]) -> EpisodeRandom:
    random = EpisodeRandom(len(seeds), CPU)
    everywhere = torch.ones(len(seeds), dtype=torch.bool)
    random.seed(torch.tensor(seeds), everywhere)
    random.next_episode(everywhere)
    return random


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(0, 5))
def test_an_environment_depends_on_its_own_seed_and_episode_only(seeds: list[int], episodes: int) -> None:
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


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(0, 10_000))
def test_a_step_depends_on_its_own_seed_episode_and_number_only(seeds: list[int], step: int) -> None:
    together = generator(seeds).at(torch.full((len(seeds),), step)).uniform("x", *UNIT)
    for env, seed in enumerate(seeds):
        assert torch.equal(generator([seed]).at(torch.tensor([step])).uniform("x", *UNIT)[0], together[env])


def test_steps_draw_independent_numbers() -> None:
    random = generator([0, 0, 1])
    steps = [random.at(torch.full((3,), step)) for step in range(200)]
    drawn = torch.stack([*(at.uniform("x", *UNIT) for at in steps), random.uniform("x", *UNIT)])
    assert torch.equal(drawn[:, 0], drawn[:, 1]), "equal seeds, equal numbers"
    assert drawn[:, 1:].unique().numel() == drawn[:, 1:].numel(), "and no step's are another's, nor the episode's"
    each = random.at(torch.tensor([5, 7, 9])).uniform("x", *UNIT)
    assert torch.equal(each, torch.stack([drawn[5, 0], drawn[7, 1], drawn[9, 2]])), "each has a step of its own"
    random.next_episode(torch.tensor([True, True, True]))
    assert not torch.isin(random.at(torch.full((3,), 5)).uniform("x", *UNIT), drawn).any()


def test_steps_are_uncorrelated() -> None:
    n = 20_000
    random = generator([3])
    drawn = torch.cat(
        [random.at(torch.tensor([step])).uniform("x", torch.zeros(2), torch.ones(2)) for step in range(n)]
    )
    lagged = torch.corrcoef(torch.stack([drawn[:-1, 0], drawn[1:, 0], drawn[:-1, 1]]).double())
    assert (lagged - torch.eye(3)).abs().max() < 5 / n**0.5
    assert (drawn.mean(0) - 0.5).abs().max() < 5 * (1 / 12 / n) ** 0.5


def test_normal_numbers_are_normal() -> None:
    drawn = generator(list(range(20_000))).normal("x", 4).double()
    assert torch.isfinite(drawn).all() and drawn.mean().abs() < 5 / 80_000**0.5
    assert abs(drawn.std() - 1) < 5 / 160_000**0.5
    assert (drawn.abs() > 1.96).double().mean().item() == pytest.approx(0.05, abs=0.005)
    assert (torch.corrcoef(drawn.T) - torch.eye(4)).abs().max() < 5 / 20_000**0.5
