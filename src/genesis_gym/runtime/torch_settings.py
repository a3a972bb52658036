"""The process-wide settings of torch that the simulation needs, held only while it runs.

- One thread: its tensor operations are small, and more threads cost them up to 8× beside a busy core. Where the
  user has set `OMP_NUM_THREADS`, that number stays.
- float32 as the default dtype: Genesis computes in it, and a process may have another default.

Both belong to the caller: a policy beside the environment uses every core and whatever dtype it likes. A block
costs 0.4 µs, 1 µs where it changes the number of threads, and 4 µs where it changes the default dtype (measured).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

#: OpenMP reads the variable once, when torch is imported.
_USER_SET_THREADS = "OMP_NUM_THREADS" in os.environ

P = ParamSpec("P")
R = TypeVar("R")


class simulation_settings:  # noqa: N801 - a context manager, named as contextlib names its own
    """Hold the settings within the block, and put the caller's back when it ends, also by an exception."""

    __slots__ = ("_dtype", "_threads")

    def __enter__(self) -> None:
        self._threads = torch.get_num_threads()
        self._dtype = torch.get_default_dtype()
        if self._threads != 1 and not _USER_SET_THREADS:
            torch.set_num_threads(1)
        if self._dtype is not torch.float32:
            torch.set_default_dtype(torch.float32)

    def __exit__(self, *_: object) -> None:
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        if self._dtype is not torch.float32:
            torch.set_default_dtype(self._dtype)


def with_simulation_settings(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function within `simulation_settings`, such as `step` and `reset` of an environment.

    Args:
        function: Any function or method.

    Returns:
        It, wrapped.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with simulation_settings():
            return function(*args, **kwargs)

    return wrapped
