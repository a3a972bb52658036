"""Worker processes, each with some of the environments of a `ShardedEnv` in a scene of its own.

A worker shares its tensors with the process that started it. The pipe between the two carries only commands and
short replies. A closed pipe is both the shutdown signal and crash detection.
"""

from __future__ import annotations

import logging
import pickle
import signal
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import torch

from genesis_gym.core.env import BatchedEnv
from genesis_gym.core.shard import Shard, Tensors, shared_tensors, write
from genesis_gym.errors import ArgumentError, WorkerError

#: Seconds that a worker has to end by itself, writing fresh kernels to the cache; then it is killed.
PATIENCE = 60.0

#: Ctrl-C and the end of a cluster's job reach every process; the one that started the workers decides.
_IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Worker:
    """A worker process, as the process sees it that started it.

    Attributes:
        name: Such as `"worker 2 of 4"`.
        envs: Which environments it has.
    """

    def __init__(self, name: str, envs: slice, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Start the process, which builds its scene.

        Args:
            name: What errors call it.
            envs: Which environments it has.
            arguments: Arguments of `BatchedEnv` but `num_envs`.
            options: Its keyword arguments.

        Raises:
            ArgumentError: An argument cannot be pickled.
        """
        self.name = name
        self.envs = envs
        options = {**options, "num_envs": envs.stop - envs.start}
        try:  # at once, and not by multiprocessing, which would move the tensors among them to shared memory
            pickled = pickle.dumps((arguments, options))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ArgumentError(f"an argument cannot be sent to {name}: {error}") from error
        context = get_context("spawn")  # a fork of a process in which Genesis runs would hang
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, pickled), name=name)
        try:
            with _signals_blocked():
                self._process.start()
        finally:
            theirs.close()
        self._shared: Tensors = {}

    def wait_until_built(self) -> None:
        """Wait for its scene and take the tensors that it shares.

        Raises:
            WorkerError: It failed or died.
        """
        self._shared = self.receive()

    def send(self, command: str, arguments: Sequence[Any], inputs: Tensors) -> None:
        """Let it begin a command of `Shard`.

        Args:
            command: Name of the command.
            arguments: Its arguments.
            inputs: Its tensors by name, `(num_envs, ...)` of all environments.
        """
        for name, tensor in inputs.items():
            self._shared[name].copy_(tensor[self.envs])
        with suppress(OSError):  # the process is gone, which `receive` finds too
            self._connection.send((command, arguments, tuple(inputs)))

    def receive(self) -> Any:
        """Wait until it has followed the command.

        Returns:
            What the command returns; tensors are shared, and the next command changes them.

        Raises:
            WorkerError: It failed or died.
        """
        try:
            error, reply = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(PATIENCE)
            raise WorkerError(f"{self.name} {self._end()}; make a new environment") from None
        if error is not None:
            summary, there = error
            raise WorkerError(f"{self.name} failed: {summary}; make a new environment") from RuntimeError(there)
        return self._shared if reply is None else reply

    def tell_to_end(self) -> None:
        """Close the pipe."""
        self._shared = {}
        self._connection.close()

    def wait_for_end(self) -> None:
        """Wait until the process has ended; kill it if that takes too long."""
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _end(self) -> str:
        """How the process ended."""
        exitcode = self._process.exitcode
        if exitcode is not None and exitcode < 0:
            name = signal.Signals(-exitcode).name
            return f"was killed by {name}" + (", as happens when memory runs out" if name == "SIGKILL" else "")
        hint = ", before its scene was built: in a script, start below `if __name__ == '__main__':`"
        return f"ended with exit code {exitcode}{'' if self._shared else hint}"


def end(workers: Sequence[Worker]) -> None:
    """End processes, all at the same time.

    Args:
        workers: The processes.
    """
    for worker in workers:
        worker.tell_to_end()
    for worker in workers:
        worker.wait_for_end()


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Start a process with the signals blocked that it will ignore, so that none ends it before it does."""
    resource_tracker.ensure_running()  # multiprocessing's own helper unblocks them when it is started
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _work(connection: Connection, pickled: bytes) -> None:
    """A worker's whole life.

    Args:
        connection: The pipe to the process that started this one.
        pickled: Arguments of `BatchedEnv`.
    """
    for number in _IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _IGNORED_SIGNALS)
    logging.getLogger("genesis_gym").setLevel(logging.ERROR)  # the other process gives the same warnings
    try:
        arguments, options = pickle.loads(pickled)
        env = BatchedEnv(*arguments, **options)
        torch.set_num_threads(1)
        shard, shared = Shard(env), shared_tensors(env)
        _answer(connection, None, shared)
        while (message := _next(connection)) is not None:
            command, arguments, names = message
            result = shard.run(command, arguments, {name: shared[name].clone() for name in names})
            if isinstance(result, dict):
                write(shared, result)
            _answer(connection, None, None if isinstance(result, dict) else result)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other process raises it
        _answer(connection, (f"{type(error).__name__}: {error}", traceback.format_exc()), None)


def _next(connection: Connection) -> Any:
    """The next message, or None when the other process is gone."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


def _answer(connection: Connection, error: tuple[str, str] | None, reply: Any) -> None:
    with suppress(OSError):  # the other process is gone, which `_next` finds too
        connection.send((error, reply))
