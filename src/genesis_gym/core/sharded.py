"""A batched environment whose rows are shared out among processes, for machines with several cores.

Genesis on the CPU is fastest with one thread, so each core gets a process with a scene of its own. The first rows
live in this very process, the others in workers. Arrays lie in memory that all of them see; a pipe to each worker
carries the name of what to do and the answer, a few bytes. Whoever finds a pipe closed knows that the other side
is gone: so workers are told to end, and so each side notices the death of the other.
"""

from __future__ import annotations

import atexit
import logging
import pickle
import signal
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import pairwise
from math import prod
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import torch

from genesis_gym.core.arguments import check_action, check_mask, check_seeds
from genesis_gym.core.env import BatchedEnv, StepResult
from genesis_gym.errors import ArgumentError, ClosedError, NotResetError, WorkerError, check_positive_int

#: Seconds that a worker has to end by itself, writing fresh kernels to the cache; then it is killed.
PATIENCE = 60.0

_CACHE_LINE = 64  # bytes

#: Prefix of the metrics among the shared tensors.
_METRICS = "metrics/"

Tensors = dict[str, torch.Tensor]

#: Name → shape and dtype of a tensor in shared memory; its first dimension is the row.
Layout = dict[str, tuple[tuple[int, ...], torch.dtype]]


