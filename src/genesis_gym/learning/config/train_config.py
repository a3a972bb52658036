"""The whole description of a training run, validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, model_validator

from genesis_gym.errors import ArgumentError, check_choice, check_positive_int, safe_repr
from genesis_gym.learning.config.hyperparameters import (
    HYPERPARAMETERS,
    AnyHyperparameters,
    PPOHyperparameters,
    RslRlPPOHyperparameters,
)
from genesis_gym.learning.config.presets import PRESETS, find_preset
from genesis_gym.learning.config.seeds import MAX_SEED
from genesis_gym.registration import find_spec
from genesis_gym.validation import validate
from genesis_gym.variation import Curriculum, Ranges, check_ranges

#: Written into every run folder; another number means another layout of `config.json`.
CONFIG_VERSION = 3

#: Bounds on sizes that cost memory: a config may come from a stranger.
MAX_ENVS = 2**17
MAX_WORKERS = 1024
MAX_TIMESTEPS = 10**12
MAX_ROLLOUT = 2**24
MAX_OBSERVATION = 4096
#: Bound on a duration: physics steps in a control step.
MAX_DECIMATION = 1000

#: An id as Gymnasium writes them, with or without the module that registers it.
ENV_ID = r"^([\w.]+:)?([\w:-]+/)?[\w.-]+$"

Timesteps = Annotated[int, Field(ge=1, le=MAX_TIMESTEPS)]


def _check_size(parts: dict[str, int]) -> dict[str, int]:
    if len(parts) > MAX_OBSERVATION or sum(parts.values()) > MAX_OBSERVATION:
        raise ValueError(f"an observation has at most {MAX_OBSERVATION} numbers")
    return parts


#: Fields that `change_config` merges instead of replacing.
MERGED = ("hyperparameters", "reward_weights", "randomization")


class TrainConfig(BaseModel):
    """The complete description of a training run; `config.json` of its folder.

    Attributes:
        version: Layout of this file.
        env: Id of the environment.
        algorithm: A key of `PRESETS`.
        preset: Name of the preset that `hyperparameters` come from.
        seed: Seed of the policy; `training_seed(seed)` is that of environment 0.
        num_envs: Environments, over all ranks.
        num_workers: Processes among which the environments of a rank are shared out, this one included.
        timesteps: Environment steps over all environments.
        hyperparameters: The algorithm's.
        control_mode: Action space of an arm, a key of `genesis_gym.actions.CONTROL_MODES`; None for the task's.
        decimation: Physics steps in a control step; None for the task's.
        reward: `"dense"` or `"sparse"`, as `BatchedEnv` takes it.
        goal: Goal-conditioned observation, as `BatchedEnv` gives it; SAC, TQC and TD3 then learn with hindsight.
        reward_weights: Weights of reward terms that differ from the task's.
        randomization: Property → range that it is drawn from, in training and in evaluation.
        curriculum: When the difficulty rises, in training; None for the full task from the start.
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
    seed: int = Field(ge=0, lt=MAX_SEED)
    num_envs: int = Field(ge=1, le=MAX_ENVS)
    num_workers: int = Field(default=1, ge=1, le=MAX_WORKERS)
    timesteps: Timesteps
    hyperparameters: AnyHyperparameters
    control_mode: str | None = Field(default=None, max_length=200)
    decimation: int | None = Field(default=None, ge=1, le=MAX_DECIMATION)
    reward: Literal["dense", "sparse"] = "dense"
    goal: bool = False
    reward_weights: dict[str, float] = {}
    randomization: Annotated[Ranges, BeforeValidator(check_ranges)] = {}
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
        if isinstance(self.hyperparameters, PPOHyperparameters) and steps < 2:
            raise ValueError("a rollout of num_envs x n_steps = 1 step is too short; PPO needs at least 2")
        return self

    @model_validator(mode="after")
    def _check_workers(self) -> TrainConfig:
        if self.num_workers > self.num_envs:
            raise ValueError(f"num_workers={self.num_workers} is more than num_envs={self.num_envs}")
        return self

    @model_validator(mode="after")
    def _check_goal(self) -> TrainConfig:
        if self.goal and isinstance(self.hyperparameters, RslRlPPOHyperparameters):
            raise ValueError("goal is not for RSL_PPO; it is for PPO, SAC, TQC and TD3")
        return self

    def evaluation_env(self) -> dict[str, Any]:
        """Arguments of the environment for evaluation: as in training, at full difficulty."""
        arguments = {
            "reward": self.reward,
            "goal": self.goal,
            "reward_weights": self.reward_weights,
            "randomization": self.randomization,
            "observation_parts": self.observation_parts,
        }
        own = {"control_mode": self.control_mode, "decimation": self.decimation}
        return arguments | {name: value for name, value in own.items() if value is not None}

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
    randomization: Mapping[str, Any] | None = None,
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
        seed: From 0 to `MAX_SEED - 1`.
        num_envs: Environments; None for the preset's.
        timesteps: Environment steps over all environments; None for the preset's.
        hyperparameters: Name → value of those that differ from the preset's.
        randomization: Property → range that it is drawn from.
        curriculum: When the difficulty rises, or its fields.
        evaluate_every: Environment steps between two evaluations; None for none, or for ten in all if training is
            to stop at a threshold.
        stop_at_success: Success rate at which training ends.
        stop_at_reward: Mean return at which training ends.
        **kwargs: `num_workers`, `control_mode`, `decimation`, `reward`, `goal`, `reward_weights` and
            `observation_parts` of `TrainConfig`.

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
    if not 0 <= seed < MAX_SEED:
        raise ArgumentError(
            f"seed={safe_repr(seed)} is not allowed; it must be an integer from 0 to {MAX_SEED - 1}"
        )
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
        "randomization": check_ranges(randomization or {}),
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
    kind = type(config.hyperparameters)
    merged["hyperparameters"] = validate(kind, "hyperparameter", merged["hyperparameters"])
    merged["randomization"] = check_ranges(merged["randomization"])
    return validate(TrainConfig, "config", {**data, **merged, **changes})


def parse_config(data: Any, source: str) -> TrainConfig:
    """Validate the content of a config file.

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
