"""Checkpoints: everything that training needs to continue as if nothing had happened, in one file.

A checkpoint is one nested dict, written by `torch.save` and read with `weights_only=True`: networks, optimisers,
normaliser, replay buffer, curriculum, the state of the environment and of every random generator. All of it is
checked against the run before anything is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genesis_gym.core import Core
from genesis_gym.errors import ArgumentError, RunFolderError, safe_repr
from genesis_gym.learning.agents.learner import Learner
from genesis_gym.learning.agents.ranks import gather, rank, world_size
from genesis_gym.learning.agents.state import (
    State,
    check_generators,
    check_like,
    generator_state,
    load_generators,
    portable,
)
from genesis_gym.learning.runs.files import MAX_CHECKPOINT, check_folder, read_state
from genesis_gym.learning.runs.folder import CHECKPOINT_FILE, write_state

CHECKPOINT_VERSION = 1

#: Parts of an observation that an error names at most.
MAX_NAMED = 12


class Score(NamedTuple):
    """An evaluation's success rate, and its mean return, which breaks ties."""

    success_rate: float = -1.0
    mean_reward: float = -sys.float_info.max


def save_checkpoint(learner: Learner, folder: Path, best: Score) -> None:
    """Write the checkpoint of a run, between two rollouts. Every rank must call it; rank 0 writes for all.

    Args:
        learner: The learner.
        folder: The run folder.
        best: Of the best evaluation so far.
    """
    env = learner.env
    shares = gather(
        portable({"loop": learner.loop_state(), "generators": generator_state(), "environment": env.state_dict()})
    )
    if rank() > 0:
        return
    checkpoint = {
        "version": CHECKPOINT_VERSION,
        "algorithm": learner.config.algorithm,
        "ranks": world_size(),
        "timesteps": learner.timesteps,
        "best": list(best),
        "observation": observation_sizes(env),
        "action_dim": env.action_dim,
        "model": portable(learner.model_state()),
        "shares": list(shares),
    }
    write_state(folder / CHECKPOINT_FILE, checkpoint)


