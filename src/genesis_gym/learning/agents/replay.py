"""The state of SB3's replay buffers, those of hindsight included."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer

from genesis_gym.learning.agents.state import State, check_like

#: Arrays of a replay buffer, and those of the episodes for hindsight, each `(size, num_envs, ...)`.
STEP_FIELDS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
EPISODE_FIELDS = ("ep_start", "ep_length")


def replay_state(buffer: Any) -> State:
    """The filled part of a replay buffer; its arrays are not copied.

    Args:
        buffer: SB3's buffer.

    Returns:
        The state.
    """
    filled = buffer.buffer_size if buffer.full else buffer.pos
    state: State = {
        "position": int(buffer.pos),
        "full": bool(buffer.full),
        "steps": {name: array[:filled] for name, array in _arrays(buffer).items()},
    }
    if isinstance(buffer, HerReplayBuffer):
        state["episode_begin"] = buffer._current_ep_start
    return state


def check_replay(buffer: Any, state: Any) -> None:
    """Refuse the state of another buffer.

    Raises:
        ValueError: It does not fit; the difference is named.
    """
    hindsight = isinstance(buffer, HerReplayBuffer)
    place = "loop/replay_buffer"
    own: State = {"position": 0, "full": False, "steps": None}
    if hindsight:
        own["episode_begin"] = buffer._current_ep_start
    check_like(own, state, place, unchecked=True)
    if not 0 <= state["position"] < buffer.buffer_size:
        raise ValueError(f"{place} ends at {state['position']} of {buffer.buffer_size}")
    filled = buffer.buffer_size if state["full"] else state["position"]
    check_like(
        {name: array[:filled] for name, array in _arrays(buffer).items()}, state["steps"], place, finite=True
    )
    if hindsight:
        starts, lengths = (state["steps"][name].numpy() for name in EPISODE_FIELDS)
        _check_episodes(starts, lengths, state["episode_begin"].numpy(), buffer.buffer_size)


def load_replay(buffer: Any, state: State) -> None:
    """Fill a buffer with a state that `check_replay` accepts."""
    buffer.pos, buffer.full = state["position"], state["full"]
    filled = buffer.buffer_size if buffer.full else buffer.pos
    for name, array in _arrays(buffer).items():
        array[:filled] = state["steps"][name].numpy()
    if isinstance(buffer, HerReplayBuffer):
        buffer._current_ep_start[:] = state["episode_begin"].numpy()


def _arrays(buffer: Any) -> dict[str, NDArray[Any]]:
    fields = STEP_FIELDS + (EPISODE_FIELDS if isinstance(buffer, HerReplayBuffer) else ())
    arrays: dict[str, NDArray[Any]] = {}
    for field in fields:
        value = getattr(buffer, field)
        parts = {f"{field}/{group}": part for group, part in value.items()} if isinstance(value, dict) else {}
        arrays |= parts or {field: value}
    return arrays


def _check_episodes(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], current: NDArray[np.int64], size: int
) -> None:
    """Refuse episodes that do not lie in the buffer, around their steps: sampling would fail on them.

    Raises:
        ValueError: They do not.
    """
    steps = (np.arange(len(starts))[:, None] - starts) % size
    fit = (
        (starts >= 0) & (starts < size) & (lengths >= 0) & (lengths <= size) & ((lengths == 0) | (steps < lengths))
    )
    if not (fit.all() and (current >= 0).all() and (current < size).all()):
        raise ValueError("the episodes of the replay buffer do not fit its steps")
