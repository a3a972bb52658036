"""The RSL-RL `VecEnv`: torch in, torch out, on the device of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.core import Core, make_sharded_core
from genesis_gym.core.result import Observation
from genesis_gym.errors import ArgumentError


class GenesisRslRlVecEnv(VecEnv):
    """A batched environment as RSL-RL's runners see it.

    Environments that end are reset within the step. RSL-RL never resets an environment itself, so the first
    episodes begin here and now. The groups of observations are those of the task; RSL-RL's `obs_groups` says which
    of them actor and critic see, such as `{"actor": ["policy"], "critic": ["policy"]}`.

    At a time-out RSL-RL's own PPO adds γ V(s) of the state *before* the last step. `genesis-gym train` bootstraps
    with the value of the true last observation, which `extras["final_observation"]` has.

    Attributes:
        core: The batched environment behind it.
        num_envs: Environments.
        num_actions: Numbers in one environment's action.
        max_episode_length: Control steps after which an episode is truncated.
        device: Where tensors live.
        cfg: What the environment is, for RSL-RL's logs.
    """

    def __init__(self, core: Core, seed: int | Sequence[int | None] | None = None) -> None:
        """Wrap a batched environment and begin an episode everywhere.

        Args:
            core: The batched environment.
            seed: As for `BatchedEnv.reset`.

        Raises:
            ArgumentError: The episodes of `core` have no end, or the seed is not allowed.
        """
        if core.max_episode_steps is None:
            raise ArgumentError("max_episode_steps=None is not allowed with RSL-RL; it needs an integer")
        self.core = core
        self.num_envs = core.num_envs
        self.num_actions = core.action_dim
        self.max_episode_length = core.max_episode_steps
        self.device = core.device
        self.cfg = {
            "task": type(core.task).__name__,
            "num_envs": core.num_envs,
            "max_episode_length": core.max_episode_steps,
            "control_dt": core.control_dt,
            "reward_weights": dict(core.reward_weights),
        }
        self._autoreset = Autoreset(core, AutoresetMode.SAME_STEP)
        self._succeeded = torch.zeros(core.num_envs, dtype=torch.bool, device=core.device)
        self.reset(seed)

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Control steps that each episode has taken, int64 `(num_envs,)`.

        Assign it, as RSL-RL does to spread the ends of the first episodes over time; a change of its elements in
        place changes a copy.
        """
        return self.core.episode_steps

    @episode_length_buf.setter
    def episode_length_buf(self, steps: torch.Tensor) -> None:
        self.core.episode_steps = steps

    def reset(self, seed: int | Sequence[int | None] | None = None) -> TensorDict:
        """Begin a new episode everywhere.

        Args:
            seed: As for `BatchedEnv.reset`.

        Returns:
            Observations, as `get_observations` gives them.
        """
        observation, _ = self._autoreset.reset(seed=seed)
        return self._tensor_dict(observation)

    def get_observations(self) -> TensorDict:
        """What the policy acts on next: group → `(num_envs, ...)`."""
        return self._tensor_dict(self.core.observation)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Take one control step in every environment.

        Args:
            actions: float `(num_envs, num_actions)`; clipped to the bounds of the action.

        Returns:
            Observations, rewards, dones (int64, 0 or 1) and extras:

            - `time_outs`, bool `(num_envs,)`: the episode was truncated, and not terminated.
            - `final_observation`, a TensorDict: the true last observation of environments that ended, elsewhere
              the observation returned.
            - `metrics`: those of the step, as in `StepResult`.
            - `log`, which RSL-RL averages and writes down: the metrics that are one number for each environment,
              and as `/success` whether its last finished episode ended in success.

        Raises:
            ActionError: The actions have the wrong shape or dtype.
        """
        transition = self._autoreset.step(actions)
        metrics = transition.final_metrics
        self._succeeded = torch.where(transition.reset, metrics["is_success"], self._succeeded)
        log = {name: value for name, value in metrics.items() if value.ndim == 1 and name != "is_success"}
        extras = {
            "time_outs": transition.truncated,
            "final_observation": self._tensor_dict(transition.final_observation),
            "metrics": metrics,
            "log": {**log, "/success": self._succeeded},
        }
        return self._tensor_dict(transition.observation), transition.reward, transition.reset.long(), extras

    def close(self) -> None:
        """Free the scene; closing twice is allowed."""
        self.core.close()

    def _tensor_dict(self, observation: Observation) -> TensorDict:
        return TensorDict(dict(observation), batch_size=[self.num_envs], device=self.device)


def make_rsl_rl_vec_env(
    env_id: str,
    num_envs: int,
    seed: int | Sequence[int | None] | None = None,
    *,
    num_workers: int = 1,
    **kwargs: Any,
) -> GenesisRslRlVecEnv:
    """Make a registered environment as an RSL-RL `VecEnv`.

    Args:
        env_id: Such as `"Genesis/FrankaReach-v0"`.
        num_envs: Environments, at least 1.
        seed: As for `BatchedEnv.reset`.
        num_workers: Processes among which the environments are divided, each with a scene and a core of its own.
        **kwargs: Further arguments of `BatchedEnv`.

    Returns:
        The `VecEnv`; give it to any of RSL-RL's runners.
    """
    return GenesisRslRlVecEnv(make_sharded_core(env_id, num_envs, num_workers, **kwargs), seed)
