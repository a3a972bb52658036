"""Training, evaluation and run folders, on the real simulator."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from rich.console import Console
from stable_baselines3 import PPO

from conftest import ENV_ID, EPISODES
from genesis_gym.cli.main import main
from genesis_gym.errors import ArgumentError, RunFolderError
from genesis_gym.learning.agents.load import load_policy
from genesis_gym.learning.config.presets import PRESETS, find_preset
from genesis_gym.learning.config.seeds import EVALUATION_SEED, MAX_SEED
from genesis_gym.learning.config.train_config import CONFIG_VERSION, make_config, parse_config
from genesis_gym.learning.evaluation.evaluate import evaluate_policy, evaluate_run
from genesis_gym.learning.pipeline import run as pipeline
from genesis_gym.learning.pipeline.run import run_pipeline
from genesis_gym.learning.report.facts import command_of
from genesis_gym.learning.runs.folder import new_run_folder, read_config, write_whole
from genesis_gym.learning.training.train import train


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory) -> tuple[Path, object]:
    """The main job itself: the default preset, seed 0, with a video."""
    folder = new_run_folder(tmp_path_factory.mktemp("runs") / "demo", "demo")
    report = run_pipeline(make_config(), folder, Console(quiet=True), video=True)
    return folder, report


def test_the_demo_learns_to_reach(demo_run) -> None:
    _, report = demo_run
    assert report.evaluation.success_rate >= 0.95
    assert report.evaluation.episodes == 100
    assert report.evaluation.mean_final_distance < 0.06
    assert list(report.seconds) == ["import", "build", "training", "evaluation", "pictures"]


def test_the_run_folder_holds_everything(demo_run) -> None:
    folder, _ = demo_run
    for name in ("config.json", "policy.safetensors", "model.zip", "progress.csv", "evaluation.json"):
        assert (folder / name).stat().st_size > 0
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "policy.mp4").read_bytes()[4:8] == b"ftyp"
    assert not list(folder.glob(".*")), "no temporary file is left"
    assert {"reward/distance", "end/success"} <= set(
        (folder / "progress.csv").read_text().splitlines()[0].split(",")
    )


def test_evaluating_the_folder_gives_the_same_figures(demo_run) -> None:
    """Policy, normaliser and config survive the files, and a scene of other size changes nothing."""
    folder, report = demo_run
    again = evaluate_run(folder, 100)
    assert again.success_rate == report.evaluation.success_rate
    assert again.mean_reward == pytest.approx(report.evaluation.mean_reward, rel=1e-3)
    written = json.loads((folder / "evaluation.json").read_text())
    assert written["success_rate"] == again.success_rate


def test_evaluation_does_not_depend_on_the_number_of_environments(demo_run, make_core) -> None:
    folder, _ = demo_run
    results = []
    for num_envs in (8, 64):
        env = make_core(num_envs)
        results.append(evaluate_policy(env, load_policy(folder, read_config(folder), env), 20))
    assert results[0].success_rate == results[1].success_rate
    assert results[0].mean_episode_length == results[1].mean_episode_length
    assert results[0].mean_reward == pytest.approx(results[1].mean_reward, rel=1e-4)


def test_evaluation_counts_each_rows_first_episode(core) -> None:
    """A policy that does nothing: success is where the target already is, known without the evaluation."""
    _, metrics = core.reset(seed=EVALUATION_SEED)
    near = int((metrics["distance_to_target"] < 0.05).sum())
    result = evaluate_policy(core, lambda observation: torch.zeros(8, 7), 8)
    assert result.success_rate == near / 8
    assert result.mean_episode_length == pytest.approx((100 * (8 - near) + near) / 8)
    assert result.mean_final_distance == pytest.approx(metrics["distance_to_target"].mean().item(), abs=5e-3)


def test_sb3s_archive_acts_as_the_policy_where_it_is_trusted(demo_run, tmp_path, capsys) -> None:
    folder, _ = demo_run
    assert PPO.load(folder / "model.zip", device="cpu").policy is not None
    safe, trusted = evaluate_run(folder, 20), evaluate_run(folder / "model.zip", 20, trust=True)
    assert trusted.records == safe.records

    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "model.zip").write_text("no archive")
    assert main(["evaluate", str(tmp_path / "model.zip"), "--trust"]) == 2
    assert "model.zip cannot be loaded" in capsys.readouterr().err


@pytest.mark.parametrize(("algorithm", "preset"), [(name, preset) for name in PRESETS for preset in PRESETS[name]])
def test_every_preset_trains(tmp_path, algorithm: str, preset: str) -> None:
    """A few steps of each: every hyperparameter reaches its library under a name that it knows."""
    config = make_config(algorithm=algorithm, preset=preset, num_envs=2, timesteps=64)
    shortened = {
        "learning_starts": 16,
        "n_steps": 16,
        "num_steps_per_env": 16,
        "batch_size": 16,
        "buffer_size": 256,
    }
    known = {name: value for name, value in shortened.items() if hasattr(config.hyperparameters, name)}
    config = config.model_copy(update={"hyperparameters": config.hyperparameters.model_copy(update=known)})
    folder = new_run_folder(tmp_path / "run", "run")
    report = run_pipeline(config, folder, Console(quiet=True))
    assert read_config(folder) == config
    assert evaluate_run(folder, EPISODES).mean_reward == pytest.approx(report.evaluation.mean_reward, rel=1e-3)


def test_an_environment_may_have_its_own_default() -> None:
    """A grasp needs a shorter horizon than reach; what is not tuned for it has the default for all."""
    lift = make_config("Genesis/FrankaLiftCube-v0", "RSL_PPO")
    assert (lift.timesteps, lift.hyperparameters.gamma) == (750_000, 0.9)
    assert find_preset("my_tasks:Genesis/FrankaLiftCube-v0", "RSL_PPO", "default").timesteps == 750_000
    assert (
        make_config("Genesis/FrankaLiftCube-v0", "SAC").hyperparameters
        == make_config(algorithm="SAC").hyperparameters
    )
    assert make_config(algorithm="RSL_PPO").hyperparameters.gamma == 0.95
    assert "--set" not in command_of(lift)
    assert find_preset("My/Env-v0", "PPO", "mine") is None


def test_the_guide_preset_is_the_guides() -> None:
    ppo, sac, td3 = (PRESETS[name]["guide"].hyperparameters.model_dump() for name in ("PPO", "SAC", "TD3"))
    assert ppo.items() >= {
        "learning_rate": 3e-4, "n_steps": 2048, "batch_size": 64, "n_epochs": 10, "gamma": 0.99,
        "gae_lambda": 0.95, "clip_range": 0.2, "ent_coef": 0.01, "vf_coef": 0.5,
    }.items()  # fmt: skip
    assert sac.items() >= {
        "learning_rate": 3e-4, "buffer_size": 100_000, "learning_starts": 10_000, "batch_size": 256,
        "tau": 0.005, "gamma": 0.99, "train_freq": 1, "gradient_steps": 1, "target_update_interval": 1,
        "target_entropy": "auto",
    }.items()  # fmt: skip
    assert td3.items() >= {
        "learning_rate": 1e-3, "buffer_size": 100_000, "learning_starts": 25_000, "batch_size": 100,
        "tau": 0.005, "gamma": 0.99, "train_freq": 1, "gradient_steps": -1, "policy_delay": 2,
        "target_policy_noise": 0.2, "target_noise_clip": 0.5,
    }.items()  # fmt: skip


# Bad input


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"algorithm": "PP0"}, "algorithm='PP0' is not known (did you mean 'PPO'?)"),
        ({"preset": "guid"}, "did you mean 'guide'"),
        ({"env": "Genesis/FrankaReach-v9"}, "did you mean 'Genesis/FrankaReach-v0'"),
        ({"env": "CartPole-v1"}, "no genesis-gym task"),
        ({"env": "no_such_module:X-v0"}, "no_such_module"),
        ({"num_envs": 0}, "num_envs=0"),
        ({"timesteps": -1}, "timesteps=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": MAX_SEED}, f"seed={MAX_SEED}"),
        (
            {"num_envs": 1, "hyperparameters": {"n_steps": 1}},
            "a rollout of num_envs x n_steps = 1 step is too short",
        ),
        ({"hyperparameters": {"batch_size": 1}}, "batch_size=1"),
        ({"num_envs": 2, "num_workers": 3}, "num_workers=3 is more than num_envs=2"),
    ],
)
def test_wrong_configs_are_named(arguments: dict, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        make_config(**arguments)
    assert named in str(error.value) and "\n" not in str(error.value)


GOOD = make_config().model_dump(mode="json")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ({"version": CONFIG_VERSION + 1}, "version"),
        ({"algorithm": "DQN"}, "algorithm='DQN'"),
        ({"seed": "zero"}, "seed"),
        ({"num_envs": -1}, "num_envs"),
        ({"surprise": 1}, "surprise"),
        ({"hyperparameters": {"learning_rate": "fast"}}, "learning_rate"),
        ({"hyperparameters": {"learning_rats": 1}}, "learning_rats"),
        ({"hyperparameters": None}, "hyperparameters"),
    ],
)
def test_damaged_configs_are_named(damage: dict, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        parse_config({**GOOD, **damage}, "config.json")
    assert named in str(error.value) and "\n" not in str(error.value)


def test_a_new_run_never_overwrites(tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("kept", "file", "link"):
        with pytest.raises(RunFolderError, match="exists already"):
            new_run_folder(tmp_path / name, "run")
    with pytest.raises(RunFolderError, match="cannot be created"):
        new_run_folder(tmp_path / "file" / "run", "run")
    assert (tmp_path / "kept" / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_is_no_run_is_refused(tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RunFolderError, match=r"no run folder: it has no config\.json"):
            evaluate_run(folder, 10)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        evaluate_run(tmp_path, 10)


@pytest.mark.parametrize("kind", ["missing", "truncated", "pickle", "misfit"])
def test_a_damaged_policy_is_refused_and_nothing_runs(tmp_path, make_core, demo_run, kind: str) -> None:
    trained, _ = demo_run
    policy, bomb = tmp_path / "policy.safetensors", tmp_path / "exploded"
    whole = (trained / "policy.safetensors").read_bytes()
    if kind == "truncated":
        policy.write_bytes(whole[: len(whole) // 2])
    elif kind == "pickle":
        policy.write_bytes(pickle.dumps(_Bomb(bomb)))
    elif kind == "misfit":
        safetensors.torch.save_file({"policy.x": torch.zeros(3)}, policy)
    with pytest.raises(RunFolderError) as error:
        load_policy(tmp_path, make_config(), make_core(8))
    assert "\n" not in str(error.value)
    assert not bomb.exists()


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_is_written_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        temporary.with_name(".tmp").write_text("safetensors writes such a file first")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_have_the_mode_of_the_umask(tmp_path, make_core, umask: int) -> None:
    """Safetensors writes for the owner alone, so that a colleague could read everything but the policy."""
    before = os.umask(umask)
    try:
        hyperparameters = {"n_steps": 8, "batch_size": 64}
        config = make_config(num_envs=8, timesteps=128, evaluate_every=64, hyperparameters=hyperparameters)
        train(config, make_core(8), tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
    assert {"policy.safetensors", "best_policy.safetensors", "checkpoint.pt", "config.json"} <= modes.keys()
    assert set(modes.values()) == {0o666 & ~umask}, modes


def test_durations_do_not_follow_a_clock_that_is_set_back(monkeypatch) -> None:
    laps = pipeline._Laps(None)
    monkeypatch.setattr(pipeline.time, "time", lambda: 0.0)
    laps.lap("import")
    laps.lap("build")
    assert all(seconds >= 0.0 for seconds in laps.seconds.values())
    assert pipeline._Laps(None)._last <= pipeline.time.monotonic()


def test_what_a_library_refuses_is_one_line_and_leaves_no_folder(tmp_path, make_core, monkeypatch) -> None:
    core = make_core(8, goal=True, max_episode_steps=30)
    monkeypatch.setattr(pipeline, "make_core", lambda *_, **__: core)
    monkeypatch.setattr(core, "close", lambda: None)
    hyperparameters = {"learning_starts": 300, "buffer_size": 200}
    config = make_config(algorithm="SAC", num_envs=8, goal=True, hyperparameters=hyperparameters)
    folder = new_run_folder(tmp_path / "run", "run")
    with pytest.raises(ArgumentError, match="buffer_size=200 is not allowed with goals"):
        run_pipeline(config, folder, Console(quiet=True))
    assert not folder.exists()


@pytest.mark.parametrize("episodes", [0, -5])
def test_an_evaluation_of_nothing_is_refused(core, episodes: int) -> None:
    with pytest.raises(ArgumentError, match=f"episodes={episodes}"):
        evaluate_policy(core, lambda observation: torch.zeros(8, 7), episodes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("algorithm", PRESETS)
def test_each_algorithm_solves_reach(tmp_path, algorithm: str, seed: int) -> None:
    config = make_config(ENV_ID, algorithm, seed=seed)
    report = run_pipeline(config, new_run_folder(tmp_path / "run", "run"), Console(quiet=True))
    assert report.evaluation.success_rate >= 0.95, dataclasses.asdict(report.evaluation)
