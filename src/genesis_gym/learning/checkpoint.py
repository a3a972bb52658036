"""Checkpoints: all that training needs to go on as if nothing had happened, in one file.

A checkpoint holds the policy, the optimisers, the normaliser's statistics, the replay buffer, the curriculum, the
state of every random generator and that of the environment. It is written whole and read without unpickling.
"""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from gymnasium.spaces import Dict
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnvWrapper, VecMonitor

from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, RunFolderError, safe_repr
from genesis_gym.learning.config import MAX_TIMESTEPS
from genesis_gym.learning.files import MAX_CHECKPOINT, check_folder, read_tensors
from genesis_gym.learning.runs import CHECKPOINT_FILE, write_whole
from genesis_gym.runtime.ranks import gather, rank, world_size

Tensors = dict[str, torch.Tensor]

#: What the replay buffer of SAC, TQC and TD3 keeps of each step, and for hindsight of the episode that it is in.
BUFFER_FIELDS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
EPISODE_FIELDS = ("ep_start", "ep_length")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        folder: The run folder that it was read from.
        description: Names and numbers about it.
        tensors: Everything else.
    """

    folder: Path
    description: dict[str, Any]
    tensors: Tensors

    def part(self, prefix: str) -> Tensors:
        """The tensors whose names begin so, without that beginning."""
        return {n.removeprefix(prefix): tensor for n, tensor in self.tensors.items() if n.startswith(prefix)}

    def share(self, number: int) -> Checkpoint:
        """What belongs to one rank alone: its rows, its place in the loop and its generators."""
        return self if number == 0 else replace(self, tensors=self.part(f"rank{number}/"))


def save_checkpoint(model: BaseAlgorithm, env: BatchedEnv, folder: Path, best: tuple[float, float]) -> None:
    """Write the checkpoint of a run, between two rollouts. Every rank must call it; rank 0 writes for all.

    Args:
        model: The model in training.
        env: Its environment.
        folder: The run folder.
        best: Success rate and mean return of the best evaluation so far.
    """
    share = {f"loop/{name}": torch.as_tensor(value) for name, value in _loop_arrays(model).items()}
    share |= {f"generator/{name}": value for name, value in _generator_tensors().items()}
    share |= {f"environment/{name}": value for name, value in env.state().items()}
    shares = gather(_on_cpu(share))
    if rank() > 0:
        return
    tensors = _on_cpu(_model_tensors(model)) | shares[0]
    for number, other in enumerate(shares[1:], start=1):
        tensors |= {f"rank{number}/{name}": value for name, value in other.items()}
    description = {
        "algorithm": type(model).__name__,
        "ranks": world_size(),
        "timesteps": model.num_timesteps,
        "updates": model._n_updates,
        "episodes": model._episode_num,
        "best": list(best),
        "observation": layout_of(env),
        "action_dim": env.action_dim,
        "action_generator": model.action_space.np_random.bit_generator.state,
    }
    metadata = {"description": json.dumps(description)}
    write_whole(
        folder / CHECKPOINT_FILE, lambda path: safetensors.torch.save_file(tensors, path, metadata=metadata)
    )


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint of a run.

    Args:
        folder: The run folder.

    Returns:
        The checkpoint.

    Raises:
        RunFolderError: There is none, or it cannot be read.
    """
    check_folder(folder)
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        raise RunFolderError(f"{folder} has no {CHECKPOINT_FILE} to go on from")
    metadata, tensors = read_tensors(path, MAX_CHECKPOINT)
    for name, tensor in tensors.items():
        if re.match(r"(rank\d+/)?environment/", name):
            continue  # the solver's limits are infinite, and what is not finite in a row is a fault of that row
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise RunFolderError(f"{path} cannot be read: {name} holds numbers that are not finite")
    try:
        description = json.loads(metadata.get("description", "null"))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    kinds = {
        "algorithm": str,
        "timesteps": int,
        "updates": int,
        "episodes": int,
        "best": list,
        "observation": dict,
        "action_dim": int,
        "action_generator": dict,
    }
    if not isinstance(description, dict) or any(
        not isinstance(description.get(name), kind) for name, kind in kinds.items()
    ):
        raise RunFolderError(f"{path} cannot be read: its description is damaged")
    if not 0 <= description["timesteps"] <= 2 * MAX_TIMESTEPS:
        raise RunFolderError(f"{path} cannot be read: timesteps={safe_repr(description['timesteps'])} is not allowed")
    return Checkpoint(folder, description, tensors)