class ShardedEnv:
    """A task and a robot in `num_envs` rows of `num_workers` Genesis scenes, each in a process of its own.

    To the adapters it is what a `BatchedEnv` is, and its rows are the same, bit for bit. What belongs to a single
    scene it lacks: `robot`, `simulation`, `task`, `state`, pictures.

    Attributes:
        num_envs: Rows, in all processes together.
        num_workers: Processes, this one included.
        device: Where tensors live: the CPU.
        control_dt: Seconds of one control step.
        max_episode_steps: Control steps after which an episode is truncated; None for never.
        action_dim: Numbers in one row's action.
        observation_dim: Numbers in one row's observation.
        observation_layout: Name of each part of an observation → its place.
        reward_weights: Name of each reward term → its weight.
        fault_counts: Faults of each row since it was made, int64 `(num_envs,)`.
        difficulty: How hard the next episode of each row will be, float `(num_envs,)`.
    """

    def __init__(self, *args: Any, num_envs: int, num_workers: int, backend: str = "auto", **kwargs: Any) -> None:
        """Start the workers, and build all scenes at the same time.

        Args:
            *args: As for `BatchedEnv`.
            num_envs: Rows. No process has more than one row more than another.
            num_workers: Processes, this one included; at most `num_envs`.
            backend: As for `BatchedEnv`, but a GPU is refused.
            **kwargs: Further arguments of `BatchedEnv`; they are pickled on their way to the workers.

        Raises:
            ArgumentError: An argument has a value that is not allowed.
            WorkerError: A worker could not build its scene.
        """
        check_positive_int("num_envs", num_envs)
        check_positive_int("num_workers", num_workers)
        if num_workers > num_envs:
            raise ArgumentError(
                f"num_workers={num_workers} is not allowed; it must be at most num_envs={num_envs}"
            )
        if kwargs.get("show_viewer") or kwargs.get("camera_rows"):
            raise ArgumentError(f"num_workers={num_workers} is not possible with a viewer or a camera; only 1 is")
        self.num_envs = num_envs
        self.num_workers = num_workers
        self._started = self._closed = False
        ends = [num_envs * i // num_workers for i in range(num_workers + 1)]
        own, *others = [slice(first, end) for first, end in pairwise(ends)]

        with ExitStack() as resources:  # what was begun is ended, whatever fails after it
            self._workers: list[_Worker] = []
            resources.callback(_end, self._workers)
            for number, rows in enumerate(others, start=2):
                name = f"worker {number} of {num_workers}"
                self._workers.append(_Worker(name, rows, args, {**kwargs, "backend": "cpu"}))
            self._own = BatchedEnv(*args, num_envs=own.stop, backend=backend, **kwargs)
            resources.callback(self._own.close)
            self.device = self._own.device
            if self.device.type != "cpu":
                raise ArgumentError(f"num_workers={num_workers} is not possible on a GPU; only 1 is")
            layout = _layout(self._own, num_envs)
            memory = SharedMemory(create=True, size=sum(_room(*kind) for kind in layout.values()))
            resources.callback(memory.close)
            try:
                for worker in self._workers:
                    worker.wait()  # for its scene
                    worker.tell((memory.name, layout))
                    worker.wait()
            finally:
                memory.unlink()  # nobody needs its name any more, so nothing can be left behind
            self._shared = _tensors(memory, layout)
            self._part = {name: tensor[own] for name, tensor in self._shared.items()}
            self._resources = resources.pop_all()
        # Now and not earlier: at exit Python waits for its child processes, and before that it runs only what was
        # registered after the first of them was started.
        atexit.register(self.close)
        self.control_dt = self._own.control_dt
        self.max_episode_steps = self._own.max_episode_steps
        self.action_dim = self._own.action_dim
        self.observation_dim = self._own.observation_dim
        self.observation_layout = self._own.observation_layout
        self.reward_weights = self._own.reward_weights

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"an environment of several workers has no {name!r}; make it with num_workers=1")

    @property
    def fault_counts(self) -> torch.Tensor:
        """Faults of each row since it was made, int64 `(num_envs,)`."""
        return self._everywhere("fault_counts")["fault_counts"]

    @property
    def difficulty(self) -> torch.Tensor:
        """How hard the next episode of each row will be, float `(num_envs,)`; 1 is the task as declared."""
        return self._everywhere("difficulty")["difficulty"]

    def increase_difficulty(self) -> None:
        """As `BatchedEnv.increase_difficulty`."""
        self._require_open("increase_difficulty()")
        if f"{_METRICS}difficulty" not in self._shared:
            self._own.increase_difficulty()  # refuses: there is no curriculum
        self._everywhere("increase_difficulty")

    def reset(
        self, rows: torch.Tensor | None = None, *, seed: int | Sequence[int | None] | None = None
    ) -> tuple[torch.Tensor, Tensors]:
        """As `BatchedEnv.reset`.

        Raises:
            ArgumentError: The mask or the seed has a wrong shape, dtype or value.
            NotResetError: Only some rows are reset and the environment never was as a whole.
            ClosedError: The environment is closed.
            WorkerError: A worker failed or died; the environment is closed then.
        """
        self._require_open("reset()")
        if rows is not None:
            check_mask(rows, self.num_envs)
            if not self._started:
                raise NotResetError("reset() of some rows was called before reset() of all; call reset() first")
        self._shared["rows"].copy_(torch.tensor(True) if rows is None else rows)
        if seed is not None:
            seeds = check_seeds(seed, self.num_envs)
            self._shared["seed"].copy_(torch.tensor([s or 0 for s in seeds]))
            self._shared["seeded"].copy_(torch.tensor([s is not None for s in seeds]))
        result = self._everywhere("reset" if seed is None else "seeded reset")
        self._started = True
        return result.pop("observation"), _metrics(result)

    def step(self, action: torch.Tensor) -> StepResult:
        """As `BatchedEnv.step`.

        Raises:
            ActionError: The action has the wrong shape or dtype.
            NotResetError: `reset` was not called.
            ClosedError: The environment is closed.
            WorkerError: A worker failed or died; the environment is closed then.
        """
        self._require_open("step()")
        if not self._started:
            raise NotResetError("step() was called before reset(); call reset() first")
        check_action(action, self.num_envs, self.action_dim)
        self._shared["action"].copy_(action)
        result = self._everywhere("step")
        return StepResult(
            result["observation"],
            result["reward"],
            result["terminated"],
            result["truncated"],
            _metrics(result),
        )

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """As `BatchedEnv.compute_reward`."""
        return self._own.compute_reward(achieved_goal, desired_goal, info)

    def render(self, rows: Sequence[int] | None = None) -> Any:
        """Refuse: the rows live in several scenes.

        Raises:
            ArgumentError: Always.
        """
        raise ArgumentError(f"render() is not possible with num_workers={self.num_workers}; only with 1")

    def close(self) -> None:
        """Free the scenes and end the workers. Closing twice is allowed."""
        if not self._closed:
            self._closed = True
            atexit.unregister(self.close)
            self._shared = self._part = {}  # their memory goes away
            self._resources.close()

    def _everywhere(self, command: str) -> Tensors:
        """Do something in every process at the same time, and join the tensors that it gives."""
        self._require_open(command)
        try:
            for worker in self._workers:
                worker.tell(command)
            own = _do(command, self._own, self._part)
            for worker in self._workers:
                worker.wait()
        except BaseException:
            self.close()  # some processes may have done it and others not
            raise
        first = self._own.num_envs
        return {name: torch.cat([value, self._shared[name][first:]]) for name, value in own.items()}

    def _require_open(self, what: str) -> None:
        if self._closed:
            raise ClosedError(f"{what} was called on a closed environment; make a new one")


#: What the adapters are faces of.
Core = BatchedEnv | ShardedEnv


def share_out(*args: Any, num_envs: int, num_workers: int = 1, **kwargs: Any) -> Core:
    """Make an environment in one process or in several.

    Args:
        *args: As for `BatchedEnv`.
        num_envs: Rows.
        num_workers: Processes, this one included; with 1 there are no workers.
        **kwargs: Further arguments of `BatchedEnv`.

    Returns:
        The environment.

    Raises:
        ArgumentError: An argument has a value that is not allowed.
        WorkerError: A worker could not build its scene.
    """
    check_positive_int("num_workers", num_workers)
    if num_workers == 1:
        return BatchedEnv(*args, num_envs=num_envs, **kwargs)
    return ShardedEnv(*args, num_envs=num_envs, num_workers=num_workers, **kwargs)


