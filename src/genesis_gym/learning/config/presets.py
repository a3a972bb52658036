"""Hyperparameters of each algorithm, as named presets.

`default` is tuned for the batched scene on a 2-core CPU, for reach and where `ENV_PRESETS` says so for another
environment; `guide` holds the numbers of the training guide.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, Strict

#: Bounds on what takes memory and time in proportion: a config may come from a stranger.
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
    """What every algorithm has."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    learning_rate: PositiveFloat = 3e-4
    gamma: float = Field(default=0.99, ge=0.0, le=1.0)


class Sb3Hyperparameters(Hyperparameters):
    """What the algorithms of Stable-Baselines3 share.

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

    `target_kl` ends an update once the policy has changed by a KL divergence of 1.5 times as much; None: never.
    """

    n_steps: Count = 2048
    n_epochs: Count = 10
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    clip_range: PositiveFloat = 0.2
    target_kl: PositiveFloat | None = None
    ent_coef: float = Field(default=0.0, ge=0.0)
    vf_coef: float = Field(default=0.5, ge=0.0)
    log_std_init: float = 0.0


class OffPolicyHyperparameters(Sb3Hyperparameters):
    """What SAC, TQC and TD3 share.

    `n_sampled_goal` is how many goals hindsight puts in the place of each that was desired; for `goal=True` only.
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

    `schedule="adaptive"` raises and lowers the learning rate to keep the policy's change at each update near
    `desired_kl`. `final_entropy_coef` takes the place of `entropy_coef` in the second half of the training.
    `init_std` is the standard deviation of the first actions where the `distribution` is Gaussian; a Beta
    distribution, which ends where the actions end, begins nearly uniform.
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


class Preset(BaseModel):
    """A way to train: how many rows, how many steps, and the hyperparameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_envs: PositiveInt
    timesteps: PositiveInt
    hyperparameters: AnyHyperparameters


#: Algorithm → preset name → preset.
PRESETS: dict[str, dict[str, Preset]] = {
    "PPO": {
        "default": Preset(
            num_envs=128,
            timesteps=180_000,
            hyperparameters=PPOHyperparameters(
                learning_rate=2e-3,
                n_steps=16,
                batch_size=512,
                n_epochs=5,
                gamma=0.95,
                gae_lambda=0.9,
                log_std_init=-0.7,
                normalize_observation=True,
                normalize_reward=True,
            ),
        ),
        "guide": Preset(
            num_envs=1,
            timesteps=500_000,
            hyperparameters=PPOHyperparameters(
                learning_rate=3e-4,
                n_steps=2048,
                batch_size=64,
                n_epochs=10,
                gamma=0.99,
                gae_lambda=0.95,
                clip_range=0.2,
                ent_coef=0.01,
                vf_coef=0.5,
            ),
        ),
    },
    "SAC": {
        "default": Preset(
            num_envs=64,
            timesteps=80_000,
            hyperparameters=SACHyperparameters(
                learning_rate=1e-3,
                batch_size=512,
                gamma=0.95,
                net_arch=(128, 128),
                learning_starts=5_000,
                gradient_steps=8,
                tau=0.02,
            ),
        ),
        "guide": Preset(
            num_envs=1,
            timesteps=500_000,
            hyperparameters=SACHyperparameters(
                learning_rate=3e-4,
                buffer_size=100_000,
                learning_starts=10_000,
                batch_size=256,
                tau=0.005,
                gamma=0.99,
                train_freq=1,
                gradient_steps=1,
                target_update_interval=1,
                target_entropy="auto",
            ),
        ),
        # Sparse reach with goals in few steps: few rows, for learning to begin early, and four updates a step.
        "her": Preset(
            num_envs=2,
            timesteps=7_000,
            hyperparameters=SACHyperparameters(
                learning_rate=1e-3,
                batch_size=256,
                gamma=0.9,
                net_arch=(64, 64),
                learning_starts=200,
                gradient_steps=8,
                tau=0.05,
                ent_coef="auto_0.1",
            ),
        ),
    },
    "TQC": {
        "default": Preset(
            num_envs=64,
            timesteps=80_000,
            hyperparameters=TQCHyperparameters(
                learning_rate=1e-3,
                batch_size=512,
                gamma=0.95,
                net_arch=(128, 128),
                learning_starts=5_000,
                gradient_steps=8,
                tau=0.02,
            ),
        ),
        # As SAC's.
        "her": Preset(
            num_envs=2,
            timesteps=7_000,
            hyperparameters=TQCHyperparameters(
                learning_rate=1e-3,
                batch_size=256,
                gamma=0.9,
                net_arch=(64, 64),
                learning_starts=200,
                gradient_steps=8,
                tau=0.05,
                ent_coef="auto_0.1",
            ),
        ),
    },
    "TD3": {
        "default": Preset(
            num_envs=64,
            timesteps=80_000,
            hyperparameters=TD3Hyperparameters(
                learning_rate=1e-3,
                batch_size=512,
                gamma=0.95,
                net_arch=(128, 128),
                learning_starts=5_000,
                gradient_steps=8,
                tau=0.02,
                action_noise_std=0.3,
            ),
        ),
        "guide": Preset(
            num_envs=1,
            timesteps=500_000,
            hyperparameters=TD3Hyperparameters(
                learning_rate=1e-3,
                buffer_size=100_000,
                learning_starts=25_000,
                batch_size=100,
                tau=0.005,
                gamma=0.99,
                train_freq=1,
                gradient_steps=-1,
                policy_delay=2,
                target_policy_noise=0.2,
                target_noise_clip=0.5,
            ),
        ),
    },
    "RSL_PPO": {
        # RSL-RL normalises no rewards, and clipping the value loss would hold values of their size back. One
        # epoch: an update costs more time than the steps that it saves.
        "default": Preset(
            num_envs=128,
            timesteps=220_000,
            hyperparameters=RslRlPPOHyperparameters(
                learning_rate=3e-3,
                schedule="fixed",
                num_steps_per_env=16,
                num_learning_epochs=1,
                num_mini_batches=8,
                gamma=0.95,
                lam=0.9,
                entropy_coef=0.0,
                use_clipped_value_loss=False,
                init_std=0.5,
            ),
        ),
    },
}


