"""Checkpoints: all that training needs to go on, in one file that is written whole and read without unpickling.

A checkpoint holds the policy, the optimisers, the normaliser's statistics, the curriculum and each row's place
in its random sequence. It holds neither a replay buffer nor the state of the scene: rows begin new episodes.
"""

from __future__ import annotations

import json
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd

from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, RunFolderError, shown
from genesis_gym.learning.config import MAX_TIMESTEPS
from genesis_gym.learning.files import MAX_CHECKPOINT, check_folder, read_tensors
from genesis_gym.learning.runs import CHECKPOINT_FILE, write_whole

Tensors = dict[str, torch.Tensor]


def save_checkpoint(model: BaseAlgorithm, env: BatchedEnv, folder: Path) -> None:
    """Write the checkpoint of a run.

    Args:
        model: The model in training.
        env: Its environment.
        folder: The run folder.
    """
    tensors: Tensors = {}
    for part, state in model.get_parameters().items():
        if part.endswith("optimizer"):
            for index, entries in state["state"].items():
                tensors.update({f"{part}/{index}/{name}": value for name, value in entries.items()})
        else:
            tensors.update({f"{part}/{name}": value for name, value in state.items()})
    if isinstance(log_ent_coef := getattr(model, "log_ent_coef", None), torch.Tensor):
        tensors["log_ent_coef"] = log_ent_coef
    for name, statistics in _statistics(model).items():
        for field in ("mean", "var", "count"):
            tensors[f"{name}/{field}"] = torch.tensor(getattr(statistics, field), dtype=torch.float64)
    tensors.update({f"environment/{name}": value for name, value in env.training_state().items()})
    description = {
        "algorithm": type(model).__name__,
        "timesteps": model.num_timesteps,
        "observation": _layout(env),
        "action_dim": env.action_dim,
    }
    tensors = {name: value.detach().clone().contiguous().cpu() for name, value in tensors.items()}
    metadata = {"description": json.dumps(description)}
    write_whole(
        folder / CHECKPOINT_FILE, lambda path: safetensors.torch.save_file(tensors, path, metadata=metadata)
    )


def carry_over(folder: Path, model: BaseAlgorithm, env: BatchedEnv) -> None:
    """Give a new model the policy, the optimisers and the normaliser of another run.

    Args:
        folder: The other run's folder.
        model: The model, not yet trained.
        env: Its environment.

    Raises:
        RunFolderError: There is no checkpoint, it cannot be read, or its spaces, algorithm or networks differ;
            the difference is spelled out.
    """
    description, tensors = _read(folder)
    _check_fit(folder, description, model, env)
    _restore_model(folder, tensors, model)


def resume(folder: Path, model: BaseAlgorithm, env: BatchedEnv) -> None:
    """Put a model and its environment back to where a run stopped.

    Args:
        folder: The run folder.
        model: A model made from the run's config.
        env: Its environment.

    Raises:
        RunFolderError: As for `carry_over`.
    """
    description, tensors = _read(folder)
    _check_fit(folder, description, model, env)
    _restore_model(folder, tensors, model)
    prefix = "environment/"
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        env.restore_training_state(state)
    except ArgumentError as error:
        raise RunFolderError(f"{folder / CHECKPOINT_FILE} does not fit the environment: {error}") from error
    model.num_timesteps = description["timesteps"]


def _read(folder: Path) -> tuple[dict[str, Any], Tensors]:
    check_folder(folder)
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        raise RunFolderError(f"{folder} has no {CHECKPOINT_FILE} to go on from")
    metadata, tensors = read_tensors(path, MAX_CHECKPOINT)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise RunFolderError(f"{path} cannot be read: {name} holds numbers that are not finite")
    try:
        description = json.loads(metadata.get("description", "null"))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    kinds = {"algorithm": str, "timesteps": int, "observation": dict, "action_dim": int}
    if not isinstance(description, dict) or any(
        not isinstance(description.get(name), kind) for name, kind in kinds.items()
    ):
        raise RunFolderError(f"{path} cannot be read: its description is damaged")
    if not 0 <= description["timesteps"] <= 2 * MAX_TIMESTEPS:
        raise RunFolderError(f"{path} cannot be read: timesteps={shown(description['timesteps'])} is not allowed")
    return description, tensors


