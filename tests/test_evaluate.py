"""Evaluation: the figures, the single episodes, the map and the picture."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from genesis_gym.learning.config.seeds import EVALUATION_SEED
from genesis_gym.learning.evaluation.episodes import episodes
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.evaluation.result import EvaluationResult, describe, success_by_region, wilson_interval
from genesis_gym.learning.report.plots import evaluation_panels, save_picture


def steady(observation: dict[str, torch.Tensor]) -> torch.Tensor:
    """The arm swings to its left and stretches, whatever it sees."""
    return torch.tensor([0.5, 0.3, 0.0, 0.3, 0.0, 0.0, 0.0]).expand(len(observation["policy"]), 7)


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
    for count in range(1, 40):
        for successes in range(count + 1):
            low, high = wilson_interval(successes, count)
            assert 0 <= low <= successes / count <= high <= 1


def test_figures_and_map_of_a_known_policy(core, monkeypatch) -> None:
    """A policy that does nothing succeeds where the target is near already: known without the evaluation."""
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


def test_each_episode_is_the_same_for_any_number_of_environments(make_core) -> None:
    few, many = (evaluate_policy(make_core(num_envs), steady, 12).records for num_envs in (8, 64))
    assert few == many


def test_a_faulty_episode_fails_with_its_last_good_distance(core) -> None:
    _, metrics = core.reset(seed=EVALUATION_SEED)

    def act(observation: dict[str, torch.Tensor]) -> torch.Tensor:
        action = steady(observation).clone()
        action[3] = math.nan
        return action

    result = evaluate_policy(core, act, 8)
    records = result.records
    assert not records.success[3] and records.length[3] == 1 and records.reason[3] == "fault"
    assert records.final_distance[3] == metrics["distance_to_target"][3].item()
    sound = [reward for number, reward in enumerate(records.reward) if number != 3]
    assert records.reward[3] is None and result.faults == 1
    assert result.mean_reward == pytest.approx(np.mean(sound))
    assert describe(result)["return"].endswith("; 1 of 8 episodes were faulty and have none")


def test_no_return_is_made_of_faulty_episodes(core, tmp_path) -> None:
    """Where rewards are negative, a policy that is not finite would have the best return of all."""
    result = evaluate_policy(core, lambda observation: torch.full((8, 7), math.nan), 8)
    assert result.mean_reward is None and result.std_reward is None and result.success_rate == 0.0
    assert (result.faults, result.reasons) == (8, {"fault": 1.0})
    assert describe(result)["return"] == "8 of 8 episodes were faulty and have none"
    text = json.dumps(dataclasses.asdict(result))
    assert TypeAdapter(EvaluationResult).validate_json(text) == result
    assert evaluation_panels(result)


def test_reasons_of_ends_are_shares(core, monkeypatch) -> None:
    monkeypatch.setattr(core.task, "tolerance", 0.3)
    result = evaluate_policy(core, steady, 16)
    assert result.reasons.keys() <= {"success", "time_limit"} and sum(result.reasons.values()) == pytest.approx(1)
    assert result.reasons["success"] == result.success_rate
    assert list(result.records.reason).count("success") == sum(result.records.success)
    assert f"success {result.success_rate:.0%}" in describe(result)["episodes ended by"]


def test_a_round_ends_with_its_own_episodes(core, monkeypatch) -> None:
    """Environments that play none of them are not waited for."""
    monkeypatch.setattr(core.task, "tolerance", 0.3)
    lengths = evaluate_policy(core, steady, 8).records.length
    shortest = min(range(8), key=lengths.__getitem__)
    assert lengths[shortest] < max(lengths)
    core.reset()
    steps = list(episodes(core, steady, 1, EVALUATION_SEED + shortest))
    assert len(steps) == lengths[shortest] + 1 and steps[-1].last


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
