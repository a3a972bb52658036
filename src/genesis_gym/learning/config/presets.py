"""Named presets of each algorithm.

`default` is tuned for the batched scene on a 2-core CPU: for reach, and in `ENV_PRESETS` for other environments;
`guide` holds the numbers of the training guide.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt

from genesis_gym.learning.config.hyperparameters import (
    AnyHyperparameters,
    PPOHyperparameters,
    RslRlPPOHyperparameters,
    SACHyperparameters,
    TD3Hyperparameters,
    TQCHyperparameters,
)


class Preset(BaseModel):
    """Number of environments, number of steps, and hyperparameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_envs: PositiveInt
    timesteps: PositiveInt
    hyperparameters: AnyHyperparameters


_OFF_POLICY: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 512,
    "gamma": 0.95,
    "net_arch": (128, 128),
    "learning_starts": 5_000,
    "gradient_steps": 8,
    "tau": 0.02,
}

#: Sparse reach with goals in few steps: few environments, so that learning begins early, and four updates a step.
_HINDSIGHT: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 256,
    "gamma": 0.9,
    "net_arch": (64, 64),
    "learning_starts": 200,
    "gradient_steps": 8,
    "tau": 0.05,
    "ent_coef": "auto_0.1",
}

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
            hyperparameters=SACHyperparameters(**_OFF_POLICY),
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
        "her": Preset(
            num_envs=2,
            timesteps=7_000,
            hyperparameters=SACHyperparameters(**_HINDSIGHT),
        ),
    },
    "TQC": {
        "default": Preset(
            num_envs=64,
            timesteps=80_000,
            hyperparameters=TQCHyperparameters(**_OFF_POLICY),
        ),
        "her": Preset(
            num_envs=2,
            timesteps=7_000,
            hyperparameters=TQCHyperparameters(**_HINDSIGHT),
        ),
    },
    "TD3": {
        "default": Preset(
            num_envs=64,
            timesteps=80_000,
            hyperparameters=TD3Hyperparameters(**_OFF_POLICY, action_noise_std=0.3),
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
        # RSL-RL does not normalise rewards, and a clipped value loss would keep large values from being learnt.
        # One epoch: further ones cost more time than the steps that they save.
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


def _manipulation(
    timesteps: int,
    *,
    gamma: float = 0.97,
    entropy_coef: float = 0.002,
    final_entropy_coef: float | None = None,
    distribution: Literal["gaussian", "beta"] = "gaussian",
) -> dict[str, Preset]:
    """Presets for manipulation: larger networks than for reach, and more steps.

    Where each stage pays at once, as in a grasp, a low γ reduces the variance of the advantage. In tasks of
    several stages a Beta policy keeps its exploration noise inside the action range.
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


def _longer_reach(**timesteps: int) -> dict[str, Preset]:
    """The presets of reach, with more steps."""
    return {
        algorithm: PRESETS[algorithm]["default"].model_copy(update={"timesteps": steps})
        for algorithm, steps in timesteps.items()
    }


#: Environment → algorithm → its own `default`.
ENV_PRESETS: dict[str, dict[str, Preset]] = {
    "Genesis/FrankaReachPose-v0": _longer_reach(PPO=600_000, RSL_PPO=800_000),
    "Genesis/FrankaPush-v0": _manipulation(2_000_000, gamma=0.95),
    "Genesis/FrankaLiftCube-v0": _manipulation(750_000, gamma=0.9),
    "Genesis/FrankaPickAndPlace-v0": _manipulation(2_000_000, gamma=0.9, distribution="beta"),
    "Genesis/FrankaStackCube-v0": _manipulation(
        4_000_000, gamma=0.9, entropy_coef=0.005, final_entropy_coef=0.0005, distribution="beta"
    ),
    "Genesis/FrankaOpenDrawer-v0": _manipulation(1_000_000),
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


#: Learning library → its name of an algorithm → ours.
LIBRARIES: dict[str, dict[str, str]] = {
    "sb3": {"PPO": "PPO", "SAC": "SAC", "TQC": "TQC", "TD3": "TD3"},
    "rsl_rl": {"PPO": "RSL_PPO"},
}