def _for_things(
    timesteps: int,
    *,
    gamma: float = 0.97,
    entropy_coef: float = 0.002,
    final_entropy_coef: float | None = None,
    distribution: Literal["gaussian", "beta"] = "gaussian",
) -> dict[str, Preset]:
    """Presets for tasks in which something is moved: larger networks than reach, and more steps.

    Where each stage pays at once, as in a grasp, a short horizon is best: with a long one the luck of later stages
    drowns what a single action is worth. Where much is to be learnt one after the other, actions from a Beta
    distribution keep its noise where the action has an effect.
    """
    return {
        "PPO": Preset(
            num_envs=128,
            timesteps=timesteps,
            hyperparameters=PPOHyperparameters(
                learning_rate=1e-3,
                n_steps=24,
                batch_size=768,
                n_epochs=5,
                gamma=gamma,
                target_kl=0.02,
                net_arch=(128, 128),
                log_std_init=-0.7,
                normalize_observation=True,
                normalize_reward=True,
            ),
        ),
        "RSL_PPO": Preset(
            num_envs=128,
            timesteps=timesteps,
            hyperparameters=RslRlPPOHyperparameters(
                learning_rate=1e-3,
                schedule="fixed",
                num_steps_per_env=24,
                num_learning_epochs=4,
                num_mini_batches=4,
                gamma=gamma,
                lam=0.9,
                entropy_coef=entropy_coef,
                final_entropy_coef=final_entropy_coef,
                use_clipped_value_loss=False,
                hidden_dims=(128, 128),
                distribution=distribution,
                init_std=0.5,
            ),
        ),
    }


def _of_reach(**timesteps: int) -> dict[str, Preset]:
    """The presets of reach, with more steps."""
    return {
        algorithm: PRESETS[algorithm]["default"].model_copy(update={"timesteps": steps})
        for algorithm, steps in timesteps.items()
    }


#: Environment → algorithm → its own `default`.
ENV_PRESETS: dict[str, dict[str, Preset]] = {
    "Genesis/FrankaReachPose-v0": _of_reach(PPO=600_000, RSL_PPO=800_000),
    "Genesis/FrankaPush-v0": _for_things(2_000_000, gamma=0.95),
    "Genesis/FrankaLiftCube-v0": _for_things(750_000, gamma=0.9),
    "Genesis/FrankaPickAndPlace-v0": _for_things(2_000_000, gamma=0.9, distribution="beta"),
    "Genesis/FrankaStackCube-v0": _for_things(
        4_000_000, gamma=0.9, entropy_coef=0.005, final_entropy_coef=0.0005, distribution="beta"
    ),
    "Genesis/FrankaOpenDrawer-v0": _for_things(1_000_000),
}


def find_preset(env: str, algorithm: str, name: str) -> Preset | None:
    """Look up a preset.

    Args:
        env: Id of the environment, with or without the module that registers it.
        algorithm: A key of `PRESETS`.
        name: A key of `PRESETS[algorithm]`.

    Returns:
        The environment's own, or the one for all; None where there is neither.
    """
    own = ENV_PRESETS.get(env.rpartition(":")[2], {}).get(algorithm) if name == "default" else None
    return own or PRESETS.get(algorithm, {}).get(name)


#: Library that learns → its name of an algorithm → ours.
LIBRARIES: dict[str, dict[str, str]] = {
    "sb3": {"PPO": "PPO", "SAC": "SAC", "TQC": "TQC", "TD3": "TD3"},
    "rsl_rl": {"PPO": "RSL_PPO"},
}