def carry_over(checkpoint: Checkpoint, model: BaseAlgorithm, env: BatchedEnv) -> None:
    """Give a new model the policy, the optimisers and the normaliser of another run.

    Args:
        checkpoint: Of the other run.
        model: The model, not yet trained.
        env: Its environment.

    Raises:
        RunFolderError: Its spaces, algorithm or networks differ; the difference is spelled out.
    """
    _check_fit(checkpoint, model, env)
    try:
        _restore_model(checkpoint, model)
    except (KeyError, IndexError, TypeError, RuntimeError, ValueError) as error:
        raise _misfit(checkpoint, error) from error


def resume(checkpoint: Checkpoint, model: BaseAlgorithm, env: BatchedEnv) -> tuple[float, float]:
    """Put a model and its environment back to where a run stopped, bit for bit on the same machine.

    Args:
        checkpoint: Of the run.
        model: A model made from the run's config, its environment wrapped as in the run.
        env: Its environment.

    Returns:
        Success rate and mean return of the best evaluation so far.

    Raises:
        RunFolderError: As for `carry_over`, or the state of the environment does not fit.
    """
    _check_fit(checkpoint, model, env)
    description, share = checkpoint.description, checkpoint.share(rank())
    if (ranks := description.get("ranks", 1)) != world_size():
        raise RunFolderError(
            f"{checkpoint.folder} was trained by {safe_repr(ranks)} ranks, not by {world_size()}: "
            f"go on with torchrun and as many"
        )
    try:
        success, reward = (float(figure) for figure in description["best"])
        _restore_model(checkpoint, model)
        env.restore(share.part("environment/"))
        _restore_loop(share, model)
        _restore_generators(share.part("generator/"))
        model.action_space.np_random.bit_generator.state = description["action_generator"]
    except (ArgumentError, KeyError, IndexError, TypeError, RuntimeError, ValueError) as error:
        raise _misfit(checkpoint, error) from error
    model.num_timesteps = description["timesteps"]
    model._n_updates, model._episode_num = description["updates"], description["episodes"]
    return success, reward


def _on_cpu(tensors: Tensors) -> Tensors:
    return {name: value.detach().contiguous().cpu() for name, value in tensors.items()}


def _misfit(checkpoint: Checkpoint, error: Exception) -> RunFolderError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
    return RunFolderError(f"{checkpoint.folder / CHECKPOINT_FILE} does not fit the run: {reason}")


def _check_fit(checkpoint: Checkpoint, model: BaseAlgorithm, env: BatchedEnv) -> None:
    """Refuse another algorithm or other spaces, with the difference spelled out."""
    folder, description = checkpoint.folder, checkpoint.description
    algorithm = type(model).__name__
    if description["algorithm"] != algorithm:
        raise RunFolderError(f"{folder} was trained by {description['algorithm']}, not by {algorithm}")
    if (actions := description["action_dim"]) != env.action_dim:
        raise RunFolderError(f"{folder} has actions of {actions} numbers, this environment of {env.action_dim}")
    check_match(str(folder), description["observation"], "this environment", layout_of(env))


def check_match(there: str, theirs: Mapping[str, int], here: str, ours: Mapping[str, int]) -> None:
    """Refuse two different observations, with the difference spelled out.

    Args:
        there: Where the policy comes from.
        theirs: The parts of the observation there and their sizes, in order.
        here: Where it is to go on.
        ours: The parts here.

    Raises:
        RunFolderError: They differ.
    """
    if list(theirs.items()) == list(ours.items()):
        return
    only_theirs = _parts({name: size for name, size in theirs.items() if ours.get(name) != size})
    only_ours = _parts({name: size for name, size in ours.items() if theirs.get(name) != size})
    difference = f"only there: {only_theirs}; only here: {only_ours}"
    if only_theirs == only_ours:
        difference = f"there the order is {_parts(theirs)}; here it is {_parts(ours)}"
    raise RunFolderError(
        f"{there} has another observation than {here} ({difference}); "
        "declare one common observation for both (observation_parts)"
    )


def layout_of(env: BatchedEnv) -> dict[str, int]:
    """The parts of an environment's observation and their sizes, in order."""
    return {name: place.stop - place.start for name, place in env.observation_layout.items()}


# What a model has learned


def _model_tensors(model: BaseAlgorithm) -> Tensors:
    tensors: Tensors = {}
    for part, state in model.get_parameters().items():
        if part.endswith("optimizer"):
            for index, entries in state["state"].items():
                tensors.update({f"{part}/{index}/{name}": value for name, value in entries.items()})
        else:
            tensors.update({f"{part}/{name}": value for name, value in state.items()})
    if isinstance(log_ent_coef := getattr(model, "log_ent_coef", None), torch.Tensor):
        tensors["log_ent_coef"] = log_ent_coef
    if (rate := getattr(model, "adaptive_learning_rate", None)) is not None:
        tensors["learning_rate"] = torch.tensor(rate, dtype=torch.float64)
    for name, statistics in _statistics(model).items():
        for field in ("mean", "var", "count"):
            tensors[f"{name}/{field}"] = torch.tensor(getattr(statistics, field), dtype=torch.float64)
    return tensors


