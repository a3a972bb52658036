"""The state of objects: found by walking their attributes, so that nothing can be forgotten."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genesis_gym.errors import ArgumentError

#: Nested dictionaries of tensors.
State = dict[str, Any]

#: Packages whose objects belong to the simulator, whose state the world keeps.
_FOREIGN = ("genesis", "quadrants", "torch", "numpy", "builtins")


class Cache(dict[str, torch.Tensor]):
    """Values read from the simulator, which are never part of a state."""


class Stateful:
    """Something whose future depends on tensors.

    Tensors and other stateful things that are assigned to attributes, also in lists, tuples and dictionaries, are
    its state.
    """

    def state_dict(self) -> State:
        """Everything that its future depends on.

        Returns:
            Attribute name → tensor or nested dictionary; the tensors are copies.

        Raises:
            ArgumentError: A tensor hides in a container that is not walked, and would be forgotten.
        """
        return _state_of(self, set())

    def load_state_dict(self, state: State) -> None:
        """Continue from what `state_dict` gave.

        Args:
            state: The tensors, of an object of the same class and number of environments.

        Raises:
            ArgumentError: The tensors do not fit; nothing is changed then.
        """
        check_state(self.state_dict(), state)
        restore(self, state)

    def _state_items(self) -> Iterator[tuple[str, Any]]:
        """The attributes that are walked."""
        yield from vars(self).items()

    def _load_item(self, name: str, value: Any) -> None:
        """Take an attribute over from a state."""
        setattr(self, name, value)


def check_state(own: Any, given: Any, where: str = "state") -> None:
    """Refuse a state that belongs to something else.

    Lists may have other lengths: a history grows.

    Args:
        own: The present state.
        given: The one to load.
        where: What it is called in the error.

    Raises:
        ArgumentError: A name, a shape or a dtype differs.
    """
    if isinstance(own, torch.Tensor):
        fits = f"{own.dtype} {tuple(own.shape)}"
        has = f"{given.dtype} {tuple(given.shape)}" if isinstance(given, torch.Tensor) else type(given).__name__
        if has != fits:
            raise ArgumentError(f"state is of another environment: {where} is {has}; it must be {fits}")
        return
    if not isinstance(given, Mapping):
        raise ArgumentError(f"state is of another environment: {where} is no dictionary")
    if _is_list(own) and _is_list(given):
        example = next(iter(own.values()), None)
        for name, part in given.items():
            if example is not None:
                check_state(own.get(name, example), part, f"{where}/{name}")
        return
    if different := sorted(map(str, own.keys() ^ given.keys())):
        raise ArgumentError(f"state is of another environment: {where}/{different[0]} is in one of the two only")
    for name, part in own.items():
        check_state(part, given[name], f"{where}/{name}")


def restore(part: Stateful, state: State) -> None:
    """Load a state of this very object without checks; attributes that are younger than the state vanish."""
    _load(part, state, set())


def _is_list(state: Mapping[str, Any]) -> bool:
    """Whether a part of a state comes from a list: an empty one, or one with numbers for names."""
    return all(name.isdecimal() for name in state)


def _state_of(part: Stateful, seen: set[int]) -> State:
    seen.add(id(part))
    state = {}
    for name, value in part._state_items():
        found = _attribute(value, f"{type(part).__name__}.{name}", seen)
        if found is not None:
            state[name] = found
    return state


def _attribute(value: Any, where: str, seen: set[int]) -> Any:
    """State of an attribute: a copy of a tensor, a nested dictionary, or None where there is none."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, Stateful):
        return None if id(value) in seen else _state_of(value, seen)
    if isinstance(value, torch.nn.Module):
        return {name: tensor.clone() for name, tensor in value.state_dict().items()}
    if isinstance(value, Cache):
        return None
    if isinstance(value, (list, tuple, dict)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        parts = {str(name): _attribute(item, f"{where}[{name!r}]", seen) for name, item in items}
        kept = {name: part for name, part in parts.items() if part is not None}
        return kept if kept or (isinstance(value, list) and not value) else None
    if (hidden := _hidden_tensor(value)) is not None:
        raise ArgumentError(
            f"{where} is a {type(value).__name__} that holds a tensor{hidden}, which a state would forget; keep "
            "tensors in attributes, lists, tuples, dictionaries, or in a Component"
        )
    return None


def _hidden_tensor(value: Any, where: str = "", seen: set[int] | None = None) -> str | None:
    """Where an object that is not walked holds a tensor or something stateful; None if it does not."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, (type, str)):
        return None
    seen.add(id(value))
    if isinstance(value, Mapping):
        inside = [(where, item) for item in value.values()]
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        inside = [(where, item) for item in value]
    elif type(value).__module__.partition(".")[0] in _FOREIGN:
        return None
    else:
        slots = {name: getattr(value, name, None) for name in getattr(type(value), "__slots__", ())}
        attributes = {**slots, **getattr(value, "__dict__", {})}
        inside = [(where or f" in {name}", item) for name, item in attributes.items()]
    for place, item in inside:
        if isinstance(item, (torch.Tensor, Stateful)):
            return place
        if (hidden := _hidden_tensor(item, place, seen)) is not None:
            return hidden
    return None


def _load(part: Stateful, state: State, seen: set[int]) -> None:
    seen.add(id(part))
    for name, value in list(part._state_items()):
        if name in state:
            part._load_item(name, _loaded(value, state[name], seen))
        elif isinstance(value, torch.Tensor):
            delattr(part, name)


def _loaded(value: Any, state: Any, seen: set[int]) -> Any:
    """An attribute as a state has it."""
    if isinstance(value, torch.Tensor):
        return state.to(value.device, copy=True)
    if isinstance(value, Stateful):
        _load(value, state, seen)
        return value
    if isinstance(value, torch.nn.Module):
        value.load_state_dict(state)
        return value
    if isinstance(value, dict):
        loaded_items = {
            name: _loaded(item, state[str(name)], seen) if str(name) in state else item
            for name, item in value.items()
            if str(name) in state or not isinstance(item, torch.Tensor)
        }
        present = {str(name) for name in value}
        tensors = {name: part for name, part in state.items() if isinstance(part, torch.Tensor)}
        loaded_items.update({name: part.clone() for name, part in tensors.items() if name not in present})
        loaded_dict = copy.copy(value)  # whatever kind of dictionary it is
        loaded_dict.clear()
        loaded_dict.update(loaded_items)
        return loaded_dict
    if isinstance(value, list) and all(isinstance(item, torch.Tensor) for item in value):
        example = value[0].device if value else None
        return [part.to(example or part.device, copy=True) for part in state.values()]
    loaded = [_loaded(item, state[str(i)], seen) if str(i) in state else item for i, item in enumerate(value)]
    if isinstance(value, list):
        return loaded
    return type(value)(*loaded) if hasattr(value, "_fields") else type(value)(loaded)
