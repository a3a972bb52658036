"""Replaying the kernel launches of a physics step changes nothing but the time it takes."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest
import torch

from genesis_gym.runtime import kernel_replay


@pytest.fixture
def replays(make_core):
    """A scene whose solver replays, the class of its substep standing on the instance."""

    def make(task: str):
        core = make_core(8) if task == "reach" else make_core(8, task=task)
        assert isinstance(core.world.scene.rigid_solver.substep, kernel_replay._Substep)
        return core

    return make


def play(core, steps: int) -> list[torch.Tensor]:
    """Episodes of random actions with resets of some environments, a fault and a restored state in between."""
    generator = torch.Generator().manual_seed(0)
    seen = [*core.reset(seed=3)[0].values()]
    kept = None
    for i in range(steps):
        action = 2 * torch.rand(core.num_envs, core.action_dim, generator=generator) - 1
        if i % 29 == 5:
            action[3] = float("nan")
        result = core.step(action)
        seen += [*result.observation.values(), result.reward]
        ended = result.terminated | result.truncated
        if i % 17 == 3:
            ended[0] = True
        if ended.any():
            seen += core.reset(ended)[0].values()
        if i == steps // 2:
            kept = core.state_dict()
        if i == steps - 10:
            core.load_state_dict(kept)
    return seen


@pytest.mark.parametrize("task", ["reach", "push"])
def test_replayed_steps_are_those_of_genesis_bit_for_bit(replays, task: str) -> None:
    core = replays(task)
    solver = core.world.scene.rigid_solver
    replayed = play(core, 80)
    assert solver.substep._launches
    replay = vars(solver).pop("substep")
    try:
        plain = play(core, 80)
    finally:
        solver.substep = replay
    assert len(plain) == len(replayed)
    assert all(torch.equal(a, b) for a, b in zip(plain, replayed, strict=True))


def test_what_is_set_between_steps_counts(replays) -> None:
    """Replayed launches read the simulator's memory as it is, not as it was when they were recorded."""
    core = replays("reach")
    action = torch.zeros(core.num_envs, core.action_dim)
    core.reset(seed=0)
    for _ in range(5):
        core.step(action)
    before = core.task.arm.joint_position.clone()
    core.task.arm.entity.set_dofs_position(core.task.arm.default + 0.1, core.task.arm.dofs)
    core.step(action)
    assert (core.task.arm.joint_position - before).abs().max() > 0.05


def test_other_threads_are_not_recorded() -> None:
    class Program:
        def launch_kernel(self, kernel, arguments):
            return kernel, arguments

    program, original = Program(), Program.launch_kernel
    with kernel_replay._recorded(program) as recorded:
        thread = threading.Thread(target=program.launch_kernel, args=("theirs", 1))
        thread.start()
        thread.join()
        assert program.launch_kernel("ours", 2) == ("ours", 2)
    assert recorded == [("ours", 2)]
    assert Program.launch_kernel is original


def test_an_unknown_release_steps_by_itself(monkeypatch, caplog) -> None:
    import genesis as gs

    monkeypatch.setattr(gs, "backend", gs.cpu)
    solver = SimpleNamespace(substep=lambda substep: None)
    with caplog.at_level(logging.WARNING, logger="genesis_gym"):
        kernel_replay.replay_substeps(SimpleNamespace(rigid_solver=solver))
    assert "slower" in caplog.text
    assert not isinstance(solver.substep, kernel_replay._Substep)
