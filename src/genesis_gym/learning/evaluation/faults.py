"""Faults on file: the steps that led to one, written by `--dump-faults` and run again by `genesis-gym replay`."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError, RunFolderError, safe_repr
from genesis_gym.learning.agents.state import State, check_like, portable
from genesis_gym.learning.config.train_config import TrainConfig, parse_config
from genesis_gym.learning.runs.files import MAX_CHECKPOINT, read_state
from genesis_gym.learning.runs.folder import write_state

logger = logging.getLogger("genesis_gym")

#: Layout of a fault file.
FAULT_VERSION = 2

#: Steps that a file holds at least, if there were so many; less than twice as many.
WINDOW = 20

#: Files that one process writes at most: what makes one environment faulty often makes all of them.
MAX_FILES = 10


@dataclass
class Stretch:
    """Some steps, one after the other.

    Attributes:
        start: State before the first.
        actions: The action of each step.
        resets: Before which step, and which environments were reset.
    """

    start: State
    actions: list[torch.Tensor] = field(default_factory=list)
    resets: list[tuple[int, torch.Tensor]] = field(default_factory=list)


class FaultRecorder:
    """Remembers the last steps of an environment and writes them to a file when an environment becomes faulty.

    It is a recorder: `env.recorder = FaultRecorder(folder, config)`. Remembering the state before each step takes
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

    def before_reset(self, env: BatchedEnv, envs: torch.Tensor | None) -> None:
        """Remember which environments are reset."""
        if envs is None:
            self._stretches.clear()
        elif self._stretches:
            stretch = self._stretches[-1]
            stretch.resets.append((len(stretch.actions), envs.cpu()))

    def before_step(self, env: BatchedEnv, action: torch.Tensor) -> None:
        """Remember the state and the action."""
        self._last = env.state_dict()
        if not self._stretches or len(self._stretches[-1].actions) == WINDOW:
            self._stretches.append(Stretch(self._last))
        self._stretches[-1].actions.append(action.float().clone())

    def after_step(self, env: BatchedEnv, faulty: torch.Tensor) -> None:
        """Write a file if environments became faulty."""
        if not bool(faulty.any()) or self._files == MAX_FILES:
            return
        self._folder.mkdir(exist_ok=True)
        number = len(list(self._folder.glob("fault-*.pt"))) + 1
        path = self._folder / f"fault-{number:03d}.pt"
        write_state(path, self._content(faulty))
        self._files += 1
        envs = faulty.nonzero().flatten().tolist()
        last = f"; {MAX_FILES} files are written, and no more will be" if self._files == MAX_FILES else ""
        logger.warning("faulty: environment %s; replay: genesis-gym replay %s%s", list_envs(envs), path, last)

    def _content(self, faulty: torch.Tensor) -> State:
        resets, before = [], 0
        for stretch in self._stretches:
            resets += [{"step": before + step, "envs": envs} for step, envs in stretch.resets]
            before += len(stretch.actions)
        content: State = portable(
            {
                "version": FAULT_VERSION,
                "config": self._config.model_dump(mode="json"),
                "start": self._stretches[0].start,
                "last": self._last,
                "actions": torch.stack([action for stretch in self._stretches for action in stretch.actions]),
                "resets": resets,
                "faulty": faulty,
            }
        )
        return content


@dataclass(frozen=True)
class Fault:
    """The content of a fault file.

    Attributes:
        config: What the environment was made from.
        start: State of all environments before the first step.
        last: State before the step in which environments became faulty.
        actions: float32 `(steps, num_envs, action_dim)`.
        resets: Step before which environments were reset, and which, bool `(num_envs,)`.
        faulty: Environments that became faulty in the last step, bool `(num_envs,)`.
    """

    config: TrainConfig
    start: State
    last: State
    actions: torch.Tensor
    resets: tuple[tuple[int, torch.Tensor], ...]
    faulty: torch.Tensor


