"""The whole description of a training run, validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from genesis_gym.errors import ArgumentError, check_choice, check_positive_int, safe_repr
from genesis_gym.learning.presets import (
    PRESETS,
    AnyHyperparameters,
    Hyperparameters,
    PPOHyperparameters,
    RslRlPPOHyperparameters,
    SACHyperparameters,
    TD3Hyperparameters,
    TQCHyperparameters,
    find_preset,
)
from genesis_gym.registration import find_spec
from genesis_gym.validation import validate
from genesis_gym.variation.curriculum import Curriculum
from genesis_gym.variation.randomization import Randomization

#: Written into every run folder; another number means another layout of `config.json`.
CONFIG_VERSION = 2

#: Bounds on what takes memory in proportion: a config may come from a stranger.
MAX_ROWS = 2**17
MAX_TIMESTEPS = 10**12
MAX_ROLLOUT = 2**24
MAX_OBSERVATION = 4096
#: And on what takes time: an action of a second.
MAX_REPEAT = 50

#: An id as Gymnasium writes them, with or without the module that registers it.
ENV_ID = r"^([\w.]+:)?([\w:-]+/)?[\w.-]+$"

Timesteps = Annotated[int, Field(ge=1, le=MAX_TIMESTEPS)]


def _check_size(parts: dict[str, int]) -> dict[str, int]:
    if len(parts) > MAX_OBSERVATION or sum(parts.values()) > MAX_OBSERVATION:
        raise ValueError(f"an observation has at most {MAX_OBSERVATION} numbers")
    return parts


#: Fields that a change adds to instead of replacing them → what an error calls one of their entries.
MERGED = {
    "hyperparameters": "hyperparameter",
    "reward_weights": "reward_weights",
    "randomization": "randomization",
}

HYPERPARAMETERS: dict[str, type[Hyperparameters]] = {
    "PPO": PPOHyperparameters,
    "SAC": SACHyperparameters,
    "TQC": TQCHyperparameters,
    "TD3": TD3Hyperparameters,
    "RSL_PPO": RslRlPPOHyperparameters,
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
        control_mode: What the actions mean, as `BatchedEnv` takes it; None for the task's.
        action_repeat: For how many commands of 20 ms an action lasts; None for the task's.
        reward: `"dense"` or `"sparse"`, as `BatchedEnv` takes it.
        goal: Show the goal by itself, as `BatchedEnv` does; SAC, TQC and TD3 then learn with hindsight.
        reward_weights: Weights of reward terms that differ from the task's.
        randomization: What of the physics varies, in training and in evaluation.
        curriculum: When rows grow harder, in training; None for the full task from the start.
        observation_parts: Parts of the observation, as `BatchedEnv` takes them; None for the task's own.
        evaluate_every: Environment steps between two evaluations during training; None for none.
        stop_at_success: Success rate of such an evaluation at which training ends, 0 to 1.
        stop_at_reward: Mean return of such an evaluation at which training ends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: int = CONFIG_VERSION
    env: str = Field(pattern=ENV_ID, max_length=200)
    algorithm: str
    preset: str = Field(max_length=200)
    seed: int = Field(ge=0, lt=2**32)
    num_envs: int = Field(ge=1, le=MAX_ROWS)
    timesteps: Timesteps
    hyperparameters: AnyHyperparameters
    control_mode: str | None = Field(default=None, max_length=200)
    action_repeat: int | None = Field(default=None, ge=1, le=MAX_REPEAT)
    reward: Literal["dense", "sparse"] = "dense"
    goal: bool = False
    reward_weights: dict[str, float] = {}
    randomization: Randomization = Randomization()
    curriculum: Curriculum | None = None
    observation_parts: Annotated[dict[str, PositiveInt], AfterValidator(_check_size)] | None = None
    evaluate_every: Timesteps | None = None
    stop_at_success: float | None = Field(default=None, gt=0.0, le=1.0)
    stop_at_reward: float | None = None

    @model_validator(mode="after")
    def _check_rollout(self) -> TrainConfig:
        name = "num_steps_per_env" if isinstance(self.hyperparameters, RslRlPPOHyperparameters) else "n_steps"
        steps = self.num_envs * getattr(self.hyperparameters, name, 1)
        if steps > MAX_ROLLOUT:
            raise ValueError(
                f"a rollout of num_envs x {name} = {steps} steps is too long; {MAX_ROLLOUT} are allowed"
            )
        parts = getattr(self.hyperparameters, "num_mini_batches", 0)
        if steps < 2 * parts:
            raise ValueError(f"a rollout of {steps} steps cannot be divided into num_mini_batches={parts}")
        return self

    @model_validator(mode="after")
    def _check_goal(self) -> TrainConfig:
        if self.goal and isinstance(self.hyperparameters, RslRlPPOHyperparameters):
            raise ValueError("goal is not for RSL_PPO; it is for PPO, SAC, TQC and TD3")
        return self

    def evaluation_env(self) -> dict[str, Any]:
        """Arguments of the environment for evaluation: full difficulty, all else as in training."""
        return {
            "control_mode": self.control_mode,
            "action_repeat": self.action_repeat,
            "reward": self.reward,
            "goal": self.goal,
            "reward_weights": self.reward_weights,
            "randomization": self.randomization,
            "observation_parts": self.observation_parts,
        }

    def training_env(self) -> dict[str, Any]:
        """Arguments of the environment for training."""
        return {**self.evaluation_env(), "curriculum": self.curriculum}


def make_config(
    env: str = "Genesis/FrankaReach-v0",
    algorithm: str = "PPO",
    *,
    preset: str = "default",
    seed: int = 0,
    num_envs: int | None = None,
    timesteps: int | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    randomization: Randomization | Mapping[str, Any] | None = None,
    curriculum: Curriculum | Mapping[str, Any] | None = None,
    evaluate_every: int | None = None,
    stop_at_success: float | None = None,
    stop_at_reward: float | None = None,
    **kwargs: Any,
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
        randomization: What of the physics varies, or its fields.
        curriculum: When rows grow harder, or its fields.
        evaluate_every: Environment steps between two evaluations; None for none, or for ten in all if training is
            to stop at a threshold.
        stop_at_success: Success rate at which training ends.
        stop_at_reward: Mean return at which training ends.
        **kwargs: `control_mode`, `action_repeat`, `reward`, `goal`, `reward_weights` and `observation_parts` of
            `TrainConfig`.

    Returns:
        The config.

    Raises:
        ArgumentError: A name or a value is not allowed.
    """
    find_spec(env)
    check_choice("algorithm", algorithm, PRESETS)
    check_choice("preset", preset, PRESETS[algorithm])
    chosen = find_preset(env, algorithm, preset)
    assert chosen is not None
    for name, value in (("num_envs", num_envs), ("timesteps", timesteps), ("evaluate_every", evaluate_every)):
        if value is not None:
            check_positive_int(name, value)
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed={safe_repr(seed)} is not allowed; it must be an integer from 0 to 2**32 - 1")
    timesteps = timesteps or chosen.timesteps
    if evaluate_every is None and not (stop_at_success is None and stop_at_reward is None):
        evaluate_every = max(1, timesteps // 10)
    kind = type(chosen.hyperparameters)
    if not isinstance(hyperparameters or {}, Mapping):
        raise ArgumentError(f"hyperparameters={safe_repr(hyperparameters)} is not allowed; it must be a mapping")
    given = chosen.hyperparameters.model_dump() | dict(hyperparameters or {})
    fields = {
        "env": env,
        "algorithm": algorithm,
        "preset": preset,
        "seed": seed,
        "num_envs": num_envs or chosen.num_envs,
        "timesteps": timesteps,
        "hyperparameters": validate(kind, "hyperparameter", given),
        "randomization": validate(Randomization, "randomization", randomization or {}),
        "curriculum": None if curriculum is None else validate(Curriculum, "curriculum", curriculum),
        "evaluate_every": evaluate_every,
        "stop_at_success": stop_at_success,
        "stop_at_reward": stop_at_reward,
    }
    return validate(TrainConfig, "config", {**fields, **kwargs})


def change_config(config: TrainConfig, **changes: Any) -> TrainConfig:
    """Change some fields of a config; `hyperparameters`, `reward_weights` and `randomization` are merged.

    Args:
        config: The config.
        **changes: Fields of `TrainConfig`.

    Returns:
        The new config.

    Raises:
        ArgumentError: A name or a value is not allowed.
    """
    data = config.model_dump()
    merged = {name: data[name] | dict(changes.pop(name, {})) for name in MERGED}
    for name in ("hyperparameters", "randomization"):
        merged[name] = validate(type(getattr(config, name)), MERGED[name], merged[name])
    return validate(TrainConfig, "config", {**data, **merged, **changes})


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
            f"{source} has version {safe_repr(data.get('version'))}; this release reads version {CONFIG_VERSION}"
        )
    check_choice(f"{source}: algorithm", data.get("algorithm"), HYPERPARAMETERS)
    kind = HYPERPARAMETERS[data["algorithm"]]
    hyperparameters = validate(kind, f"{source}: hyperparameters", data.get("hyperparameters"))
    return validate(TrainConfig, f"{source}: field", {**data, "hyperparameters": hyperparameters})
