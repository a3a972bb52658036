"""Successful episodes, written as a dataset that Minari itself reads back."""

from __future__ import annotations

import importlib
import sys
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec

from genesis_gym import BatchedEnv
from genesis_gym.cli.main import main
from genesis_gym.errors import ArgumentError, GenesisGymError
from genesis_gym.learning.evaluation import minari as datasets_module
from genesis_gym.learning.evaluation.demonstrations import Demonstration, collect
from genesis_gym.learning.evaluation.minari import recoverable_spec, write_minari
from genesis_gym.learning.evaluation.scripted import grasp_and_carry
from genesis_gym.tasks.reach.reach import Reach

minari = pytest.importorskip("minari")

ENV_ID = "Genesis/FrankaLiftCube-v0"
DATASET = "tests/FrankaLiftCube/scripted-v0"


@pytest.fixture
def env(make_core) -> BatchedEnv:
    return make_core(8, task="lift_cube", max_episode_steps=75)


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def found(env: BatchedEnv) -> list[Demonstration]:
    return collect(env, partial(grasp_and_carry, env), 10, seed=40)[0]


def test_demonstrations_are_whole_episodes(env: BatchedEnv, found: list[Demonstration]) -> None:
    """Taken again, action by action, each ends in success with the same observations and rewards."""
    assert [each.seed for each in found] == list(range(40, 50))
    for each in found[::4]:
        observation, _ = env.reset(seed=each.seed)
        assert torch.equal(observation["policy"][0], each.observations["policy"][0])
        for i, action in enumerate(each.actions):
            result = env.step(action.expand(8, -1))
            assert torch.equal(result.observation["policy"][0], each.observations["policy"][i + 1])
            assert result.reward[0] == each.rewards[i] and result.terminated[0] == each.terminations[i]
        assert result.metrics["is_success"][0]


def test_minari_reads_what_was_written(env: BatchedEnv, found: list[Demonstration], datasets) -> None:
    folder = write_minari(found, env, DATASET, spec=recoverable_spec(ENV_ID, {}), policy="scripted")
    assert folder == datasets / DATASET
    dataset = minari.load_dataset(DATASET)
    assert dataset.total_episodes == 10 and dataset.total_steps == sum(len(each.rewards) for each in found)
    assert dataset.observation_space.shape == env.observation["policy"].shape[1:]
    for episode, each in zip(dataset.iterate_episodes(), found, strict=True):
        np.testing.assert_array_equal(episode.observations, each.observations["policy"])
        np.testing.assert_array_equal(episode.actions, each.actions)
        np.testing.assert_array_equal(episode.rewards, each.rewards)
        assert episode.terminations[-1] and not episode.terminations[:-1].any() and not episode.truncations.any()
    assert dataset.env_spec.id == ENV_ID
    with pytest.raises(ArgumentError, match="exists already"):
        write_minari(found, env, DATASET, spec=recoverable_spec(ENV_ID, {}), policy="scripted")


def test_nothing_is_half_written(env, found, datasets, monkeypatch) -> None:
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(datasets_module, "_buffer", fail)
    with pytest.raises(OSError, match="disk full"):
        write_minari(found, env, DATASET, spec=recoverable_spec(ENV_ID, {}), policy="scripted")
    assert not (datasets / DATASET).exists() and not list(datasets.rglob("*.hdf5"))


OWN_TASK = """
from dataclasses import dataclass
import gymnasium
from genesis_gym.tasks.reach.reach import Reach

@dataclass(kw_only=True, eq=False)
class Near(Reach):
    tolerance: float = 0.3

entry_point = "genesis_gym.adapters.single:make_single"
gymnasium.register("Own/Near-v0", entry_point=entry_point, max_episode_steps=50, kwargs={"task": Near()})
"""


def test_a_dataset_of_ones_own_task_recovers_its_environment(tmp_path, monkeypatch) -> None:
    """Minari keeps the registration as JSON, which no task survives; another process has imported nothing yet."""
    (tmp_path / "near_task.py").write_text(OWN_TASK)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("near_task")
    try:
        text = recoverable_spec("near_task:Own/Near-v0", {"reward": "sparse"}).to_json()
        del sys.modules["near_task"], gymnasium.registry["Own/Near-v0"]
        env = gymnasium.make(EnvSpec.from_json(text))  # what Minari's `recover_environment` does
        assert env.unwrapped.core.task.tolerance == 0.3 and list(env.unwrapped.core.reward_weights) == ["sparse"]
        env.close()
    finally:
        sys.modules.pop("near_task", None)
        gymnasium.registry.pop("Own/Near-v0", None)


def test_a_task_that_no_module_has_is_refused_before_a_scene_is_built(monkeypatch) -> None:
    monkeypatch.setattr(Reach, "__module__", "__main__")
    gymnasium.register("Own/Main-v0", entry_point="x:y", kwargs={"task": Reach()})
    try:
        with pytest.raises(ArgumentError, match="cannot be made again from a dataset"):
            recoverable_spec("Own/Main-v0", {})
    finally:
        del gymnasium.registry["Own/Main-v0"]


def test_a_policy_that_never_succeeds_demonstrates_nothing(env, monkeypatch) -> None:
    monkeypatch.setattr(env, "max_episode_steps", 3)
    with pytest.raises(GenesisGymError, match=r"0 of 160 episodes succeeded and 2 are wanted"):
        collect(env, lambda observation: torch.zeros(8, 4), 2)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "needs --env"),
        (["--env", ENV_ID, "--run", "runs"], "needs --env"),
        (["--env", ENV_ID, "--dataset", "two words"], "dataset='two words' is not allowed"),
        (["--run", "no"], "no is no run folder"),
    ],
)
def test_a_users_mistake_is_one_line(datasets, capsys, words: list[str], named: str) -> None:
    assert main(["demos", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and named in lines[0]


def test_a_trained_policy_demonstrates(make_core, datasets, tmp_path, capsys, monkeypatch) -> None:
    """The command, with a run that has learnt for a short while."""
    run = tmp_path / "run"
    words = ["--env", "Genesis/FrankaReach-v0", "--num-envs", "8", "--timesteps", "20000", "--control-mode"]
    assert main(["train", *words, "ee_delta_position", "--out", str(run), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["demos", "--run", str(run), "--episodes", "3", "--num-envs", "8", "--quiet"]) == 0
    assert "genesis-gym/FrankaReach/trained-v0" in capsys.readouterr().out
    dataset = minari.load_dataset("genesis-gym/FrankaReach/trained-v0")
    assert dataset.total_episodes == 3 and dataset.env_spec.kwargs["control_mode"] == "ee_delta_position"