@dataclass(frozen=True)
class Replay:
    """The outcome of a replay.

    Attributes:
        causes: Environment that is faulty → why, in words.
        reproduced: Whether the same environments became faulty as on file.
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
        Its content, validated but for the states, which the environment checks.

    Raises:
        RunFolderError: It cannot be read, or is no fault file of this release.
    """
    content = read_state(path, MAX_CHECKPOINT)
    version = content.get("version") if isinstance(content, dict) else None
    if version != FAULT_VERSION or type(version) is not int:
        raise RunFolderError(f"{path} is no fault file: its version is {safe_repr(version)}, not {FAULT_VERSION}")
    try:
        config = parse_config(content.get("config"), f"{path}: config")
    except ArgumentError as error:
        raise RunFolderError(str(error)) from error
    try:
        return _fault(config, content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error


def _fault(config: TrainConfig, content: State) -> Fault:
    """Check all but the states, which the environment checks."""
    keys = ("version", "config", "start", "last", "actions", "resets", "faulty")
    check_like(dict.fromkeys(keys), content, "fault", unchecked=True)
    mask = torch.zeros(config.num_envs, dtype=torch.bool)
    check_like(mask, content["faulty"], "faulty")
    actions = content["actions"]
    if not isinstance(actions, torch.Tensor) or actions.dtype != torch.float32 or actions.ndim != 3:
        raise ValueError("actions are missing, or have a wrong shape or dtype")
    if len(actions) == 0 or actions.shape[1] != config.num_envs:
        raise ValueError("it holds no step of all environments")
    if not isinstance(content["resets"], list):
        raise ValueError("resets are no list")
    for reset in content["resets"]:
        check_like({"step": 0, "envs": mask}, reset, "resets")
    for name in ("start", "last"):
        if not isinstance(content[name], dict):
            raise ValueError(f"{name} is no state")
    resets = tuple((int(reset["step"]), reset["envs"]) for reset in content["resets"])
    return Fault(config, content["start"], content["last"], actions, resets, content["faulty"])


def replay_fault(fault: Fault, device: str = "auto") -> Replay:
    """Run the steps that led to a fault again, in a scene of its own.

    Args:
        fault: From `read_fault`.
        device: `"auto"`, `"cpu"` or `"gpu"`.

    Returns:
        The outcome.

    Raises:
        RunFolderError: It does not fit its environment.
    """
    config = fault.config
    arguments = config.training_env()
    if "_curriculum" not in fault.start:  # it happened in an evaluation
        arguments["curriculum"] = None
    env = make_core(config.env, config.num_envs, device=device, **arguments)
    try:
        return _run_again(fault, env)
    except ArgumentError as error:
        raise RunFolderError(f"the fault does not fit {config.env}: {error}") from error
    finally:
        env.close()


def _run_again(fault: Fault, env: BatchedEnv) -> Replay:
    env.load_state_dict(fault.start)
    resets = list(fault.resets)
    last = len(fault.actions) - 1
    undisturbed = True
    for step, action in enumerate(fault.actions):
        while resets and resets[0][0] == step:
            env.reset(resets.pop(0)[1])
        if step == last:
            ours = env.state_dict()
            env.load_state_dict(fault.last)  # refuses another environment's
            undisturbed = _same(ours, fault.last)
        before = env.fault_counts
        env.step(action.to(env.device))
    faulty = (env.fault_counts > before).cpu()
    causes = {number: _cause(env, number, action[number]) for number in faulty.nonzero().flatten().tolist()}
    return Replay(causes, torch.equal(faulty, fault.faulty), undisturbed)


def _cause(env: BatchedEnv, number: int, action: torch.Tensor) -> str:
    """Why an environment is faulty, after the step in which it became so."""
    if not bool(torch.isfinite(action).all()):
        numbers = [i for i, finite in enumerate(torch.isfinite(action).tolist()) if not finite]
        return f"its action is not finite at {list_envs(numbers)}"
    if reason := env.world.fault_reason(number):
        return reason
    groups = env.task.observe()
    parts = {
        name: value
        for group, content in groups.items()
        for name, value in ([(group, content)] if isinstance(content, torch.Tensor) else content.items())
    }
    if names := [name for name, value in parts.items() if not bool(torch.isfinite(value[number]).all())]:
        return f"its observation is not finite in {', '.join(names)}"
    return "its reward is not finite, or its solver failed and was put back within the step"


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two states of one environment are equal bit for bit."""
    if isinstance(ours, dict):
        return all(_same(value, theirs[name]) for name, value in ours.items())
    return bool(ours.cpu().numpy().tobytes() == theirs.numpy().tobytes())


def list_envs(numbers: list[int]) -> str:
    """Numbers of environments in words, at most ten of them."""
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
