"""Errors that a user can correct: one line that names what was given and what is allowed."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable
from numbers import Integral, Real

import gymnasium


class GenesisGymError(Exception):
    """Base of every error raised on purpose by genesis-gym; its message is one line, whatever it quotes."""

    def __str__(self) -> str:
        """The message; what a terminal could take for a command is escaped."""
        text = super().__str__()
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ArgumentError(GenesisGymError, ValueError):
    """An argument has a value that is not allowed."""


class UnexpectedArgumentError(ArgumentError, TypeError):
    """There is no argument of that name: a `TypeError`, as Python's own, which clients such as torchrl catch."""


class ActionError(GenesisGymError, ValueError):
    """An action has the wrong shape or dtype."""


class NotResetError(GenesisGymError, gymnasium.error.ResetNeeded):
    """`step` or `render` was called before `reset`."""


class ClosedError(GenesisGymError, gymnasium.error.ClosedEnvironmentError):
    """A closed environment was used."""


class ForkError(GenesisGymError, RuntimeError):
    """Genesis cannot run in a process that was forked from one in which it runs."""


class WorkerError(GenesisGymError, RuntimeError):
    """A worker process failed or died, or could not build its scene."""


class MissingDependencyError(GenesisGymError, RuntimeError):
    """A system library, a display or an optional package is missing."""


class RunFolderError(GenesisGymError, ValueError):
    """A run folder cannot be read or created."""


class WriteError(GenesisGymError, OSError):
    """A file cannot be written: the disk is full, or its folder may not be written to."""


#: Bounded in length and depth: what is quoted may come from a file that was made to be long.
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 100
_short.maxlist = _short.maxtuple = _short.maxdict = 20
_short.maxlevel = 3


def safe_repr(value: object) -> str:
    """How an error quotes a value.

    Args:
        value: Anything.

    Returns:
        Its `repr`, shortened where it is long.
    """
    try:
        return _short.repr(value)
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "a huge integer"


def check_choice(name: str, given: object, allowed: Iterable[str]) -> None:
    """Refuse a value that is not one of the allowed names.

    Args:
        name: What the argument is called where the user wrote it.
        given: The value given.
        allowed: The names allowed.

    Raises:
        ArgumentError: `given` is not among `allowed`; the nearest name is suggested.
    """
    names = list(allowed)
    if given in names:
        return
    near = difflib.get_close_matches(given[:100] if isinstance(given, str) else safe_repr(given), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ArgumentError(f"{name}={safe_repr(given)} is not known{hint}; allowed: {', '.join(map(repr, names))}")


def check_positive_int(name: str, given: object) -> None:
    """Refuse anything but an integer of at least 1.

    Args:
        name: What the argument is called where the user wrote it.
        given: The value given.

    Raises:
        ArgumentError: `given` is no integer or is below 1.
    """
    if isinstance(given, bool) or not isinstance(given, Integral) or given < 1:
        raise ArgumentError(f"{name}={safe_repr(given)} is not allowed; it must be an integer of at least 1")


def is_number(given: object) -> bool:
    """Whether something is a finite real number.

    Args:
        given: Anything.

    Returns:
        False for bools, NaN and infinities too.
    """
    return not isinstance(given, bool) and isinstance(given, Real) and math.isfinite(given)
