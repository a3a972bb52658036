"""The single `gymnasium.Env`: one row, numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from genesis_gym.adapters.spaces import (
    action_space,
    goal_reward,
    observation_space,
    to_numpy,
    to_observation,
    to_torch,
)
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.registration import MAX_EPISODE_STEPS
from genesis_gym.robots import RobotSpec
from genesis_gym.runtime.system import has_display
from genesis_gym.tasks import Reach, Task


class GenesisGymWrapper(gymnasium.Env[Any, NDArray[Any]]):
    """A robot in Genesis as a `gymnasium.Env`.

    With no task it offers the robot alone, to be subclassed: override `reset` and `step`, and call super. What
    should run fast, in many rows, is better written as a `genesis_gym.Task`.

    Attributes:
        core: The batched environment behind it.
        robot: The Genesis entity of the robot.
        scene: The Genesis scene. Its row 0 is this environment.
        n_dofs: Degrees of freedom of the robot, fingers included.
        n_ctrl_dofs: Joints of the arm; the action has as many numbers where it drives them one by one.
        joint_limits_low: Lower limits of those joints, rad `(n_ctrl_dofs,)`.
        joint_limits_high: Upper limits, rad `(n_ctrl_dofs,)`.
        initial_joint_pos: Their position after a reset, rad `(n_ctrl_dofs,)`.
        max_steps: Control steps after which an episode is truncated; None for never.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human", "rgb_array"], "render_fps": 50}  # type: ignore[misc]

    def __init__(
        self,
        robot_type: str | RobotSpec = "franka",
        scene_type: str = "empty",
        use_gpu: bool = True,
        show_viewer: bool = False,
        render_mode: str | None = None,
        *,
        task: str | Task = "none",
        control_mode: str | None = None,
        max_steps: int | None = MAX_EPISODE_STEPS,
        **kwargs: Any,
    ) -> None:
        """Build the scene.

        Args:
            robot_type: A name in `genesis_gym.robots.ROBOTS`, or a `RobotSpec`.
            scene_type: A name in `genesis_gym.tasks.scenes.SCENES`.
            use_gpu: Use a GPU; without one the CPU is used and one line says so.
            show_viewer: Open Genesis's viewer.
            render_mode: `"rgb_array"`, which needs no display, `"human"`, which opens the viewer, or None.
            task: A name in `genesis_gym.tasks.TASKS`, or an instance of a `Task` subclass.
            control_mode: A name in `genesis_gym.controllers.CONTROLLERS`; None for the task's.
            max_steps: Control steps after which an episode is truncated; None for never.
            **kwargs: `action_repeat`, `reward`, `reward_weights`, `goal`, `randomization`, `curriculum` and
                `observation_parts` of `BatchedEnv`.

        Raises:
            ArgumentError: An argument has a value that is not allowed.
            MissingDependencyError: A system library or, for the viewer, a display is missing.
        """
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        self.core = BatchedEnv(
            task,
            robot=robot_type,
            scene_type=scene_type,
            control_mode=control_mode,
            max_episode_steps=max_steps,
            backend="gpu" if use_gpu else "cpu",
            show_viewer=show_viewer or render_mode == "human",
            camera_rows=[0] if render_mode == "rgb_array" else (),
            **kwargs,
        )
        self.render_mode = render_mode
        modes = self.metadata["render_modes"] if has_display() else ["rgb_array"]
        self.metadata = {"render_modes": modes, "render_fps": round(1 / self.core.control_dt)}  # type: ignore[misc]
        self.observation_space = observation_space(self.core)
        self.action_space = action_space(self.core)

        robot = self.core.robot
        self.robot = robot.entity
        self.scene = self.core.simulation.scene
        self.n_dofs: int = robot.entity.n_dofs
        self.n_ctrl_dofs = len(robot.spec.joints)
        self.joint_limits_low = to_numpy(robot.joint_low.clone())
        self.joint_limits_high = to_numpy(robot.joint_high.clone())
        self.initial_joint_pos = to_numpy(robot.home.clone())

    @property
    def max_steps(self) -> int | None:
        """Control steps after which an episode is truncated; None for never."""
        return self.core.max_episode_steps

    @property
    def difficulty(self) -> float:
        """How hard the next episode will be, 0 to 1; 1 is the task as declared."""
        return self.core.difficulty.item()

    def increase_difficulty(self) -> None:
        """Take one step of the curriculum, from the next episode on.

        Raises:
            ArgumentError: The environment was made without a curriculum.
        """
        self.core.increase_difficulty()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a new episode; see `gymnasium.Env.reset`.

        Args:
            seed: Seeds all randomness; None goes on to the next episode of the present seed.
            options: Not used.

        Returns:
            Observation `(observation_dim,)`, with `goal=True` a dictionary, and info.
        """
        super().reset(seed=seed)
        observation, metrics = self.core.reset(seed=None if seed is None else int(seed))
        return to_observation(self.core, observation[0]), _info(metrics)

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one control step; see `gymnasium.Env.step`.

        Args:
            action: float `(core.action_dim,)`; clipped to [-1, 1].

        Returns:
            Observation, reward, terminated, truncated, info.

        Raises:
            ActionError: The action has the wrong shape or dtype.
        """
        tensor = to_torch(action)
        result = self.core.step(tensor.unsqueeze(0) if tensor.ndim == 1 else tensor.reshape(1, *tensor.shape))
        return (
            to_observation(self.core, result.observation[0]),
            result.reward.item(),
            bool(result.terminated.item()),
            bool(result.truncated.item()),
            _info(result.metrics),
        )

    @property
    def compute_reward(self) -> Callable[..., Any]:
        """`BatchedEnv.compute_reward`; only there with `goal=True`: who has it is taken for a goal environment."""
        return goal_reward(self.core)

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
        array = np.asarray(joint_pos, dtype=np.float32)
        if array.ndim not in (1, 2) or array.shape[-1] not in (self.n_ctrl_dofs, self.n_dofs):
            raise ArgumentError(
                f"joint_pos has shape {array.shape}; its last dimension must be n_ctrl_dofs={self.n_ctrl_dofs} "
                f"or n_dofs={self.n_dofs}"
            )
        batch = torch.from_numpy(np.atleast_2d(array)).to(self.core.device)
        position = to_numpy(self.core.robot.forward_kinematics(batch))
        return position[0] if array.ndim == 1 else position

    _compute_forward_kinematics = forward_kinematics


