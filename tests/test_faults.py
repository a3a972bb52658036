"""Faults: bad numbers from outside, in rows drawn at random, and their files.

240 steps of eight rows by default; `STEPS=10000 ENVS=256 pytest -s tests/test_faults.py` makes it the rig whose
figures are in docs/reliability.md.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from conftest import random_actions
from genesis_gym import BatchedEnv
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.cli.main import main
from genesis_gym.core.make import make_core
from genesis_gym.errors import RunFolderError
from genesis_gym.learning.config.train_config import TrainConfig, make_config
from genesis_gym.learning.evaluation.faults import WINDOW, FaultRecorder, read_fault, replay_fault
from genesis_gym.learning.training.train import train

STEPS = int(os.environ.get("STEPS", "240"))
ENVS = int(os.environ.get("ENVS", "8"))

SHORT = {"n_steps": 16, "batch_size": 64, "n_epochs": 1}

PLACES = ("action", "position", "velocity", "force", "cube position", "cube velocity")
POISONS = (float("nan"), float("inf"), -float("inf"))


def poison(env: BatchedEnv, action: torch.Tensor, place: str, value: float, row: int) -> None:
    """Put a bad number into one row, as no policy or solver should."""
    if place.startswith("cube") and hasattr(env.task, "cube"):
        entity, dof = env.task.cube.entity, 1
    else:
        entity, dof = env.task.arm.entity, 2
    if place == "action":
        action[row, 2] = value
    elif place == "force":
        entity.apply_links_external_wrench([[[value, 0.0, 0.0]]], links_idx_local=[5], envs_idx=[row])
    elif place.endswith("position"):
        entity.set_dofs_position([value], [dof], envs_idx=[row])
    else:
        entity.set_dofs_velocity([value], [dof], envs_idx=[row])


class Diary:
    """What each row saw in each of its episodes."""

    def __init__(self, env: BatchedEnv, seed: int) -> None:
        self.env = env
        self.autoreset = Autoreset(env, AutoresetMode.SAME_STEP)
        self.autoreset.reset(seed=seed)
        self.episode = np.zeros(env.num_envs, dtype=int)
        self.clock = np.zeros(env.num_envs, dtype=int)
        self.pages: dict[tuple[int, int], list[bytes]] = {}

    def actions(self, plan: torch.Tensor) -> torch.Tensor:
        """Actions that depend on row, episode and step of the episode only."""
        return plan[(self.episode * 37 + self.clock) % len(plan), np.arange(self.env.num_envs)].clone()

    def step(self, action: torch.Tensor, spoilt: set[int]) -> torch.Tensor:
        """Take a step and write down what every row saw, but not of episodes that were spoilt."""
        transition = self.autoreset.step(action)
        seen = torch.cat([transition.final_observation["policy"], transition.reward[:, None]], dim=-1).numpy()
        for row in range(self.env.num_envs):
            if row not in spoilt:
                self.pages.setdefault((row, int(self.episode[row])), []).append(seen[row].tobytes())
        ended = transition.reset.numpy()
        self.episode += ended
        self.clock = np.where(ended, 0, self.clock + 1)
        assert torch.isfinite(transition.observation["policy"]).all() and torch.isfinite(transition.reward).all()
        return transition.final_metrics["fault"] & transition.truncated & transition.reset


@pytest.mark.parametrize("task", ["reach", "push"])
def test_bad_numbers_hurt_nobody_else(make_core, task: str) -> None:
    """Every episode that was not spoilt equals the same episode of an undisturbed run, bit for bit.

    So do the later episodes of rows that were faulty before.
    """
    env = make_core(ENVS, task=task)
    plan = torch.from_numpy(random_actions(200, ENVS, env.action_dim, seed=1))
    truth = Diary(env, seed=5)
    for _ in range(STEPS):
        truth.step(truth.actions(plan), set())

    random = np.random.default_rng(2)
    may_suffer = random.permutation(ENVS) < ENVS // 2
    diary = Diary(env, seed=5)
    injected: Counter[tuple[str, str]] = Counter()
    counts = env.fault_counts
    expected = torch.zeros(ENVS, dtype=torch.int64)
    for _ in range(STEPS):
        action = diary.actions(plan)
        victims: dict[int, tuple[str, float]] = {}
        for row in np.flatnonzero(may_suffer & (random.random(ENVS) < 0.02)):
            victims[int(row)] = (str(random.choice(PLACES)), float(random.choice(POISONS)))
            poison(env, action, *victims[int(row)], int(row))
        faulty = diary.step(action, set(victims))
        assert faulty.nonzero().flatten().tolist() == sorted(victims), victims
        expected[list(victims)] += 1
        injected.update((place, str(value)) for place, value in victims.values())
    assert torch.equal(env.fault_counts - counts, expected)

    compared = 0
    for (row, episode), seen in diary.pages.items():
        known = truth.pages.get((row, episode), [])
        length = min(len(seen), len(known))
        assert seen[:length] == known[:length], (row, episode)
        compared += length
    print(f"\n{task}: {sum(injected.values())} faults in {STEPS} steps of {ENVS} rows; {compared} row-steps equal")
    for (place, value), number in sorted(injected.items()):
        print(f"  {place:15} {value:>5}  {number}")
    assert sum(injected.values()) and compared > 0.5 * STEPS * ENVS
    assert any(may_suffer[row] and episode > 0 for row, episode in diary.pages), "theirs were compared, too"


# Files


def dump(env: BatchedEnv, config: TrainConfig, folder: Path, place: str, value: float, steps: int) -> Path:
    """Poison row 3 after some steps, with a reset of row 5 on the way, and give the file."""
    env.reset(seed=0)
    env.recorder = FaultRecorder(folder, config)
    try:
        for step, action in enumerate(torch.from_numpy(random_actions(steps, 8, 7))):
            if step == steps - 4:
                env.reset(torch.arange(8) == 5)
            if step == steps - 1:
                poison(env, action, place, value, 3)
            env.step(action)
    finally:
        env.recorder = None
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("place", ["action", "position", "velocity"])
@pytest.mark.parametrize("steps", [5, 3 * WINDOW + 5])
def test_a_fault_comes_back(core, tmp_path, monkeypatch, caplog, place: str, steps: int) -> None:
    monkeypatch.setattr("genesis_gym.learning.evaluation.faults.make_core", lambda *args, **kwargs: core)
    monkeypatch.setattr(core, "close", lambda: None)
    config = make_config(num_envs=8)
    path = dump(core, config, tmp_path, place, float("nan"), steps)
    assert "faulty: environment 3; replay: genesis-gym replay" in caplog.text
    fault = read_fault(path)
    assert fault.config == config and fault.faulty.tolist() == [row == 3 for row in range(8)]
    assert len(fault.actions) == (steps if steps < WINDOW else WINDOW + 5)
    core.reset(seed=99)
    replay = replay_fault(fault)
    assert replay.reproduced and list(replay.causes) == [3]
    assert replay.undisturbed == (place == "action"), "a state that was changed from outside is told"
    assert ("its action is not finite at 2" if place == "action" else "its solver failed") in replay.causes[3]


def test_training_dumps_a_fault_that_the_command_replays(tmp_path, make_core, monkeypatch, caplog, capsys) -> None:
    env = make_core(8)
    monkeypatch.setattr("genesis_gym.learning.evaluation.faults.make_core", lambda *args, **kwargs: env)
    monkeypatch.setattr(env, "close", lambda: None)
    apply, calls = env.task.actions.apply, []

    def diverge() -> None:
        apply()
        calls.append(None)
        if len(calls) == 60:
            env.task.arm.entity.set_dofs_velocity([float("nan")], [2], envs_idx=[6])

    config = make_config(num_envs=8, timesteps=512, hyperparameters=SHORT)
    with monkeypatch.context() as patch:
        patch.setattr(env.task.actions, "apply", diverge)
        train(config, env, tmp_path, dump_faults=True)
    env.recorder = None
    (path,) = (tmp_path / "faults").iterdir()
    assert read_fault(path).faulty.tolist() == [row == 6 for row in range(8)]
    assert main(["replay", str(path)]) == 1, "what broke it is gone"
    assert "no, there " in capsys.readouterr().out
    assert "--dump-faults writes" not in caplog.text


def test_training_tells_of_faults_once(tmp_path, make_core, monkeypatch, caplog) -> None:
    env = make_core(8)
    step, calls = env.step, []

    def poisoned(action: torch.Tensor):
        calls.append(None)
        if len(calls) % 20 == 0:
            action = action.clone()
            action[2, 0] = float("nan")
        return step(action)

    monkeypatch.setattr(env, "step", poisoned)
    config = make_config(num_envs=8, timesteps=512, hyperparameters=SHORT)
    train(config, env, tmp_path)
    assert caplog.text.count("--dump-faults writes") == 1
    assert "rollout/faults" in (tmp_path / "progress.csv").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda held: held.update(actions=torch.zeros(0, 8, 7)), "it holds no step"),
        (lambda held: held.update(actions=torch.zeros(3, 9, 7)), "it holds no step of all environments"),
        (lambda held: held.update(faulty=torch.zeros(8)), "faulty is torch.float32"),
        (lambda held: held.update(resets=[{"step": 0}]), "resets: 'envs' is missing"),
        (lambda held: held["start"]["_episodes"].update(clock=torch.zeros(9, dtype=torch.int64)), "does not fit"),
        (lambda held: held["start"].update(nobody=torch.zeros(9)), "does not fit"),
    ],
)
def test_a_damaged_fault_is_refused(core, tmp_path, monkeypatch, change, message: str) -> None:
    monkeypatch.setattr("genesis_gym.learning.evaluation.faults.make_core", lambda *args, **kwargs: core)
    monkeypatch.setattr(core, "close", lambda: None)
    path = dump(core, make_config(num_envs=8), tmp_path, "action", float("nan"), 5)
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    with pytest.raises(RunFolderError, match=message):
        replay_fault(read_fault(path))


@pytest.mark.parametrize("content", [[], {}, {"version": 9}, {"version": True}, {"version": 2}, "text"])
def test_another_file_is_no_fault(tmp_path, content) -> None:
    path = tmp_path / "fault.pt"
    torch.save(content, path)
    with pytest.raises(RunFolderError, match=r"cannot be read|no fault file|no training config"):
        read_fault(path)


def test_a_fault_comes_back_in_a_scene_of_its_own(tmp_path, capsys) -> None:
    """With varied physics and a curriculum; everything comes from the file."""
    varied = {"payload": (0.0, 0.5), "action_latency": (0, 2)}
    config = make_config(num_envs=8, curriculum={"initial": 1.0}, randomization=varied)
    env = make_core(config.env, config.num_envs, **config.training_env())
    path = dump(env, config, tmp_path, "velocity", float("inf"), 30)
    env.close()
    assert main(["replay", str(path)]) == 0
    out = capsys.readouterr().out
    assert "environment 3: its solver failed" in out and "yes" in out