def _restore_model(checkpoint: Checkpoint, model: BaseAlgorithm) -> None:
    parameters: dict[str, Any] = model.get_parameters()
    for part, state in parameters.items():
        own = checkpoint.part(f"{part}/")
        if part.endswith("optimizer"):
            entries: dict[int, Tensors] = {}
            for name, tensor in own.items():
                index, _, field = name.partition("/")
                entries.setdefault(int(index), {})[field] = tensor
            _check_optimizer(attrgetter(part)(model), entries)
            state["state"] = entries
        else:
            parameters[part] = own
    model.set_parameters(parameters, exact_match=True, device=model.device)
    if isinstance(log_ent_coef := getattr(model, "log_ent_coef", None), torch.Tensor):
        log_ent_coef.data.copy_(checkpoint.tensors["log_ent_coef"])
    if hasattr(model, "adaptive_learning_rate"):
        model.adaptive_learning_rate = checkpoint.tensors["learning_rate"].item()
    for name, statistics in _statistics(model).items():
        mean, var, count = (checkpoint.tensors[f"{name}/{field}"].numpy() for field in ("mean", "var", "count"))
        if mean.shape != np.shape(statistics.mean) or var.shape != np.shape(statistics.var):
            raise ValueError(f"{name} has shape {mean.shape}, not {np.shape(statistics.mean)}")
        statistics.mean, statistics.var, statistics.count = mean, var, count.item()


def _check_optimizer(optimizer: torch.optim.Optimizer, entries: dict[int, Tensors]) -> None:
    """Refuse a state that torch would take and then stumble over in a step; those of SB3's models are Adam's."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, entry in entries.items():
        if not 0 <= index < len(parameters):
            raise ValueError(f"its optimiser has a parameter {safe_repr(index)} of {len(parameters)}")
        shapes = {name: tensor.shape for name, tensor in entry.items()}
        shape = parameters[index].shape
        if shapes != {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"its optimiser does not fit parameter {index}")
        if bool(entry["step"] < 0) or bool((entry["exp_avg_sq"] < 0).any()):
            raise ValueError(f"its optimiser has negative numbers for parameter {index}")


def _statistics(model: BaseAlgorithm) -> dict[str, RunningMeanStd]:
    """Running statistics of what the model normalises."""
    normalizer: Any = model.get_vec_normalize_env()
    if normalizer is None:
        return {}
    statistics = {"reward_statistics": normalizer.ret_rms}
    if normalizer.norm_obs:
        statistics |= _entries("observation_statistics", normalizer.obs_rms)
    return statistics


# Where SB3's training loop is


def _loop_arrays(model: BaseAlgorithm) -> dict[str, NDArray[Any]]:
    assert model.ep_info_buffer is not None and model.ep_success_buffer is not None
    monitor, normalizer = _monitor(model), model.get_vec_normalize_env()
    arrays = {
        **_entries("observation", model._last_obs),
        "episode_starts": np.array(model._last_episode_starts),
        "episode_returns": monitor.episode_returns.copy(),
        "episode_lengths": monitor.episode_lengths.copy(),
        "recent_returns": np.array([episode["r"] for episode in model.ep_info_buffer], dtype=np.float32),
        "recent_lengths": np.array([int(episode["l"]) for episode in model.ep_info_buffer], dtype=np.int64),
        "recent_successes": np.array(model.ep_success_buffer, dtype=bool),
    }
    if normalizer is not None:
        arrays["discounted_returns"] = normalizer.returns.copy()
        arrays |= _entries("original_observation", model._last_original_obs)
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        filled = buffer.buffer_size if buffer.full else buffer.pos
        arrays["buffer/place"] = np.array([buffer.pos, buffer.full], dtype=np.int64)
        arrays |= {f"buffer/{name}": array[:filled].copy() for name, array in _buffer_arrays(buffer).items()}
        if isinstance(buffer, HerReplayBuffer):
            arrays["buffer/current_ep_start"] = buffer._current_ep_start.copy()
    return arrays


def _entries(name: str, value: Any) -> dict[str, Any]:
    """A value of the observation by its name, or for an observation with goals one of each entry."""
    return {f"{name}/{entry}": part for entry, part in value.items()} if isinstance(value, dict) else {name: value}


def _buffer_arrays(buffer: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a replay buffer themselves, each `(size, num_envs, …)`."""
    fields = BUFFER_FIELDS + (EPISODE_FIELDS if isinstance(buffer, HerReplayBuffer) else ())
    return {name: array for field in fields for name, array in _entries(field, getattr(buffer, field)).items()}


