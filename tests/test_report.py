"""The report of a run folder: whole from its files alone, safe whatever they hold."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from genesis_gym.cli import train as cli_train
from genesis_gym.cli.main import main
from genesis_gym.learning.config.train_config import TrainConfig, make_config
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.report import page as report
from genesis_gym.learning.report.facts import RunFacts, command_of
from genesis_gym.learning.report.page import draw_pictures, write_report

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>$\\frac{"""

FACTS = RunFacts(
    started="2026-11-22T13:00:00+00:00",
    device="CPU, 2 cores",
    system="Linux",
    versions={"python": "3.11.7", "torch": "2.13"},
    max_episode_steps=100,
    seconds={"import": 1.0, "training": 8.0},
)


class Page(HTMLParser):
    """Elements of a page, and where they lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attributes:
            if name in ("src", "srcset", "href", "action", "data", "poster"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def assert_harmless(self) -> None:
        assert "script" not in self.tags and "iframe" not in self.tags and "link" not in self.tags
        assert not self.handlers
        assert all(re.match(r"data:(image/svg\+xml|video/mp4);base64,", link) for link in self.links)
        assert "://" not in self.text and "url(" not in self.text and "@import" not in self.text


@pytest.fixture
def bare(tmp_path) -> Path:
    """A folder that holds nothing but the config."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(make_config(num_envs=2).model_dump(mode="json")))
    return folder


@pytest.fixture
def full(bare, core) -> Path:
    """A folder with everything, made by hand."""
    result = evaluate_policy(core, lambda observation: torch.full((8, 7), 0.2), 8)
    (bare / "evaluation.json").write_text(json.dumps(dataclasses.asdict(result)))
    (bare / "run.json").write_text(FACTS.model_dump_json())
    (bare / "policy.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    write_progress(bare, {"reward/distance": [-1.0, -0.5, -0.2], "rollout/success_rate": [1.0, 0.4, 0.8]})
    return bare


def write_progress(folder: Path, columns: dict[str, list[object]]) -> None:
    columns = {"time/total_timesteps": [100, 200, 300], **columns}
    lines = [
        ",".join(f'"{name}"' for name in columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    (folder / "progress.csv").write_text("\n".join(lines))


def test_a_report_needs_nothing_beside_it(full) -> None:
    assert main(["report", str(full)]) == 0
    page = Page(full / "report.html")
    page.assert_harmless()
    assert len([link for link in page.links if link.startswith("data:video")]) == 1
    assert len([link for link in page.links if link.startswith("data:image")]) == 2 * (4 + 1 + 1), "light and dark"
    for said in ("Genesis/FrankaReach-v0", "genesis-gym train", "2.13", "CPU, 2 cores", "8.0 s", "learning_rate"):
        assert said in page.text
    assert 'class="missing"' not in page.text
    for name in ("learning_curve.png", "reward_terms.png", "evaluation.png"):
        assert (full / name).read_bytes().startswith(b"\x89PNG")
    assert not list(full.glob(".*")), "no temporary file is left"


def test_the_same_files_give_the_same_page(full) -> None:
    first = write_report(full).read_bytes()
    assert write_report(full).read_bytes() == first


def test_what_is_missing_is_said(bare, capsys) -> None:
    assert main(["report", str(bare)]) == 0
    assert capsys.readouterr().out.strip() == str(bare / "report.html")
    page = Page(bare / "report.html")
    page.assert_harmless()
    for said in (
        "No evaluation: this folder has no evaluation.json.",
        "No video: this folder has no policy.mp4.",
        "No learning curve: this folder has no progress.csv.",
        "No versions: this folder has no run.json.",
    ):
        assert said in page.text
    assert sorted(path.name for path in bare.iterdir()) == ["config.json", "report.html"]


def test_what_is_damaged_is_said(full, monkeypatch) -> None:
    (full / "evaluation.json").write_text('{"success_rate": 1')
    (full / "run.json").write_text('{"started": 3}')
    (full / "progress.csv").write_text("")
    monkeypatch.setattr(report, "VIDEO_BYTES", 3)
    draw_pictures(full)
    text = write_report(full).read_text()
    for said in (
        "evaluation.json cannot be read",
        "run.json cannot be read",
        "progress.csv holds no metrics",
        "too large for this page",
    ):
        assert said in text


def test_whatever_the_files_hold_appears_escaped(full) -> None:
    config = json.loads((full / "config.json").read_text())
    (full / "config.json").write_text(json.dumps({**config, "preset": HOSTILE, "reward_weights": {HOSTILE: 1.0}}))
    facts = FACTS.model_copy(update={"device": HOSTILE, "versions": {HOSTILE: HOSTILE}, "seconds": {HOSTILE: 1}})
    (full / "run.json").write_text(facts.model_dump_json())
    hostile = HOSTILE.replace('"', "")
    write_progress(full, {f"{group}/{hostile}": [1, 2, 3] for group in ("reward", "curriculum", "eval", "memory")})
    draw_pictures(full)
    page = Page(write_report(full))
    page.assert_harmless()
    assert "<script" not in page.text and "<img src=x" not in page.text
    assert page.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 10


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"rollout/success_rate": ["", "nan", "inf"]},
        {"rollout/ep_rew_mean": [1, "x", 2], "eval/mean_reward": ["", 3, ""], "surprise": [1, 2, 3]},
        {"eval/success_rate": ["", "", 1.0], "curriculum/difficulty": [0, 0.5, 1], "memory/rss_mb": [1, 1, 1]},
    ],
)
def test_columns_may_be_absent_or_empty(bare, columns: dict[str, list[object]]) -> None:
    write_progress(bare, columns)
    draw_pictures(bare)
    page = Page(write_report(bare))
    page.assert_harmless()
    drawn = any(name.startswith(("rollout/ep", "eval", "curriculum")) for name in columns)
    assert bool(page.links) == drawn


