"""The whole description of a training run, validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from genesis_gym.errors import ArgumentError, check_choice, check_positive_int
from genesis_gym.learning.presets import (
    PRESETS,
    Hyperparameters,
    PPOHyperparameters,
    SACHyperparameters,
    TD3Hyperparameters,
)
from genesis_gym.registration import find_spec
from genesis_gym.validation import describe, validate

#: Written into every run folder; another number means another layout of `config.json`.
CONFIG_VERSION = 1

HYPERPARAMETERS: dict[str, type[Hyperparameters]] = {
    "PPO": PPOHyperparameters,
    "SAC": SACHyperparameters,
    "TD3": TD3Hyperparameters,
}


class TrainConfig(BaseModel):
    """What a run was trained with; `config.json` of its folder.

    Attributes:
        version: Layout of this file.
        env: Id of the environment.
        algorithm: A key of `PRESETS`.
        preset: Name of the preset that `hyperparameters` come from.
        seed: Seed of the policy and of row 0; row i has seed + i.
        num_envs: Rows.
        timesteps: Environment steps over all rows.
        hyperparameters: The algorithm's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = CONFIG_VERSION
    env: str
    algorithm: str
    preset: str
    seed: int = Field(ge=0, lt=2**32)
    num_envs: PositiveInt
    timesteps: PositiveInt
    hyperparameters: PPOHyperparameters | SACHyperparameters | TD3Hyperparameters


def make_config(
    env: str = "Genesis/FrankaReach-v0",
    algorithm: str = "PPO",
    *,
    preset: str = "default",
    seed: int = 0,
    num_envs: int | None = None,
    timesteps: int | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """Fill a preset into a config.

    Args:
        env: Id of the environment.
        algorithm: A key of `PRESETS`.
        preset: A key of `PRESETS[algorithm]`.
        seed: From 0 to 2**32 - 1.
        num_envs: Rows; None for the preset's.
        timesteps: Environment steps over all rows; None for the preset's.
        hyperparameters: Name → value of those that differ from the preset's.

    Returns:
        The config.

    Raises:
        ArgumentError: A name or a value is not allowed.
    """
    find_spec(env)
    check_choice("algorithm", algorithm, PRESETS)
    check_choice("preset", preset, PRESETS[algorithm])
    chosen = PRESETS[algorithm][preset]
    if num_envs is not None:
        check_positive_int("num_envs", num_envs)
    if timesteps is not None:
        check_positive_int("timesteps", timesteps)
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed={seed!r} is not allowed; it must be an integer from 0 to 2**32 - 1")
    kind = type(chosen.hyperparameters)
    return TrainConfig(
        env=env,
        algorithm=algorithm,
        preset=preset,
        seed=seed,
        num_envs=num_envs or chosen.num_envs,
        timesteps=timesteps or chosen.timesteps,
        hyperparameters=validate(
            kind, "hyperparameter", {**chosen.hyperparameters.model_dump(), **(hyperparameters or {})}
        ),
    )


def parse_config(data: Any, source: str) -> TrainConfig:
    """Validate what a config file holds.

    Args:
        data: The parsed JSON.
        source: Where it comes from, for the error.

    Returns:
        The config.

    Raises:
        ArgumentError: It is not a config of this version.
    """
    if not isinstance(data, dict):
        raise ArgumentError(f"{source} is no training config: it holds {type(data).__name__}, not an object")
    if data.get("version") != CONFIG_VERSION:
        raise ArgumentError(
            f"{source} has version {data.get('version')!r}; this release reads version {CONFIG_VERSION}"
        )
    check_choice(f"{source}: algorithm", data.get("algorithm"), HYPERPARAMETERS)
    try:
        hyperparameters = HYPERPARAMETERS[data["algorithm"]].model_validate(data.get("hyperparameters"))
        return TrainConfig.model_validate({**data, "hyperparameters": hyperparameters})
    except ValidationError as error:
        raise ArgumentError(f"{source}: {describe(error)}") from error