def _check_fit(folder: Path, description: dict[str, Any], model: BaseAlgorithm, env: BatchedEnv) -> None:
    """Refuse another algorithm or other spaces, with the difference spelled out."""
    algorithm = type(model).__name__
    if description["algorithm"] != algorithm:
        raise RunFolderError(f"{folder} was trained by {description['algorithm']}, not by {algorithm}")
    if (actions := description["action_dim"]) != env.action_dim:
        raise RunFolderError(f"{folder} has actions of {actions} numbers, this environment of {env.action_dim}")
    theirs, ours = description["observation"], _layout(env)
    if list(theirs.items()) != list(ours.items()):
        only_theirs = _parts({name: size for name, size in theirs.items() if ours.get(name) != size})
        only_ours = _parts({name: size for name, size in ours.items() if theirs.get(name) != size})
        difference = f"only there: {only_theirs}; only here: {only_ours}"
        if only_theirs == only_ours:
            difference = f"there the order is {_parts(theirs)}; here it is {_parts(ours)}"
        raise RunFolderError(
            f"{folder} has another observation than this environment ({difference}); "
            "declare one common observation for both (observation_parts)"
        )


def _restore_model(folder: Path, tensors: Tensors, model: BaseAlgorithm) -> None:
    parameters: dict[str, Any] = model.get_parameters()
    try:
        for part, state in parameters.items():
            prefix = f"{part}/"
            own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
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
            log_ent_coef.data.copy_(tensors["log_ent_coef"])
        for name, statistics in _statistics(model).items():
            _restore_statistics(statistics, tensors, name)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise RunFolderError(f"{folder / CHECKPOINT_FILE} does not fit the model: {reason}") from error


def _check_optimizer(optimizer: torch.optim.Optimizer, entries: dict[int, Tensors]) -> None:
    """Refuse a state that torch would take and then stumble over in a step; those of SB3's models are Adam's."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, entry in entries.items():
        if not 0 <= index < len(parameters):
            raise ValueError(f"its optimiser has a parameter {shown(index)} of {len(parameters)}")
        shapes = {name: tensor.shape for name, tensor in entry.items()}
        shape = parameters[index].shape
        if shapes != {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"its optimiser does not fit parameter {index}")
        if bool(entry["step"] < 0) or bool((entry["exp_avg_sq"] < 0).any()):
            raise ValueError(f"its optimiser has negative numbers for parameter {index}")


def _restore_statistics(statistics: RunningMeanStd, tensors: Tensors, name: str) -> None:
    mean, var = tensors[f"{name}/mean"].numpy(), tensors[f"{name}/var"].numpy()
    if mean.shape != np.shape(statistics.mean) or var.shape != np.shape(statistics.var):
        raise ValueError(f"{name} has shape {mean.shape}, not {np.shape(statistics.mean)}")
    statistics.mean, statistics.var, statistics.count = mean, var, tensors[f"{name}/count"].item()


def _statistics(model: BaseAlgorithm) -> dict[str, RunningMeanStd]:
    """Running statistics of what the model normalises."""
    normalizer: Any = model.get_vec_normalize_env()
    if normalizer is None:
        return {}
    statistics = {"reward_statistics": normalizer.ret_rms}
    if normalizer.norm_obs:
        statistics["observation_statistics"] = normalizer.obs_rms
    return statistics


def _layout(env: BatchedEnv) -> dict[str, int]:
    return {name: place.stop - place.start for name, place in env.observation_layout.items()}


def _parts(layout: dict[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in layout.items()) or "nothing"
