"""What callers hand to a batched environment, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from genesis_gym.errors import ActionError, ArgumentError, check_choice, check_positive_int, is_number


def check_action(action: torch.Tensor, num_envs: int, action_dim: int) -> None:
    """Refuse what is no action of every row.

    Args:
        action: The value given.
        num_envs: Rows.
        action_dim: Numbers in one row's action.

    Raises:
        ActionError: It is no floating-point tensor of shape `(num_envs, action_dim)`.
    """
    if not isinstance(action, torch.Tensor) or not action.is_floating_point():
        given = action.dtype if isinstance(action, torch.Tensor) else type(action).__name__
        raise ActionError(f"action has type {given}; it must be a floating-point tensor")
    if action.shape != (num_envs, action_dim):
        raise ActionError(
            f"action has shape {tuple(action.shape)}; it must be (num_envs, action_dim) = "
            f"({num_envs}, {action_dim})"
        )


def check_mask(rows: torch.Tensor, num_envs: int) -> None:
    """Refuse what is no mask of rows.

    Args:
        rows: The value given.
        num_envs: Rows.

    Raises:
        ArgumentError: It is no bool tensor of shape `(num_envs,)`.
    """
    if rows.dtype != torch.bool or rows.shape != (num_envs,):
        raise ArgumentError(
            f"rows has dtype {rows.dtype} and shape {tuple(rows.shape)}; "
            f"it must be a bool mask of shape ({num_envs},)"
        )


def check_seeds(seed: int | Sequence[int | None], num_envs: int) -> list[int | None]:
    """Give each row its seed.

    Args:
        seed: An int gives row i `seed + i`; a sequence has one for each row, or None.
        num_envs: Rows.

    Returns:
        One seed, or None, for each row.

    Raises:
        ArgumentError: The sequence has another length, or a seed is no integer from 0 to 2**63 - 1.
    """
    seeds: list[int | None] = [seed + i for i in range(num_envs)] if isinstance(seed, int) else list(seed)
    if len(seeds) != num_envs:
        raise ArgumentError(f"seed has {len(seeds)} entries; it must have num_envs={num_envs}")
    for s in seeds:
        if s is not None and (not isinstance(s, int) or isinstance(s, bool) or not 0 <= s < 2**63):
            raise ArgumentError(f"seed={s!r} is not allowed; it must be an integer from 0 to 2**63 - 1")
    return seeds


def check_weights(
    given: Mapping[str, float], names: Sequence[str], defaults: Mapping[str, float]
) -> dict[str, float]:
    """Give each reward term its weight.

    Args:
        given: The weights that differ from the task's.
        names: The task's terms.
        defaults: The task's weights; 1 where it names none.

    Returns:
        Term → weight, in the order of `names`.

    Raises:
        ArgumentError: A term is unknown, or a weight is no finite number.
    """
    for name, weight in given.items():
        check_choice("reward_weights: term", name, names)
        if not is_number(weight):
            raise ArgumentError(f"reward_weights: {name}={weight!r} is not allowed; it must be a finite number")
    weights = {**dict.fromkeys(names, 1.0), **defaults, **given}
    return {name: float(weights[name]) for name in names}


def check_parts(parts: Mapping[str, int] | None, own: dict[str, int]) -> dict[str, int]:
    """Decide on the parts of the observation.

    Args:
        parts: Name → size of the declared parts; None for the task's own.
        own: Those of the task.

    Returns:
        Name → size.

    Raises:
        ArgumentError: A size is not allowed, or a part of the task is missing or of another size.
    """
    if parts is None:
        return own
    for name, size in parts.items():
        check_positive_int(f"observation_parts: {name}", size)
    wrong = {name: size for name, size in own.items() if parts.get(name) != size}
    if wrong:
        missing = ", ".join(f"{name}={size}" for name, size in wrong.items())
        raise ArgumentError(f"observation_parts={dict(parts)} lacks parts of the task's observation: {missing}")
    return dict(parts)
