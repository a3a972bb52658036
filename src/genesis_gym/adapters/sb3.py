"""The Stable-Baselines3 `VecEnv`: numpy in, numpy out, a list of infos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.adapters.spaces import action_space, observation_space, to_numpy, to_observation, to_torch
from genesis_gym.core import Core, make_sharded_core

Indices = int | Iterable[int] | None


class GenesisSb3VecEnv(VecEnv):
    """A batched environment as SB3 sees it.

    Environments that end are reset within the step; `infos[i]["terminal_observation"]` is the true last
    observation.

    Attributes:
        core: The batched environment behind it.
    """

    def __init__(self, core: Core, render_mode: str | None = None) -> None:
        """Wrap a batched environment.

        Args:
            core: The batched environment.
            render_mode: `"rgb_array"` when `core` was made with a camera, else None.
        """
        self.core = core
        self._attributes: dict[str, Any] = {"render_mode": render_mode}
        self._autoreset = Autoreset(core, AutoresetMode.SAME_STEP)
        self._action: torch.Tensor | None = None
        super().__init__(core.num_envs, observation_space(core), action_space(core))

    def reset(self) -> Any:
        """Begin a new episode everywhere, seeded if `seed` was called before.

        Returns:
            Observations `(num_envs, ...)`; with several groups a dictionary.
        """
        observation, metrics = self._autoreset.reset(seed=self._seeds)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = info_dicts(metrics)
        return to_observation(observation)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions of the next step.

        Args:
            actions: float `(num_envs, action_dim)`; clipped to the bounds of the action.
        """
        self._action = to_torch(actions)

    def step_wait(self) -> Any:
        """Take the step.

        Returns:
            Observations, rewards, dones, and one info dictionary for each environment.
        """
        assert self._action is not None, "step_wait() was called before step_async()"
        transition = self._autoreset.step(self._action)
        time_out = transition.truncated & ~transition.terminated
        infos = info_dicts({**transition.final_metrics, "TimeLimit.truncated": time_out})
        for env in transition.reset.nonzero().flatten().tolist():
            final = {group: tensor[env].clone() for group, tensor in transition.final_observation.items()}
            infos[env]["terminal_observation"] = to_observation(final)
        return (
            to_observation(transition.observation),
            to_numpy(transition.reward),
            to_numpy(transition.reset),
            infos,
        )

    def close(self) -> None:
        """Free the scene; closing twice is allowed."""
        self.core.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Frames of the camera's environments."""
        return list(self.core.render())

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute of the batched environment, once for each environment: they share it."""
        value = self._attributes[attr_name] if attr_name in self._attributes else getattr(self.core, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute that `get_attr` then returns; environments share it, so for all at once."""
        if attr_name in self._attributes:
            self._attributes[attr_name] = value
        else:
            setattr(self.core, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the batched environment once; its result stands for each environment."""
        result = getattr(self.core, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Environments are never wrapped one by one."""
        return [False for _ in self._get_indices(indices)]


def make_sb3_vec_env(env_id: str, num_envs: int, num_workers: int = 1, **kwargs: Any) -> GenesisSb3VecEnv:
    """Make a registered environment as an SB3 `VecEnv`.

    Args:
        env_id: Such as `"Genesis/FrankaReach-v0"`.
        num_envs: Environments, at least 1.
        num_workers: Processes among which the environments are divided, each with a scene and a core of its own.
        **kwargs: Further arguments of `BatchedEnv`.

    Returns:
        The `VecEnv`; give it to any SB3 algorithm.
    """
    return GenesisSb3VecEnv(make_sharded_core(env_id, num_envs, num_workers, **kwargs))


def info_dicts(metrics: dict[str, torch.Tensor]) -> list[dict[str, Any]]:
    """Metrics as SB3 wants them, one dictionary for each environment.

    Args:
        metrics: Name → `(num_envs, …)`.

    Returns:
        For each environment name → number.
    """
    names = list(metrics)
    columns = [metrics[name].tolist() for name in names]
    return [dict(zip(names, numbers, strict=True)) for numbers in zip(*columns, strict=True)]