def test_a_log_without_steps_draws_nothing(bare) -> None:
    (bare / "progress.csv").write_text("rollout/success_rate,reward/distance\n1,2\n1,2,3\n")
    draw_pictures(bare)
    assert "progress.csv holds no metrics" in write_report(bare).read_text()


def test_curves_begin_when_every_environment_had_a_whole_episode(full) -> None:
    """Before, only quick episodes have ended."""
    progress, _ = report._read_progress(full, make_config(num_envs=2), FACTS)
    assert progress["rollout/success_rate"][0].tolist() == [200, 300]
    assert progress["reward/distance"][0].tolist() == [100, 200, 300]


@pytest.mark.parametrize(
    "config",
    [
        make_config(),
        make_config(algorithm="SAC", seed=7, timesteps=1000, hyperparameters={"net_arch": [32], "gamma": 0.5}),
        make_config(num_envs=3, hyperparameters={"learning_rate": 1e-5, "normalize_reward": False}),
        make_config(algorithm="TD3", preset="guide", hyperparameters={"net_arch": [8, 8]}),
        make_config(algorithm="SAC", hyperparameters={"target_entropy": -3.5}),
        make_config(algorithm="SAC", preset="her", goal=True, reward="sparse", hyperparameters={"ent_coef": 0.2}),
        make_config(control_mode="ee_delta_position"),
        make_config(curriculum={}, stop_at_success=0.9, reward_weights={"velocity": 5.0, "action": -1e-3}),
        make_config(
            curriculum={"initial": 0.2, "window": 3},
            randomization={"payload": (0.0, 0.5), "action_latency": (0, 2)},
            observation_parts={"joint_position": 7, "joint_velocity": 7, "target": 3, "to_target": 3},
            evaluate_every=1000,
            stop_at_reward=-3.5,
        ),
    ],
)
def test_the_command_reproduces_the_config(monkeypatch, tmp_path, config: TrainConfig) -> None:
    monkeypatch.chdir(tmp_path)  # where it makes a run folder
    trained = []
    monkeypatch.setattr(cli_train, "_train", lambda config, *_, **__: trained.append(config) or 0)
    program, *words = shlex.split(command_of(config))
    assert program == "genesis-gym" and main(words) == 0
    assert trained == [config]


def test_the_command_names_the_modules_and_the_run_that_it_began_with() -> None:
    """An environment of the user's own is not there without its module."""
    facts = FACTS.model_copy(update={"init_from": "runs/before", "imports": ["my_tasks"]})
    assert command_of(make_config(), facts).endswith("--init-from runs/before --import my_tasks")


def test_the_report_has_reasons_and_faults(full, core) -> None:
    result = evaluate_policy(core, lambda observation: torch.full((8, 7), torch.nan), 8)
    (full / "evaluation.json").write_text(json.dumps(dataclasses.asdict(result)))
    text = write_report(full).read_text()
    assert "fault 100%" in text and "every episode was faulty" in text


def test_the_command_names_only_what_the_preset_does_not() -> None:
    config = make_config(seed=3, hyperparameters={"learning_rate": 1e-3})
    expected = "genesis-gym train --env Genesis/FrankaReach-v0 --algorithm PPO --preset default --seed 3"
    assert command_of(config) == f"{expected} --set learning_rate=0.001"
    hostile = config.model_copy(update={"env": "a'; rm -rf ~"})
    assert shlex.split(command_of(hostile))[3] == "a'; rm -rf ~"
