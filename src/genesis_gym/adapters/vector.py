"""The `gymnasium.vector.VectorEnv`: many rows of one scene, numpy in, numpy out."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from genesis_gym.adapters.autoreset import Autoreset, Transition
from genesis_gym.adapters.spaces import (
    action_space,
    goal_reward,
    observation_space,
    to_numpy,
    to_observation,
    to_torch,
)
from genesis_gym.core import Core
from genesis_gym.core.sharded import share_out
from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.registration import MAX_EPISODE_STEPS
from genesis_gym.robots import RobotSpec
from genesis_gym.tasks import Task

Array = NDArray[Any]


class GenesisVectorEnv(gymnasium.vector.VectorEnv[Any, Array, Array]):
    """A task in `num_envs` rows of one Genesis scene, as `gymnasium.make_vec` returns it.

    Attributes:
        core: The batched environment behind it.
        autoreset_mode: As in `metadata`; torchrl reads it here, where `SyncVectorEnv` has it.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        num_workers: int = 1,
        task: str | Task = "reach",
        robot_type: str | RobotSpec = "franka",
        scene_type: str = "empty",
        control_mode: str | None = None,
        use_gpu: bool = True,
        show_viewer: bool = False,
        render_mode: str | None = None,
        max_episode_steps: int | None = MAX_EPISODE_STEPS,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        """Build the scene.

        Args:
            num_envs: Rows, at least `num_workers`.
            num_workers: Processes among which the rows are shared out, this one included; see `ShardedEnv`.
            task: A name in `genesis_gym.tasks.TASKS`, or an instance of a `Task` subclass.
            robot_type: A name in `genesis_gym.robots.ROBOTS`, or a `RobotSpec`.
            scene_type: A name in `genesis_gym.tasks.scenes.SCENES`.
            control_mode: A name in `genesis_gym.controllers.CONTROLLERS`; None for the task's.
            use_gpu: Use a GPU; without one the CPU is used and one line says so.
            show_viewer: Open Genesis's viewer.
            render_mode: `"rgb_array"`, which needs no display, `"human"`, which opens the viewer, or None.
            max_episode_steps: Control steps after which an episode is truncated; None for never.
            autoreset_mode: When a row that ended is reset, as Gymnasium defines it: `NEXT_STEP`, `SAME_STEP`
                or `DISABLED`, or their values `"NextStep"`, `"SameStep"`, `"Disabled"`.
            **kwargs: `action_repeat`, `reward`, `reward_weights`, `goal`, `randomization`, `curriculum` and
                `observation_parts` of `BatchedEnv`.

        Raises:
            ArgumentError: An argument has a value that is not allowed.
            MissingDependencyError: A system library or, for the viewer, a display is missing.
            WorkerError: A worker could not build its scene.
        """
        if render_mode is not None:
            check_choice("render_mode", render_mode, ("human", "rgb_array"))
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset_mode", autoreset_mode, [mode.value for mode in AutoresetMode])
            autoreset_mode = AutoresetMode(autoreset_mode)
        self.core = share_out(
            task,
            num_envs=num_envs,
            num_workers=num_workers,
            robot=robot_type,
            scene_type=scene_type,
            control_mode=control_mode,
            max_episode_steps=max_episode_steps,
            backend="gpu" if use_gpu else "cpu",
            show_viewer=show_viewer or render_mode == "human",
            camera_rows=range(num_envs) if render_mode == "rgb_array" else (),
            **kwargs,
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
        """Begin a new episode in every row, or in those of `options["reset_mask"]`.

        Args:
            seed: An int seeds row i with `seed + i`; a sequence has one seed, or None, for each row.
            options: `reset_mask`, a bool array `(num_envs,)` with at least one True, resets those rows only.

        Returns:
            Observations `(num_envs, observation_dim)`, with `goal=True` a dictionary, and infos, of every row.

        Raises:
            ArgumentError: The seed or the mask has a wrong shape, dtype or value.
        """
        mask = None if options is None else options.get("reset_mask")
        rows = None if mask is None else _reset_mask(mask, self.num_envs)
        if seed is not None and not isinstance(seed, Sequence | np.ndarray):
            seed = operator.index(seed)
            super().reset(seed=seed)
        elif seed is not None:
            seed = [None if s is None else operator.index(s) for s in seed]
        observation, metrics = self._autoreset.reset(rows, seed)
        present = np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask
        return to_observation(self.core, observation), _infos(metrics, present)

    def step(self, actions: Array) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Take one control step in every row; see `gymnasium.vector.VectorEnv.step`.

        Args:
            actions: float `(num_envs, action_dim)`; clipped to [-1, 1].

        Returns:
            Observations, rewards, terminations, truncations, infos. In SAME_STEP mode `infos["final_obs"]` and
            `infos["final_info"]` hold the true last observation and info of the rows that were reset.

        Raises:
            ActionError: The action has the wrong shape or dtype.
        """
        transition = self._autoreset.step(to_torch(actions))
        infos = _infos(transition.metrics, np.ones(self.num_envs, dtype=np.bool_))
        if bool(transition.reset.any()):
            infos.update(_final_infos(self.core, transition))
        return (
            to_observation(self.core, transition.observation),
            to_numpy(transition.reward.double()),
            to_numpy(transition.terminated),
            to_numpy(transition.truncated),
            infos,
        )

    @property
    def compute_reward(self) -> Callable[..., Any]:
        """`BatchedEnv.compute_reward`; only there with `goal=True`: who has it is taken for a goal environment."""
        return goal_reward(self.core)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw the present state of every row.

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


def _reset_mask(mask: Any, num_envs: int) -> torch.Tensor:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (num_envs,) or not mask.any():
        given = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ArgumentError(
            f"options['reset_mask'] is {given}; it must be a bool array of shape ({num_envs},) with a True in it"
        )
    return torch.from_numpy(mask.copy())


def _infos(metrics: dict[str, torch.Tensor], present: NDArray[np.bool_]) -> dict[str, Any]:
    """Gymnasium's form: each key has an array, and `_key` the mask of the rows that have it."""
    infos: dict[str, Any] = {}
    for name, value in metrics.items():
        infos[name] = to_numpy(value)
        infos[f"_{name}"] = present.copy()
    return infos


def _final_infos(core: Core, transition: Transition) -> dict[str, Any]:
    ended = to_numpy(transition.reset)
    final_obs = np.full(len(ended), None, dtype=object)
    final = to_observation(core, transition.final_observation)
    for row in ended.nonzero()[0]:
        final_obs[row] = {k: v[row] for k, v in final.items()} if isinstance(final, dict) else final[row]
    return {
        "final_obs": final_obs,
        "_final_obs": ended.copy(),
        "final_info": _infos(transition.final_metrics, ended),
        "_final_info": ended.copy(),
    }