def read_checkpoint(folder: Path) -> State:
    """Read the checkpoint of a run.

    Args:
        folder: The run folder.

    Returns:
        The checkpoint; `resume` and `load_model` check its content.

    Raises:
        RunFolderError: There is none, or it cannot be read.
    """
    check_folder(folder)
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        raise RunFolderError(f"{folder} has no {CHECKPOINT_FILE} to continue from")
    state = read_state(path, MAX_CHECKPOINT)
    version = state.get("version") if isinstance(state, dict) else None
    if version != CHECKPOINT_VERSION:
        raise RunFolderError(f"{path} has version {safe_repr(version)}; this release reads {CHECKPOINT_VERSION}")
    own = {
        "version": CHECKPOINT_VERSION,
        "algorithm": "",
        "ranks": 1,
        "timesteps": 0,
        "best": None,
        "observation": None,
        "action_dim": 1,
        "model": None,
        "shares": None,
    }
    try:
        check_like(own, state, "checkpoint", unchecked=True)
        check_like(dict.fromkeys(state["observation"], 0), state["observation"], "observation")
        for figure in (best := state["best"]):
            check_like(0.0, figure, "best")
        if len(best) != len(Score._fields):
            raise ValueError(f"best has {len(best)} figures")
    except (TypeError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    return dict(state)


def load_model(folder: Path, learner: Learner) -> None:
    """Give a new learner the networks, optimisers and normaliser of another run.

    Args:
        folder: The other run folder.
        learner: The learner, not yet trained.

    Raises:
        RunFolderError: Its algorithm, observation, actions or networks differ; the difference is spelled out.
    """
    checkpoint = read_checkpoint(folder)
    _check_fit(folder, checkpoint, learner)
    try:
        learner.check_model_state(checkpoint["model"])
    except ValueError as error:
        raise _misfit(folder, error) from error
    learner.load_model_state(checkpoint["model"])


def resume(folder: Path, learner: Learner) -> Score:
    """Put a learner and its environment back to where a run stopped, bit for bit on the same machine.

    Args:
        folder: The run folder.
        learner: A learner made from the run's config.

    Returns:
        Of the best evaluation so far.

    Raises:
        RunFolderError: As for `load_model`, or the state of the environment does not fit.
    """
    checkpoint = read_checkpoint(folder)
    _check_fit(folder, checkpoint, learner)
    if (ranks := checkpoint["ranks"]) != world_size():
        raise RunFolderError(
            f"{folder} was trained by {safe_repr(ranks)} ranks, not by {world_size()}: "
            "resume it with torchrun and as many"
        )
    shares = checkpoint["shares"]
    try:
        if not isinstance(shares, list) or len(shares) != ranks or not isinstance(shares[rank()], Mapping):
            raise ValueError("it has no share for each rank")
        share = shares[rank()]
        check_like(dict.fromkeys(("loop", "generators", "environment")), share, "share", unchecked=True)
        learner.check_model_state(checkpoint["model"])
        learner.check_loop_state(share["loop"])
        check_generators(share["generators"])
        learner.env.load_state_dict(share["environment"])  # checks itself, and is the first to change
    except (ArgumentError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _misfit(folder, error) from error
    learner.load_model_state(checkpoint["model"])
    learner.load_loop_state(share["loop"])
    load_generators(share["generators"])
    return Score(*checkpoint["best"])


def _misfit(folder: Path, error: Exception) -> RunFolderError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
    return RunFolderError(f"{folder / CHECKPOINT_FILE} does not fit the run: {reason}")


def _check_fit(folder: Path, checkpoint: State, learner: Learner) -> None:
    """Refuse another algorithm or other spaces, with the difference spelled out."""
    algorithm, env = learner.config.algorithm, learner.env
    if checkpoint["algorithm"] != algorithm:
        raise RunFolderError(f"{folder} was trained by {safe_repr(checkpoint['algorithm'])}, not by {algorithm!r}")
    if (actions := checkpoint["action_dim"]) != env.action_dim:
        raise RunFolderError(
            f"{folder} has actions of {safe_repr(actions)} numbers, this environment of {env.action_dim}"
        )
    check_match(str(folder), checkpoint["observation"], "this environment", observation_sizes(env))


def check_match(there: str, theirs: Mapping[str, int], here: str, ours: Mapping[str, int]) -> None:
    """Refuse two different observations, with the difference spelled out.

    Args:
        there: Where the policy comes from.
        theirs: The parts of the observation there and their sizes, in order.
        here: Where it is to continue.
        ours: The parts here.

    Raises:
        RunFolderError: They differ.
    """
    if list(theirs.items()) == list(ours.items()):
        return
    only_theirs = _in_words({name: size for name, size in theirs.items() if ours.get(name) != size})
    only_ours = _in_words({name: size for name, size in ours.items() if theirs.get(name) != size})
    difference = f"only there: {only_theirs}; only here: {only_ours}"
    if only_theirs == only_ours:
        difference = f"there the order is {_in_words(theirs)}; here it is {_in_words(ours)}"
    raise RunFolderError(
        f"{there} has another observation than {here} ({difference}); "
        "declare one common observation for both (observation_parts)"
    )


def observation_sizes(env: Core) -> dict[str, int]:
    """The parts of an environment's observation and their sizes, in order.

    Args:
        env: The environment.

    Returns:
        Part → numbers in it; parts of other groups than the first as `group/part`, an image as its group.
    """
    sizes: dict[str, Any] = {}
    for index, (group, parts) in enumerate(env.observation_layout.items()):
        prefix = "" if index == 0 else f"{group}/"
        sizes |= {f"{prefix}{name}": place.stop - place.start for name, place in parts.items()}
        if not parts:
            sizes[group] = env.observation[group][0].numel()
    return sizes


def _in_words(sizes: Mapping[str, Any]) -> str:
    words = [f"{str(name)[:50]}={size}" for name, size in sizes.items()]
    more = [f"and {len(words) - MAX_NAMED} more"] if len(words) > MAX_NAMED else []
    return ", ".join([*words[:MAX_NAMED], *more]) or "nothing"
