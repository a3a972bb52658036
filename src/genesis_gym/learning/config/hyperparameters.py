"""Hyperparameters of each algorithm, with the bounds that a config from elsewhere must keep."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, Strict

#: Bounds on sizes that cost memory and time: a config may come from a stranger.
MAX_LAYERS = 8
MAX_WIDTH = 2048
MAX_COUNT = 2**20
MAX_BUFFER = 10_000_000

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]

#: Widths of the hidden layers; JSON and the command line give a list.
Layers = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MAX_WIDTH)], ...], Strict(False), Field(max_length=MAX_LAYERS)
]


def _check_entropy_coefficient(value: str | float) -> str | float:
    if value == "auto":
        return value
    try:
        number = float(value.removeprefix("auto_") if isinstance(value, str) else value)
    except ValueError:
        number = math.nan
    if not 0.0 < number < math.inf:
        raise ValueError("it must be above 0, or auto, or auto_0.1 with the number to begin with")
    return value


EntropyCoefficient = Annotated[str | float, AfterValidator(_check_entropy_coefficient)]


class Hyperparameters(BaseModel):
    """Hyperparameters that every algorithm has."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    learning_rate: PositiveFloat = 3e-4
    gamma: float = Field(default=0.99, ge=0.0, le=1.0)


class Sb3Hyperparameters(Hyperparameters):
    """Hyperparameters that the algorithms of Stable-Baselines3 share.

    `normalize_observation` and `normalize_reward` divide by running statistics, as SB3's `VecNormalize` does;
    those of the observation become part of the policy. `clip_observation` bounds normalised observations;
    `clip_reward` bounds rewards, normalised or not (None: normalised ones to ±10, others not at all).
    """

    batch_size: Count = 256
    net_arch: Layers = (64, 64)
    normalize_observation: bool = False
    normalize_reward: bool = False
    clip_observation: PositiveFloat = 10.0
    clip_reward: PositiveFloat | None = None


class PPOHyperparameters(Sb3Hyperparameters):
    """Proximal Policy Optimisation, as `stable_baselines3.PPO` names its arguments.

    `target_kl` ends an update once the KL divergence exceeds 1.5 times its value; None: never. The advantages of a
    batch of one sample have no standard deviation, so `batch_size` is at least 2.
    """

    batch_size: Annotated[int, Field(ge=2, le=MAX_COUNT)] = 256
    n_steps: Count = 2048
    n_epochs: Count = 10
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    clip_range: PositiveFloat = 0.2
    target_kl: PositiveFloat | None = None
    ent_coef: float = Field(default=0.0, ge=0.0)
    vf_coef: float = Field(default=0.5, ge=0.0)
    log_std_init: float = 0.0


class OffPolicyHyperparameters(Sb3Hyperparameters):
    """Hyperparameters that SAC, TQC and TD3 share.

    `n_sampled_goal` is the number of hindsight goals for each desired one; for `goal=True` only.
    """

    buffer_size: Annotated[int, Field(ge=1, le=MAX_BUFFER)] = 100_000
    learning_starts: int = Field(default=10_000, ge=0, le=MAX_BUFFER)
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    train_freq: Count = 1
    gradient_steps: int = Field(default=1, ge=-1, le=MAX_COUNT)
    n_sampled_goal: Count = 4


class SACHyperparameters(OffPolicyHyperparameters):
    """Soft Actor-Critic, as `stable_baselines3.SAC` names its arguments.

    `ent_coef` weighs entropy against reward; `"auto_0.1"` begins with 0.1 and learns it, `"auto"` begins with 1.
    """

    net_arch: Layers = (256, 256)
    ent_coef: EntropyCoefficient = "auto"
    target_update_interval: Count = 1
    target_entropy: Literal["auto"] | float = "auto"


class TQCHyperparameters(SACHyperparameters):
    """Truncated Quantile Critics, as `sb3_contrib.TQC` names its arguments."""

    top_quantiles_to_drop_per_net: int = Field(default=2, ge=0, lt=25)  # of 25


class TD3Hyperparameters(OffPolicyHyperparameters):
    """Twin Delayed DDPG, as `stable_baselines3.TD3` names its arguments.

    `action_noise_std` is the standard deviation of Gaussian exploration noise; 0 is SB3's default of none.
    """

    net_arch: Layers = (400, 300)
    policy_delay: Count = 2
    target_policy_noise: float = Field(default=0.2, ge=0.0)
    target_noise_clip: float = Field(default=0.5, ge=0.0)
    action_noise_std: float = Field(default=0.0, ge=0.0)


class RslRlPPOHyperparameters(Hyperparameters):
    """Proximal Policy Optimisation, as `rsl_rl` names the arguments of its runner, its PPO and its networks.

    `schedule="adaptive"` adapts the learning rate so that the KL divergence of an update stays near `desired_kl`.
    `final_entropy_coef` replaces `entropy_coef` in the second half of training. `init_std` is the initial standard
    deviation of a Gaussian policy; a Beta policy, whose support is the action range, starts nearly uniform.
    """

    learning_rate: PositiveFloat = 1e-3
    num_steps_per_env: Count = 24
    num_learning_epochs: Count = 5
    num_mini_batches: Count = 4
    lam: float = Field(default=0.95, ge=0.0, le=1.0)
    clip_param: PositiveFloat = 0.2
    entropy_coef: float = Field(default=0.01, ge=0.0)
    final_entropy_coef: float | None = Field(default=None, ge=0.0)
    value_loss_coef: float = Field(default=1.0, ge=0.0)
    use_clipped_value_loss: bool = True
    max_grad_norm: PositiveFloat = 1.0
    schedule: Literal["adaptive", "fixed"] = "adaptive"
    desired_kl: PositiveFloat = 0.01
    normalize_advantage_per_mini_batch: bool = False
    hidden_dims: Annotated[Layers, Field(min_length=1)] = (64, 64)
    activation: Literal["elu", "relu", "tanh"] = "elu"
    distribution: Literal["gaussian", "beta"] = "gaussian"
    init_std: PositiveFloat = 1.0
    obs_normalization: bool = True


AnyHyperparameters = (
    PPOHyperparameters | TQCHyperparameters | SACHyperparameters | TD3Hyperparameters | RslRlPPOHyperparameters
)

#: Algorithm → the class of its hyperparameters.
HYPERPARAMETERS: dict[str, type[Hyperparameters]] = {
    "PPO": PPOHyperparameters,
    "SAC": SACHyperparameters,
    "TQC": TQCHyperparameters,
    "TD3": TD3Hyperparameters,
    "RSL_PPO": RslRlPPOHyperparameters,
}
