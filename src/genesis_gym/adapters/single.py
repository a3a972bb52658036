"""The single `gymnasium.Env`: numpy in, numpy out."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Space
from numpy.typing import ArrayLike, NDArray

from genesis_gym.adapters.spaces import action_space, observation_space, to_numpy, to_observation, to_torch
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.robots import Robot, RobotSpec
from genesis_gym.runtime.system import has_display
from genesis_gym.tasks import Task


class GenesisGymWrapper(gymnasium.Env[Any, NDArray[Any]]):
    """A task in Genesis as a `gymnasium.Env`, as `gymnasium.make` returns it.

    With no task it offers an arm alone, to be subclassed: override `reset` and `step`, and call super. A subclass
    may return another observation than the task's: the space follows what its `reset` gives. What should run fast,
    in many environments, is better written as a `genesis_gym.Task`.

    Attributes:
        core: The batched environment behind it.
        scene: The Genesis scene. Its environment 0 is this one.
        robot: The Genesis entity of the robot; this and the following for a task of one arm only.
        n_dofs: Degrees of freedom of the robot, fingers included.
        n_ctrl_dofs: Joints of the arm; the action has as many numbers where it drives them one by one.
        joint_limits_low: Lower limits of those joints, rad `(n_ctrl_dofs,)`.
        joint_limits_high: Upper limits, rad `(n_ctrl_dofs,)`.
        initial_joint_pos: Their position after a reset, rad `(n_ctrl_dofs,)`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human", "rgb_array"], "render_fps": 50}  # type: ignore[misc]

    def __init__(
        self,
        robot_type: str | RobotSpec | None = None,
        scene_type: str | None = None,
        use_gpu: bool = True,
        show_viewer: bool = False,
        render_mode: str | None = None,
        *,
        task: str | type[Task] | Task = "none",
        max_steps: float | None = 100,
        **options: Any,
    ) -> None:
        """Build the scene.

        Args:
            robot_type: A name in `genesis_gym.robots.ROBOTS`, or a `RobotSpec`; None for the task's.
            scene_type: Surroundings, `"empty"`, `"table"` or `"bin"`; None for the task's.
            use_gpu: Use a GPU; without one the CPU is used and one line says so.
            show_viewer: Open Genesis's viewer.
            render_mode: `"rgb_array"`, which needs no display, `"human"`, which opens the viewer, or None.
            task: A name in `genesis_gym.tasks.TASKS`, a `Task` subclass or an instance of one.
            max_steps: Control steps after which an episode is truncated; None for never.
            **options: Fields of the task, and `reward`, `reward_weights`, `goal`, `randomization`, `curriculum`
                and `observation_parts` of `BatchedEnv`.

        Raises:
            ArgumentError: An argument has a value that is not allowed.
            MissingDependencyError: A system library or, for the viewer, a display is missing.
        """
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        given = {"robot": robot_type, "scene_type": scene_type}
        self.core = BatchedEnv(
            task,
            max_episode_steps=math.inf if max_steps is None else max_steps,
            device="gpu" if use_gpu else "cpu",
            show_viewer=show_viewer or render_mode == "human",
            camera_envs=[0] if render_mode == "rgb_array" else (),
            **{**options, **{name: value for name, value in given.items() if value is not None}},
        )
        self.render_mode = render_mode
        modes = self.metadata["render_modes"] if has_display() else ["rgb_array"]
        self.metadata = {"render_modes": modes, "render_fps": round(1 / self.core.control_dt)}  # type: ignore[misc]
        self._space = observation_space(self.core)
        self._space_is_known = type(self).reset is GenesisGymWrapper.reset
        self.action_space = action_space(self.core)
        self.scene = self.core.world.scene
        arm = getattr(self.core.task, "arm", None)
        if isinstance(arm, Robot):
            self.robot = arm.entity
            self.n_dofs: int = arm.entity.n_dofs
            self.n_ctrl_dofs = len(arm.joints)
            self.joint_limits_low = to_numpy(arm.joint_low.clone())
            self.joint_limits_high = to_numpy(arm.joint_high.clone())
            self.initial_joint_pos = to_numpy(arm.default.clone())

    @property
    def max_steps(self) -> int | None:
        """Control steps after which an episode is truncated; None for never."""
        return self.core.max_episode_steps

    @property
    def observation_space(self) -> Space[Any]:
        """Space of the observation: what was assigned, else what a subclass's `reset` gives."""
        if not self._space_is_known:
            self._space_is_known = True  # `reset` may ask for the space
            numpy_state = np.random.get_state()
            with self.core.evaluation_mode():
                observation, _ = self.reset()
            np.random.set_state(numpy_state)
            if isinstance(observation, np.ndarray) and not self._space.contains(observation):
                self._space = Box(-np.inf, np.inf, observation.shape, observation.dtype.type)
        return self._space

    @observation_space.setter
    def observation_space(self, space: Space[Any]) -> None:
        self._space = space
        self._space_is_known = True

    @property
    def difficulty(self) -> float:
        """How hard the next episode will be, 0 to 1; a subclass may assign it for a use of its own."""
        difficulty: float = vars(self).get("_difficulty", self.core.difficulty.item())
        return difficulty

    @difficulty.setter
    def difficulty(self, difficulty: float) -> None:
        self._difficulty = difficulty

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a new episode; see `gymnasium.Env.reset`.

        Args:
            seed: Seeds all randomness; None moves on to the next episode of the present seed.
            options: Not used.

        Returns:
            Observation, with several groups a dictionary, and info.
        """
        super().reset(seed=seed)
        observation, metrics = self.core.reset(seed=seed)
        return to_observation({group: tensor[0] for group, tensor in observation.items()}), _info(metrics)

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one control step; see `gymnasium.Env.step`.

        Args:
            action: float `(core.action_dim,)`; clipped to the bounds of the action.

        Returns:
            Observation, reward, terminated, truncated, info.

        Raises:
            ActionError: The action has the wrong shape or dtype.
        """
        result = self.core.step(to_torch(action).unsqueeze(0))
        return (
            to_observation({group: tensor[0] for group, tensor in result.observation.items()}),
            result.reward.item(),
            bool(result.terminated.item()),
            bool(result.truncated.item()),
            _info(result.metrics),
        )

    def increase_difficulty(self) -> None:
        """Take one step of the curriculum, from the next episode on.

        Raises:
            ArgumentError: The environment was made without a curriculum.
        """
        self.core.increase_difficulty()

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the present state.

        Returns:
            uint8 `(height, width, 3)` in mode `"rgb_array"`, else None: the viewer draws itself.
        """
        if self.render_mode == "rgb_array":
            frame: NDArray[np.uint8] = self.core.render()[0]
            return frame
        if self.render_mode is None:
            gymnasium.logger.warn("render() was called, but render_mode is None; make it with 'rgb_array'")
        return None

    def close(self) -> None:
        """Free the scene; closing twice is allowed."""
        self.core.close()

    def forward_kinematics(self, joint_pos: ArrayLike) -> NDArray[np.float32]:
        """Where the tool centre would be, by the simulator's kinematics; no state changes.

        Args:
            joint_pos: Joint positions in rad, of the controlled joints or of all `n_dofs`; one configuration
                `(joints,)` or many `(n, joints)`.

        Returns:
            World-frame position in metres, `(3,)` or `(n, 3)`.

        Raises:
            ArgumentError: The last dimension is neither `n_ctrl_dofs` nor `n_dofs`.
        """
        arm: Robot = self.core.task.arm  # type: ignore[attr-defined]
        array = np.asarray(joint_pos, dtype=np.float32)
        if array.ndim not in (1, 2) or array.shape[-1] not in (self.n_ctrl_dofs, self.n_dofs):
            raise ArgumentError(
                f"joint_pos has shape {array.shape}; its last dimension must be n_ctrl_dofs={self.n_ctrl_dofs} "
                f"or n_dofs={self.n_dofs}"
            )
        batch = torch.from_numpy(np.atleast_2d(array)).to(self.core.device)
        position = to_numpy(arm.forward_kinematics(batch))
        return position[0] if array.ndim == 1 else position

    _compute_forward_kinematics = forward_kinematics

    def __getattr__(self, name: str) -> Any:
        """`compute_reward`, which only an environment made with `goal=True` has: clients ask for it by name."""
        if name == "compute_reward" and "core" in vars(self) and "achieved_goal" in self.core.observation_layout:
            return self.core.compute_reward
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> Any:
        """Refuse to be pickled or copied, as the core does."""
        return self.core.__reduce__()


def make_single(**kwargs: Any) -> GenesisGymWrapper:
    """Entry point of `gymnasium.make`: the clock is left to Gymnasium's `TimeLimit`, so it runs once."""
    return GenesisGymWrapper(**{"max_steps": None, **kwargs})


make_single.metadata = GenesisGymWrapper.metadata  # type: ignore[attr-defined]  # gymnasium.make looks here


def _info(metrics: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Numbers as Python's, vectors as arrays."""
    return {name: value.item() if value.ndim == 1 else to_numpy(value[0]) for name, value in metrics.items()}
