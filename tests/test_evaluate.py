"""Evaluation: the figures, the single episodes, the map and the picture."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from genesis_gym.learning.evaluation.evaluate import (
    EVALUATION_SEED,
    EvaluationResult,
    describe,
    evaluate_policy,
    success_by_region,
    wilson_interval,
)
from genesis_gym.learning.report.plots import evaluation_panels, save_picture


def steady(observation: torch.Tensor) -> torch.Tensor:
    """The arm swings to its left and stretches, whatever it sees."""
    return torch.tensor([0.5, 0.3, 0.0, 0.3, 0.0, 0.0, 0.0]).expand(len(observation), 7)


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_rate_is_wilsons(successes: int, episodes: int, low: float, high: float) -> None:
    """Values of Newcombe, Statistics in Medicine 17 (1998), 857-872, table I; and their mirror images."""
    assert wilson_interval(successes, episodes) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(episodes - successes, episodes)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_an_interval_stays_within_0_and_1() -> None:
    for episodes in range(1, 40):
        for successes in range(episodes + 1):
            low, high = wilson_interval(successes, episodes)
            assert 0 <= low <= successes / episodes <= high <= 1


def test_figures_and_map_of_a_known_policy(core, monkeypatch) -> None:
    """Who does nothing succeeds where the target is near already, which is known without the evaluation."""
    monkeypatch.setattr(core.task, "tolerance", 0.3)
    near, goals, distances = [], [], []
    for first in (0, 8):
        _, metrics = core.reset(seed=EVALUATION_SEED + first)
        near += (metrics["distance_to_target"] < 0.3).tolist()
        distances += metrics["distance_to_target"].tolist()
        goals += core.task.target.tolist()
    assert 2 < sum(near) < 14

    result = evaluate_policy(core, lambda observation: torch.zeros(8, 7), 16)
    assert list(result.records.success) == near
    assert list(result.records.length) == [1 if n else core.max_episode_steps for n in near]
    assert np.array(result.records.goal) == pytest.approx(np.array(goals))
    assert result.records.final_distance == pytest.approx(distances, abs=1e-2)
    assert result.success_interval == wilson_interval(sum(near), 16)
    assert result.std_episode_length == pytest.approx(np.std(result.records.length))
    assert result.final_distance.median == pytest.approx(np.median(result.records.final_distance))
    assert result.tolerance == 0.3

    regions = result.regions
    assert np.sum(regions.xy_successes) == np.sum(regions.z_successes) == sum(near)
    assert np.sum(regions.xy_episodes) == np.sum(regions.z_episodes) == 16
    for goal, success in zip(goals, near, strict=True):
        x, y = (
            min(np.searchsorted(edges, value, side="right") - 1, len(edges) - 2)
            for edges, value in ((regions.x_edges, goal[0]), (regions.y_edges, goal[1]))
        )
        assert regions.xy_episodes[x][y] >= 1
        assert regions.xy_successes[x][y] >= success


def test_each_episode_is_the_same_for_any_number_of_rows(make_core) -> None:
    few, many = (evaluate_policy(make_core(num_envs), steady, 12).records for num_envs in (8, 64))
    assert few == many


def test_a_faulty_episode_fails_with_its_last_good_distance(core) -> None:
    _, metrics = core.reset(seed=EVALUATION_SEED)

    def act(observation: torch.Tensor) -> torch.Tensor:
        action = steady(observation).clone()
        action[3] = math.nan
        return action

    records = evaluate_policy(core, act, 8).records
    assert not records.success[3] and records.length[3] == 1
    assert records.final_distance[3] == metrics["distance_to_target"][3].item()


def test_a_task_without_a_place_has_no_map(core, monkeypatch) -> None:
    monkeypatch.setattr(core.task, "goal", lambda: None)
    result = evaluate_policy(core, steady, 8)
    assert result.regions is None and result.records.goal is None
    assert [panel.title for panel in evaluation_panels(result)] == ["Final distance", "Episode length"]


def test_regions_count_every_goal_once() -> None:
    goal = np.array([[0.0, 0.0, 0.5], [0.99, 0.0, 0.5], [1.0, 2.0, 0.5], [1.0, 2.0, 0.5]])
    regions = success_by_region(goal, np.array([True, False, True, False]))
    assert regions.x_edges == (0.0, 0.25, 0.5, 0.75, 1.0) and regions.y_edges == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert regions.xy_episodes == ((1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (1, 0, 0, 2))
    assert regions.xy_successes == ((1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 1))
    assert regions.z_edges == pytest.approx((0.495, 0.505)), "goals in one plane are one layer"
    assert regions.z_episodes == (4,) and regions.z_successes == (2,)


def test_an_evaluation_survives_its_file_and_is_drawn(core, tmp_path) -> None:
    result = evaluate_policy(core, steady, 8)
    text = json.dumps(dataclasses.asdict(result))
    reader = TypeAdapter(EvaluationResult)
    assert reader.validate_json(text) == result
    assert result.summary().keys() == json.loads(text).keys() - {"records"}

    damaged = json.loads(text)
    damaged["records"]["goal"].pop()
    with pytest.raises(ValidationError, match="one entry for each episode"):
        reader.validate_python(damaged)

    picture = tmp_path / "evaluation.png"
    save_picture(evaluation_panels(result), picture, columns=2)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_table_names_interval_and_weakest_region(core, monkeypatch) -> None:
    monkeypatch.setattr(core.task, "tolerance", 0.3)
    result = evaluate_policy(core, lambda observation: torch.zeros(8, 7), 8)
    words = describe(result)
    low, high = result.success_interval
    assert words["success rate"] == f"{result.success_rate:.2f}, 95 % CI {low:.2f} to {high:.2f}, 8 episodes"
    assert words["weakest region"].startswith("0 of ")
