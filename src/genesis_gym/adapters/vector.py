"""The `gymnasium.vector.VectorEnv`: numpy in, numpy out."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from genesis_gym.adapters.autoreset import Autoreset, Transition
from genesis_gym.adapters.spaces import action_space, observation_space, to_numpy, to_observation, to_torch
from genesis_gym.core.make import divide
from genesis_gym.errors import ArgumentError, check_choice, safe_repr
from genesis_gym.registration import merged
from genesis_gym.tasks import Task

Array = NDArray[Any]


class GenesisVectorEnv(gymnasium.vector.VectorEnv[Any, Array, Array]):
    """A task in `num_envs` environments, as `gymnasium.make_vec` returns it.

    Attributes:
        core: The batched environment behind it.
        autoreset_mode: As in `metadata`; torchrl reads it here, where `SyncVectorEnv` has it.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: str | type[Task] | Task = "reach",
        use_gpu: bool = True,
        show_viewer: bool = False,
        render_mode: str | None = None,
        max_episode_steps: float | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        num_workers: int = 1,
        **options: Any,
    ) -> None:
        """Build the scene, or one in each process.

        Args:
            num_envs: Environments.
            task: A name in `genesis_gym.tasks.TASKS`, a `Task` subclass or an instance of one.
            use_gpu: Use a GPU; without one the CPU is used and one line says so.
            show_viewer: Open Genesis's viewer.
            render_mode: `"rgb_array"`, which needs no display, `"human"`, which opens the viewer, or None.
            max_episode_steps: Control steps after which an episode is truncated; None for what the task declares,
                `math.inf` for never.
            autoreset_mode: When an environment that ended is reset, as Gymnasium defines it: `NEXT_STEP`,
                `SAME_STEP` or `DISABLED`, or their values `"NextStep"`, `"SameStep"`, `"Disabled"`.
            num_workers: Processes among which the environments are divided, each with a scene and a core of its
                own; not with a viewer, a camera or a GPU.
            **options: Fields of the task, such as `robot` (or `robot_type`), and `reward`, `reward_weights`,
                `goal`, `randomization`, `curriculum` and `observation_parts` of `BatchedEnv`.

        Raises:
            ArgumentError: An argument has a value that is not allowed.
            MissingDependencyError: A system library or, for the viewer, a display is missing.
        """
        if render_mode is not None:
            check_choice("render_mode", render_mode, ("human", "rgb_array"))
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset_mode", autoreset_mode, [mode.value for mode in AutoresetMode])
            autoreset_mode = AutoresetMode(autoreset_mode)
        self.core = divide(
            task,
            num_envs=num_envs,
            num_workers=num_workers,
            max_episode_steps=max_episode_steps,
            device="gpu" if use_gpu else "cpu",
            show_viewer=show_viewer or render_mode == "human",
            camera_envs=range(num_envs) if render_mode == "rgb_array" else (),
            **merged(options),
        )
        self._autoreset = Autoreset(self.core, autoreset_mode)
        self.autoreset_mode = autoreset_mode
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.metadata = {
            "render_modes": ["human", "rgb_array"],
            "render_fps": round(1 / self.core.control_dt),
            "autoreset_mode": autoreset_mode,
        }
        self.single_observation_space = observation_space(self.core)
        self.single_action_space = action_space(self.core)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a new episode everywhere, or in the environments of `options["reset_mask"]`.

        Args:
            seed: An int seeds environment i with `seed + i`; a sequence has one seed, or None, for each.
            options: `reset_mask`, a bool array `(num_envs,)` with at least one True, resets those only.

        Returns:
            Observations `(num_envs, ...)`, with several groups a dictionary, and infos, of every environment.

        Raises:
            ArgumentError: The seed or the mask has a wrong shape, dtype or value.
        """
        mask = None if options is None else options.get("reset_mask")
        envs = None if mask is None else _reset_mask(mask, self.num_envs)
        if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
            super().reset(seed=operator.index(seed))
        observation, metrics = self._autoreset.reset(envs, seed)
        present = np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask
        return to_observation(observation), _infos(metrics, present)

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Take one control step in every environment; see `gymnasium.vector.VectorEnv.step`.

        Args:
            actions: float `(num_envs, action_dim)`; clipped to the bounds of the action.

        Returns:
            Observations, rewards, terminations, truncations, infos. In SAME_STEP mode `infos["final_obs"]` and
            `infos["final_info"]` hold the true last observation and info of the environments that were reset.

        Raises:
            ActionError: The action has the wrong shape or dtype.
        """
        transition = self._autoreset.step(to_torch(actions))
        infos = _infos(transition.metrics, np.ones(self.num_envs, dtype=np.bool_))
        if bool(transition.reset.any()):
            infos.update(_final_infos(transition))
        return (
            to_observation(transition.observation),
            to_numpy(transition.reward.double()),
            to_numpy(transition.terminated),
            to_numpy(transition.truncated),
            infos,
        )

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw the present state of every environment.

        Returns:
            `num_envs` frames, uint8 `(height, width, 3)`, in mode `"rgb_array"`, else None.
        """
        if self.render_mode == "rgb_array":
            return tuple(self.core.render())
        if self.render_mode is None:
            gymnasium.logger.warn("render() was called, but render_mode is None; make it with 'rgb_array'")
        return None

    def close_extras(self, **kwargs: Any) -> None:
        """Free the scene."""
        self.core.close()

    def __getattr__(self, name: str) -> Any:
        """`compute_reward`, which only an environment made with `goal=True` has: clients ask for it by name."""
        if name == "compute_reward" and "achieved_goal" in self.core.observation_layout:
            return self.core.compute_reward
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __reduce__(self) -> Any:
        """Refuse to be pickled or copied, as the core does."""
        return self.core.__reduce__()


def _reset_mask(mask: Any, num_envs: int) -> torch.Tensor:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (num_envs,) or not mask.any():
        given = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else safe_repr(mask)
        raise ArgumentError(
            f"options['reset_mask'] is {given}; it must be a bool array of shape ({num_envs},) with a True in it"
        )
    return torch.from_numpy(mask.copy())


def _infos(metrics: dict[str, torch.Tensor], present: NDArray[np.bool_]) -> dict[str, Any]:
    """Gymnasium's form: each key has an array, and `_key` the mask of the environments that have it."""
    infos: dict[str, Any] = {}
    for name, value in metrics.items():
        infos[name] = to_numpy(value)
        infos[f"_{name}"] = present.copy()
    return infos


def _final_infos(transition: Transition) -> dict[str, Any]:
    ended = to_numpy(transition.reset)
    final_obs = np.full(len(ended), None, dtype=object)
    final = to_observation(transition.final_observation)
    for env in ended.nonzero()[0]:
        final_obs[env] = {k: v[env] for k, v in final.items()} if isinstance(final, dict) else final[env]
    return {
        "final_obs": final_obs,
        "_final_obs": ended.copy(),
        "final_info": _infos(transition.final_metrics, ended),
        "_final_info": ended.copy(),
    }
