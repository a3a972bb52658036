"""Comparing observations, infos and runs, and describing them in one line."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import Space, spaces

#: Absolute and relative difference up to which two runs count as the same, that of Gymnasium's `check_env`.
TOLERANCE = 1e-5


def same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Compare arrays, numbers, strings and containers of them; of other objects, which infos may hold, the type.

    Args:
        a: One value.
        b: The other.
        tolerance: Absolute and relative difference up to which floats are equal. NaN equals NaN.

    Returns:
        Whether they are the same, dtypes and shapes included.
    """
    a, b = (value.item() if isinstance(value, np.generic) else value for value in (a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype == object:
            return same(a.ravel().tolist(), b.ravel().tolist(), tolerance)
    if isinstance(a, (float, complex)) or (isinstance(a, np.ndarray) and a.dtype.kind in "fc"):
        return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))
    if isinstance(a, (np.ndarray, int, str, bytes)):
        return bool(np.all(a == b))
    return True


def leaves(space: Space[Any], value: Any, name: str) -> Iterator[tuple[str, Space[Any], Any]]:
    """Walk through the parts of a space together with a value.

    Args:
        space: A space; `Dict` and `Tuple` are descended into.
        value: A value, supposedly of that space.
        name: How the value is called.

    Yields:
        Name, space and value of each part that holds no others, or of a whole whose value has another structure.
    """
    if isinstance(space, spaces.Dict) and isinstance(value, dict) and value.keys() == space.spaces.keys():
        for key, part in space.items():
            yield from leaves(part, value[key], f"{name}[{key!r}]")
    elif isinstance(space, spaces.Tuple) and isinstance(value, tuple) and len(value) == len(space):
        for number, part in enumerate(space):
            yield from leaves(part, value[number], f"{name}[{number}]")
    else:
        yield name, space, value


def layout(space: Space[Any]) -> Any:
    """Kinds, dtypes and shapes of a space, without its bounds; two of them can be compared."""
    if isinstance(space, spaces.Dict):
        return {key: layout(part) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return [layout(part) for part in space]
    return type(space), space.dtype, space.shape


def is_tuple(value: Any, length: int) -> bool:
    """Whether something is a tuple of this length."""
    return isinstance(value, tuple) and len(value) == length


def describe(value: Any) -> str:
    """The kind of a value in a few words: dtype and shape, or type and length."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    kind = f"a {type(value).__name__}"
    return f"{kind} of {len(value)}" if isinstance(value, (tuple, list)) else kind


class _ShortRepr(reprlib.Repr):
    """Writes out small arrays; of an image it gives dtype, shape and range."""

    def repr_ndarray(self, array: np.ndarray[Any, Any], level: int) -> str:
        del level
        if array.size <= 40:
            return np.array2string(array, separator=", ")
        of = f" from {array.min()} to {array.max()}" if array.dtype.kind in "iufb" else ""
        return f"{describe(array)}{of}"


_short = _ShortRepr()
_short.maxother = _short.maxstring = 300


def short(value: Any) -> str:
    """The value as an error quotes it: small arrays in full, images by shape and range."""
    return _short.repr(value)
