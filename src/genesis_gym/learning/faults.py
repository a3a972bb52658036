"""Faults on file: the steps that led to one, written by `--dump-faults` and run again by `genesis-gym replay`."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch

from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError, RunFolderError, safe_repr
from genesis_gym.learning.config import TrainConfig, parse_config
from genesis_gym.learning.files import MAX_CHECKPOINT, read_tensors
from genesis_gym.learning.runs import write_whole

logger = logging.getLogger("genesis_gym")

#: Layout of a fault file.
FAULT_VERSION = 1

#: Steps that a file holds at least, if there were so many; less than twice as many.
WINDOW = 20

#: Files that one process writes at most: what makes one row faulty often makes all of them.
MAX_FILES = 10

State = dict[str, torch.Tensor]


class Moment(NamedTuple):
    """One step of all rows: what was seen before it, and what was done."""

    action: torch.Tensor
    joint_position: torch.Tensor
    joint_velocity: torch.Tensor


@dataclass
class Stretch:
    """Some steps, one after the other.

    Attributes:
        start: State before the first.
        moments: The steps.
        resets: Rows that were reset → before which of the steps.
    """

    start: State
    moments: list[Moment] = field(default_factory=list)
    resets: list[tuple[int, torch.Tensor]] = field(default_factory=list)


class FaultDump:
    """Remembers the last steps of an environment and writes them down when a row becomes faulty.

    It is a `Witness`: `env.witness = FaultDump(folder, config)`. Remembering the state before each step takes
    time (docs/reliability.md), so it is for the search of a fault.
    """

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        """Begin to remember.

        Args:
            folder: Where files are written; created with the first.
            config: What the environment was made from.
        """
        self._folder = folder
        self._config = config
        self._stretches: deque[Stretch] = deque(maxlen=2)
        self._last: State = {}
        self._files = 0

    def before_reset(self, env: BatchedEnv, rows: torch.Tensor | None) -> None:
        """Remember which rows begin anew."""
        if rows is None:
            self._stretches.clear()
        elif self._stretches:
            stretch = self._stretches[-1]
            stretch.resets.append((len(stretch.moments), rows.cpu()))

    def before_step(self, env: BatchedEnv, action: torch.Tensor) -> None:
        """Remember the state and the action."""
        self._last = env.state()
        if not self._stretches or len(self._stretches[-1].moments) == WINDOW:
            self._stretches.append(Stretch(self._last))
        rows = slice(env.num_envs)
        moment = Moment(action.float().clone(), env.robot.joint_position[rows], env.robot.joint_velocity[rows])
        self._stretches[-1].moments.append(moment)

    def after_step(self, env: BatchedEnv, faulty: torch.Tensor) -> None:
        """Write a file if rows became faulty."""
        if not bool(faulty.any()) or self._files == MAX_FILES:
            return
        self._folder.mkdir(exist_ok=True)
        number = len(list(self._folder.glob("fault-*.safetensors"))) + 1
        path = self._folder / f"fault-{number:03d}.safetensors"
        write_whole(path, lambda file: self._write(file, faulty))
        self._files += 1
        rows = faulty.nonzero().flatten().tolist()
        last = f"; {MAX_FILES} files are written, and no more will be" if self._files == MAX_FILES else ""
        logger.warning("faulty: row %s; run it again: genesis-gym replay %s%s", list_rows(rows), path, last)

    def _write(self, path: Path, faulty: torch.Tensor) -> None:
        moments = [moment for stretch in self._stretches for moment in stretch.moments]
        resets, before = [], 0
        for stretch in self._stretches:
            resets += [(before + step, rows) for step, rows in stretch.resets]
            before += len(stretch.moments)
        none = torch.zeros(0, len(faulty), dtype=torch.bool)
        tensors = {
            "actions": torch.stack([moment.action for moment in moments]),
            "reset_rows": torch.stack([rows for _, rows in resets]) if resets else none,
            "reset_steps": torch.tensor([step for step, _ in resets], dtype=torch.int64),
            "faulty": faulty,
            # Not needed to run it again: for whoever looks into the file.
            "faulty_joint_position": torch.stack([moment.joint_position[faulty] for moment in moments]),
            "faulty_joint_velocity": torch.stack([moment.joint_velocity[faulty] for moment in moments]),
            **{f"start/{name}": value for name, value in self._stretches[0].start.items()},
            **{f"last/{name}": value for name, value in self._last.items()},
        }
        description = {"version": FAULT_VERSION, "config": self._config.model_dump(mode="json")}
        safetensors.torch.save_file(
            {name: value.contiguous().cpu() for name, value in tensors.items()},
            path,
            metadata={"description": json.dumps(description)},
        )


@dataclass(frozen=True)
class Fault:
    """What a fault file holds.

    Attributes:
        config: What the environment was made from.
        start: State of all rows before the first step.
        last: State before the step in which rows became faulty.
        actions: float32 `(steps, num_envs, action_dim)`.
        resets: Rows that were reset, bool `(num_envs,)`, with the step before which they were.
        faulty: Rows that became faulty in the last step, bool `(num_envs,)`.
    """

    config: TrainConfig
    start: State
    last: State
    actions: torch.Tensor
    resets: tuple[tuple[int, torch.Tensor], ...]
    faulty: torch.Tensor


@dataclass(frozen=True)
class Replay:
    """What came of running a fault again.

    Attributes:
        causes: Row that is faulty → why, in words.
        reproduced: Whether the same rows became faulty as on file.
        undisturbed: Whether the steps led to the recorded last state, bit for bit. If not, the state was changed
            from outside in between, or this machine calculates differently.
    """

    causes: dict[int, str]
    reproduced: bool
    undisturbed: bool


def read_fault(path: Path) -> Fault:
    """Read a fault file.

    Args:
        path: The file.

    Returns:
        What it holds, validated but for the states, which the environment checks.

    Raises:
        RunFolderError: It cannot be read, or is no fault file of this release.
    """
    metadata, tensors = read_tensors(path, MAX_CHECKPOINT)
    try:
        description = json.loads(metadata.get("description", "null"))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    version = description.get("version") if isinstance(description, dict) else None
    if version != FAULT_VERSION or type(version) is not int:
        raise RunFolderError(f"{path} is no fault file: its version is {safe_repr(version)}, not {FAULT_VERSION}")
    try:
        config = parse_config(description.get("config"), f"{path}: config")
    except ArgumentError as error:
        raise RunFolderError(str(error)) from error
    steps, rows = _calls_of(path, tensors, config.num_envs)
    return Fault(
        config=config,
        start=_part(tensors, "start/"),
        last=_part(tensors, "last/"),
        actions=tensors["actions"],
        resets=tuple(zip(steps, rows, strict=True)),
        faulty=tensors["faulty"],
    )


def replay_fault(fault: Fault, backend: str = "auto") -> Replay:
    """Run the steps that led to a fault again, in a scene of its own.

    Args:
        fault: What `read_fault` gave.
        backend: One of `genesis_gym.runtime.DEVICES`.

    Returns:
        What came of it.

    Raises:
        RunFolderError: It does not fit its environment.
    """
    config = fault.config
    arguments = config.training_env()
    if not any(name.startswith("curriculum/") for name in fault.start):  # it happened in an evaluation
        arguments["curriculum"] = None
    env = make_core(config.env, config.num_envs, backend=backend, **arguments)
    try:
        return _run_again(fault, env)
    except ArgumentError as error:
        raise RunFolderError(f"the fault does not fit {config.env}: {error}") from error
    finally:
        env.close()


def _run_again(fault: Fault, env: BatchedEnv) -> Replay:
    env.restore(fault.start)
    resets = list(fault.resets)
    last = len(fault.actions) - 1
    undisturbed = True
    for step, action in enumerate(fault.actions):
        while resets and resets[0][0] == step:
            env.reset(resets.pop(0)[1])
        if step == last:
            ours = env.state()
            env.restore(fault.last)  # refuses what does not fit
            undisturbed = _same(ours, fault.last)
        before = env.fault_counts
        env.step(action.to(env.device))
    faulty = (env.fault_counts > before).cpu()
    causes = {row: _cause(env, row, action[row]) for row in faulty.nonzero().flatten().tolist()}
    return Replay(causes, torch.equal(faulty, fault.faulty), undisturbed)


def _cause(env: BatchedEnv, row: int, action: torch.Tensor) -> str:
    """Why a row is faulty, after the step in which it became so."""
    if not bool(torch.isfinite(action).all()):
        numbers = [i for i, finite in enumerate(torch.isfinite(action).tolist()) if not finite]
        return f"its action is not finite at {list_rows(numbers)}"
    if reason := env.simulation.fault_reason(row):
        return reason
    parts = {name: value[row] for name, value in env.task.observation().items()}
    if names := [name for name, value in parts.items() if not bool(torch.isfinite(value).all())]:
        return f"its observation is not finite in {', '.join(names)}"
    return "its reward is not finite, or its solver failed and was put back within the step"


def _same(ours: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor]) -> bool:
    """Whether two states of one environment are equal bit for bit."""
    return all(value.cpu().numpy().tobytes() == theirs[name].numpy().tobytes() for name, value in ours.items())


def _calls_of(path: Path, tensors: State, rows: int) -> tuple[list[int], list[torch.Tensor]]:
    """Check the tensors that tell what was called, and give the resets."""
    steps = len(tensors["actions"]) if "actions" in tensors and tensors["actions"].ndim == 3 else 0
    resets = len(tensors.get("reset_steps", torch.zeros(0)))
    expected = {
        "actions": (torch.float32, (steps, rows)),
        "reset_rows": (torch.bool, (resets, rows)),
        "reset_steps": (torch.int64, (resets,)),
        "faulty": (torch.bool, (rows,)),
    }
    for name, (dtype, shape) in expected.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.dtype != dtype or tuple(tensor.shape[: len(shape)]) != shape:
            raise RunFolderError(f"{path} cannot be read: {name} is missing or has a wrong shape or dtype")
    if steps == 0:
        raise RunFolderError(f"{path} cannot be read: it holds no step")
    return tensors["reset_steps"].tolist(), list(tensors["reset_rows"])


def _part(tensors: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def list_rows(numbers: list[int]) -> str:
    """Row numbers in words, at most ten of them."""
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
