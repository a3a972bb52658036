"""The RSL-RL `VecEnv`: torch in, torch out, on the device of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.core import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError


class GenesisRslRlVecEnv(VecEnv):
    """A batched environment as RSL-RL's runners see it.

    Environments whose episode ends are reset within the step. RSL-RL never resets an environment itself, so the
    first episodes begin in the constructor. The groups of the observation are those of the task: RSL-RL's
    `obs_groups` assigns them to actor and critic.

    At a time-out RSL-RL's PPO adds γ V(s) of the state *before* the last step. `extras["final_observation"]` has the
    true last observation for an exact bootstrap, as `genesis-gym train --library rsl_rl` does it.

    Attributes:
        core: The batched environment behind it.
        num_envs: Environments.
        num_actions: Numbers in an action.
        max_episode_length: Control steps after which an episode is truncated.
        device: Where tensors live.
        cfg: Description of the environment, for RSL-RL's logs.
    """

    def __init__(self, core: BatchedEnv, seed: int | Sequence[int | None] | None = None) -> None:
        """Wrap a batched environment and begin an episode in every environment.

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
        """Control steps of each environment's episode so far, int64 `(num_envs,)`.

        Assign it, as RSL-RL does to spread the ends of the first episodes over time; a change of its elements in
        place changes a copy.
        """
        return self.core.episode_steps

    @episode_length_buf.setter
    def episode_length_buf(self, steps: torch.Tensor) -> None:
        self.core.episode_steps = steps

    def reset(self, seed: int | Sequence[int | None] | None = None) -> TensorDict:
        """Begin a new episode in every environment.

        Args:
            seed: As for `BatchedEnv.reset`.

        Returns:
            Observations, as `get_observations` gives them.
        """
        observation, _ = self._autoreset.reset(seed=seed)
        return self._group(observation)

    def get_observations(self) -> TensorDict:
        """The current observations.

        Returns:
            Group → `(num_envs, ...)`.
        """
        return self._group(self.core.observation)

    # The scene keeps tensors of this step beyond the inference mode in which RSL-RL calls it.
    @torch.inference_mode(mode=False)
    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Take one control step in every environment.

        Args:
            actions: float `(num_envs, num_actions)`; clipped to [-1, 1].

        Returns:
            Observations, rewards, dones (int64, 0 or 1) and extras:

            - `time_outs`, bool `(num_envs,)`: truncated, by the clock or because the environment was faulty.
            - `final_observation`: the groups of the true last observation of environments that ended, elsewhere of
              the observation returned.
            - `metrics`: those of the step, as in `StepResult`.
            - `log`, which RSL-RL averages and logs: the metrics that are one number for each environment, and as
              `/success` whether its last finished episode ended in success.

        Raises:
            ActionError: The actions have the wrong shape or dtype.
        """
        transition = self._autoreset.step(actions)
        metrics = transition.final_metrics
        self._succeeded = torch.where(transition.reset, metrics["is_success"], self._succeeded)
        log = {name: value for name, value in metrics.items() if value.ndim == 1 and name != "is_success"}
        extras = {
            "time_outs": transition.truncated,
            "final_observation": self._group(transition.final_observation),
            "metrics": metrics,
            "log": {**log, "/success": self._succeeded},
        }
        return self._group(transition.observation), transition.reward, transition.reset.long(), extras

    def close(self) -> None:
        """Free the scene; closing twice is allowed."""
        self.core.close()

    def _group(self, observation: dict[str, torch.Tensor]) -> TensorDict:
        return TensorDict(observation, batch_size=[self.num_envs], device=self.device)


def make_rsl_rl_vec_env(
    env_id: str, num_envs: int, seed: int | Sequence[int | None] | None = None, **kwargs: Any
) -> GenesisRslRlVecEnv:
    """Make a registered environment as an RSL-RL `VecEnv`.

    Args:
        env_id: Such as `"Genesis/FrankaReach-v0"`.
        num_envs: Environments, at least 1.
        seed: As for `BatchedEnv.reset`.
        **kwargs: Further arguments of `BatchedEnv`.

    Returns:
        The `VecEnv`; give it to any of RSL-RL's runners.
    """
    return GenesisRslRlVecEnv(make_core(env_id, num_envs, **kwargs), seed)
