"""States of learners: nested dicts of tensors and numbers, checked as a whole before anything is changed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from genesis_gym.errors import safe_repr

State = dict[str, Any]


def portable(value: Any) -> Any:
    """A copy of a nested state for a file: tensors on the CPU, each with a storage of its own size.

    Args:
        value: Dicts, lists, tuples, tensors, arrays and plain values.

    Returns:
        The same, with arrays as tensors.
    """
    if isinstance(value, Mapping):
        return {name: portable(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [portable(entry) for entry in value]
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value if value.flags.c_contiguous else value.copy())
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu().contiguous()
        exact = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        return tensor if exact else tensor.clone()
    return value.item() if isinstance(value, np.generic) else value


def check_like(own: Any, given: Any, place: str, *, finite: bool = False, unchecked: bool = False) -> None:
    """Refuse a nested state with other keys, shapes, dtypes or types than one's own.

    Args:
        own: What it must be like.
        given: The state.
        place: Its name, for the error.
        finite: Refuse numbers that are not finite, too.
        unchecked: Values of `own` that are None are not checked.

    Raises:
        ValueError: It differs; the place is named.
    """
    if own is None and unchecked:
        return
    if isinstance(own, Mapping):
        if not isinstance(given, Mapping):
            raise ValueError(f"{place} is no group of values")
        for name in own.keys() ^ given.keys():
            raise ValueError(f"{place}: {safe_repr(name)} is {'missing' if name in own else 'unknown'}")
        for name, entry in own.items():
            check_like(entry, given[name], f"{place}/{name}", finite=finite, unchecked=unchecked)
        return
    if isinstance(own, np.ndarray):
        own = torch.from_numpy(own)
    if isinstance(own, torch.Tensor):
        if not isinstance(given, torch.Tensor):
            raise ValueError(f"{place} is no tensor")
        if (given.dtype, given.shape) != (own.dtype, own.shape):
            raise ValueError(f"{place} is {given.dtype} {tuple(given.shape)}, not {own.dtype} {tuple(own.shape)}")
        if finite and not bool(torch.isfinite(given).all()):
            raise ValueError(f"{place} holds numbers that are not finite")
        return
    if type(given) is not type(own) or (isinstance(given, float) and not math.isfinite(given)):
        raise ValueError(f"{place} is {safe_repr(given)}, no finite {type(own).__name__}")


# Optimisers: those of the learners here are Adam's


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """The moments of an optimiser: number of each parameter that has some → their tensors."""
    return {str(index): dict(entry) for index, entry in optimizer.state_dict()["state"].items()}


def check_optimizer(optimizer: torch.optim.Optimizer, state: Any, place: str) -> None:
    """Refuse moments that torch would load and fail on in a later step.

    Raises:
        ValueError: They do not fit the parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not isinstance(state, Mapping):
        raise ValueError(f"{place} is no group of values")
    for index, entry in state.items():
        if not (isinstance(index, str) and index.isdecimal() and len(index) < 9 and int(index) < len(parameters)):
            raise ValueError(f"{place} has a parameter {safe_repr(index)} of {len(parameters)}")
        like = parameters[int(index)].detach()
        own = {"step": torch.zeros(()), "exp_avg": like, "exp_avg_sq": like}
        check_like(own, entry, f"{place}/{index}", finite=True)
        if bool(entry["step"] < 0) or bool((entry["exp_avg_sq"] < 0).any()):
            raise ValueError(f"{place}/{index} has negative numbers")


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimiser moments that `check_optimizer` accepts; its learning rate stays its own."""
    moments = {int(index): dict(entry) for index, entry in state.items()}
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


# Random generators of the process, from which SB3 and RSL-RL draw


def generator_state() -> State:
    """The states of torch's, NumPy's and Python's global generators."""
    _, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    _, words, spare = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": {
            "keys": torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            "place": int(place),
            "has_gauss": int(has_gauss),
            "gauss": float(gauss),
        },
        "python": {"words": torch.tensor(words, dtype=torch.int64), "spare": [] if spare is None else [spare]},
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def check_generators(state: Any) -> None:
    """Refuse states that are none of these generators.

    Raises:
        ValueError: They are not.
    """
    own = generator_state()
    own["python"]["spare"] = None
    check_like(own, state, "generators", unchecked=True)
    spare = state["python"]["spare"]
    if not (isinstance(spare, list) and len(spare) < 2 and all(isinstance(number, float) for number in spare)):
        raise ValueError("generators/python/spare is no number")
    if not 0 <= state["numpy"]["place"] <= 624:  # NumPy does not check it, and would read beyond its 624 words
        raise ValueError(f"generators/numpy/place is {state['numpy']['place']}")
    words = state["python"]["words"].tolist()
    try:
        torch.Generator().set_state(state["torch"])
        random.Random().setstate((3, tuple(words), None))
    except (RuntimeError, ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"generators: {error}") from error


def load_generators(state: Mapping[str, Any]) -> None:
    """Set the generators to states that `check_generators` accepts."""
    torch.set_rng_state(state["torch"])
    numpy, python = state["numpy"], state["python"]
    keys = numpy["keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, numpy["place"], numpy["has_gauss"], numpy["gauss"]))
    spare = python["spare"]
    random.setstate((3, tuple(python["words"].tolist()), spare[0] if spare else None))
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