class _Worker:
    """A worker, as the process sees it that started it."""

    def __init__(self, name: str, rows: slice, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._name = name
        context = get_context("spawn")  # a copy of a process in which Genesis runs is nothing to rely on
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, rows, args, kwargs), name=name)
        try:
            self._process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ArgumentError(f"an argument cannot be sent to {name}: {error}") from error
        finally:
            theirs.close()

    def tell(self, message: Any) -> None:
        """Send the place of the shared tensors, or a command."""
        with suppress(OSError):  # it is gone, which `wait` finds too
            self._connection.send(message)

    def wait(self) -> None:
        """Wait until it has done what it was last told; at first, to build its scene.

        Raises:
            WorkerError: It failed or died.
        """
        try:
            error = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(PATIENCE)
            raise WorkerError(f"{self._name} {_end_of(self._process.exitcode)}; make a new environment") from None
        if error is not None:
            last = error.strip().splitlines()[-1]
            raise WorkerError(f"{self._name} failed: {last}; make a new environment") from RuntimeError(error)

    def tell_to_end(self) -> None:
        """Close the pipe."""
        self._connection.close()

    def wait_for_end(self) -> None:
        """Wait until its process has ended; kill it if that takes too long."""
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.tell_to_end()
    for worker in workers:
        worker.wait_for_end()


def _end_of(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"ended with exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f"was killed by {name}" + (", as happens when memory runs out" if name == "SIGKILL" else "")


def _work(connection: Connection, rows: slice, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A worker's whole life.

    Args:
        connection: The pipe to the process that started this one.
        rows: Which rows it has.
        args: Arguments of `BatchedEnv`.
        kwargs: Further ones.
    """
    # Ctrl-C, and the end of a job on a cluster, reach every process: the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.getLogger("genesis_gym").setLevel(logging.ERROR)  # over there the same warnings are given
    try:
        env = BatchedEnv(*args, num_envs=rows.stop - rows.start, **kwargs)
        torch.set_num_threads(1)
        _answer(connection, None)
        if (place := _next(connection)) is not None:
            memory = SharedMemory(place[0])
            part = {name: tensor[rows] for name, tensor in _tensors(memory, place[1]).items()}
            _answer(connection, None)
            while (command := _next(connection)) is not None:
                for name, value in _do(command, env, part).items():
                    part[name].copy_(value)
                _answer(connection, None)
    except Exception:  # noqa: BLE001 - whatever it is, it is told on the other side
        _answer(connection, traceback.format_exc())


def _next(connection: Connection) -> Any:
    """The next message, or None when the other side is gone."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


def _answer(connection: Connection, error: str | None) -> None:
    with suppress(OSError):  # the other side is gone, which `_next` finds too
        connection.send(error)


def _do(command: str, env: BatchedEnv, part: Tensors) -> Tensors:
    """Do something in the rows of one process.

    Args:
        command: `"step"`, `"reset"`, `"seeded reset"`, `"increase_difficulty"`, or the name of a tensor of the
            environment.
        env: The rows.
        part: Their part of the shared tensors, which holds the action, the mask and the seeds.

    Returns:
        What it gives, by its names in the shared tensors.
    """
    if command == "step":
        return _flat(**env.step(part["action"])._asdict())
    if command in ("reset", "seeded reset"):
        rows = None if bool(part["rows"].all()) else part["rows"]
        observation, metrics = env.reset(rows, seed=_seeds(part) if command == "seeded reset" else None)
        return _flat(metrics, observation=observation)
    if command == "increase_difficulty":
        env.increase_difficulty()
        return {}
    return {command: getattr(env, command)}


def _seeds(part: Tensors) -> list[int | None]:
    pairs = zip(part["seed"].tolist(), part["seeded"].tolist(), strict=True)
    return [seed if seeded else None for seed, seeded in pairs]


def _flat(metrics: Tensors, **others: torch.Tensor) -> Tensors:
    return {**others, **{f"{_METRICS}{name}": value for name, value in metrics.items()}}


def _metrics(flat: Tensors) -> Tensors:
    return {name.removeprefix(_METRICS): value for name, value in flat.items() if name.startswith(_METRICS)}


def _layout(env: BatchedEnv, num_envs: int) -> Layout:
    """Which tensors `num_envs` rows share; an episode is begun to find out."""
    observation, metrics = env.reset()
    flag = torch.zeros(env.num_envs, dtype=torch.bool)
    examples = {
        "action": torch.zeros(env.num_envs, env.action_dim),
        "rows": flag,
        "seed": torch.zeros(env.num_envs, dtype=torch.int64),
        "seeded": flag,
        "reward": torch.zeros(env.num_envs),
        "terminated": flag,
        "truncated": flag,
        "fault_counts": env.fault_counts,
        "difficulty": env.difficulty,
        **_flat(metrics, observation=observation),
    }
    return {name: ((num_envs, *example.shape[1:]), example.dtype) for name, example in examples.items()}


def _tensors(memory: SharedMemory, layout: Layout) -> Tensors:
    """The shared tensors, one after the other."""
    tensors, offset = {}, 0
    for name, (shape, dtype) in layout.items():
        flat = torch.frombuffer(memory.buf, dtype=dtype, count=prod(shape), offset=offset)
        tensors[name] = flat.view(shape)
        offset += _room(shape, dtype)
    return tensors


def _room(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    """Bytes of a tensor, in whole lines of the processor's cache."""
    return -(-prod(shape) * dtype.itemsize // _CACHE_LINE) * _CACHE_LINE