def _restore_loop(checkpoint: Checkpoint, model: BaseAlgorithm) -> None:
    arrays = {name: tensor.numpy() for name, tensor in checkpoint.part("loop/").items()}
    env, monitor, normalizer = model.get_env(), _monitor(model), model.get_vec_normalize_env()
    assert env is not None
    rows, space = env.num_envs, env.observation_space
    boxes = dict(space.spaces) if isinstance(space, Dict) else space
    observations = ["observation"] if normalizer is None else ["observation", "original_observation"]
    fits: dict[str, tuple[int, ...]] = {
        entry: (rows, *box.shape) for name in observations for entry, box in _entries(name, boxes).items()
    }
    fits |= dict.fromkeys(("episode_starts", "episode_returns", "episode_lengths"), (rows,))
    if normalizer is not None:
        fits["discounted_returns"] = (rows,)
    for name, shape in fits.items():
        if arrays[name].shape != shape:
            raise ValueError(f"loop/{name} has shape {arrays[name].shape}, not {shape}")

    def observation(name: str) -> Any:
        return {key: arrays[f"{name}/{key}"] for key in boxes} if isinstance(boxes, dict) else arrays[name]

    model._last_obs, model._last_episode_starts = observation("observation"), arrays["episode_starts"]
    monitor.episode_returns, monitor.episode_lengths = arrays["episode_returns"], arrays["episode_lengths"]
    if normalizer is not None:
        normalizer.returns = arrays["discounted_returns"]
        model._last_original_obs = observation("original_observation")
    recent = zip(arrays["recent_returns"], arrays["recent_lengths"], strict=True)
    window = model._stats_window_size
    model.ep_info_buffer = deque(({"r": r, "l": length} for r, length in recent), maxlen=window)
    model.ep_success_buffer = deque(arrays["recent_successes"].tolist(), maxlen=window)
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        pos, full = (int(number) for number in arrays["buffer/place"])
        filled = buffer.buffer_size if full else pos
        if not 0 <= pos < buffer.buffer_size:
            raise ValueError(f"the replay buffer ends at {pos} of {buffer.buffer_size}")
        for name, array in _buffer_arrays(buffer).items():
            array[:filled] = arrays[f"buffer/{name}"]
        buffer.pos, buffer.full = pos, bool(full)
        if isinstance(buffer, HerReplayBuffer):
            buffer._current_ep_start[:] = arrays["buffer/current_ep_start"]
            _check_episodes(buffer)


def _check_episodes(buffer: HerReplayBuffer) -> None:
    """Refuse episodes that do not lie in the buffer, around their steps: sampling would stumble over them."""
    starts, lengths, size = buffer.ep_start, buffer.ep_length, buffer.buffer_size
    steps = (np.arange(size)[:, None] - starts) % size
    fit = (
        (starts >= 0) & (starts < size) & (lengths >= 0) & (lengths <= size) & ((lengths == 0) | (steps < lengths))
    )
    current = buffer._current_ep_start
    if not (fit.all() and (current >= 0).all() and (current < size).all()):
        raise ValueError("the episodes of the replay buffer do not fit its steps")


def _monitor(model: BaseAlgorithm) -> VecMonitor:
    env: Any = model.get_env()
    while not isinstance(env, VecMonitor):
        assert isinstance(env, VecEnvWrapper), "training wraps its environment in a VecMonitor"
        env = env.venv
    return env


# Random generators that SB3 draws from


def _generator_tensors() -> Tensors:
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    assert name == "MT19937"
    _, words, spare = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy_keys": torch.tensor(np.asarray(keys, dtype=np.int64)),
        "numpy_place": torch.tensor([place, has_gauss]),
        "numpy_gauss": torch.tensor(gauss, dtype=torch.float64),
        "python_words": torch.tensor(words, dtype=torch.int64),
        "python_gauss": torch.tensor([] if spare is None else [spare], dtype=torch.float64),
    }


def _restore_generators(tensors: Tensors) -> None:
    torch.set_rng_state(tensors["torch"])
    place, has_gauss = tensors["numpy_place"].tolist()
    if not 0 <= place <= 624:  # numpy itself does not look, and would read beyond its 624 words
        raise ValueError(f"generator/numpy_place is {place}")
    keys = tensors["numpy_keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, place, has_gauss, tensors["numpy_gauss"].item()))
    spare = tensors["python_gauss"].tolist()
    random.setstate((3, tuple(tensors["python_words"].tolist()), spare[0] if spare else None))


def _parts(layout: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in layout.items()) or "nothing"