class ReachingEnv(GenesisGymWrapper):
    """The guide's reaching task: `GenesisGymWrapper` with the task that `Genesis/FrankaReach-v0` names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments of `GenesisGymWrapper`; `task` defaults to reach."""
        super().__init__(*args, **{"task": "reach", **kwargs})
        if not isinstance(self.core.task, Reach):
            raise ArgumentError(f"task={kwargs['task']!r} is not allowed here; it must be a Reach task")
        self._reach = self.core.task

    @property
    def target_pos(self) -> NDArray[np.float32]:
        """Where to go, world frame, metres `(3,)`."""
        return to_numpy(self._reach.target[0].clone())

    @property
    def target_tolerance(self) -> float:
        """Radius of success, metres."""
        return self._reach.tolerance


def make_single(**kwargs: Any) -> GenesisGymWrapper:
    """Entry point of `gymnasium.make`: the clock is left to Gymnasium's `TimeLimit`, so it runs once."""
    return GenesisGymWrapper(**{"max_steps": None, **kwargs})


make_single.metadata = GenesisGymWrapper.metadata  # type: ignore[attr-defined]  # gymnasium.make looks here


def _info(metrics: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Numbers as Python's, vectors as arrays."""
    return {name: value.item() if value.ndim == 1 else to_numpy(value[0]) for name, value in metrics.items()}
