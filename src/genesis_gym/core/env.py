"""The batched environment that every adapter is a thin face of.

It reads in the order in which data flows: an action is checked, the controller commands the robot, the scene
steps, the task evaluates, rewards and observes. It never resets a row by itself: adapters do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from genesis_gym.controllers import CONTROLLERS, make_controller
from genesis_gym.core.arguments import check_action, check_mask, check_parts, check_seeds, check_weights
from genesis_gym.core.objective import Objective
from genesis_gym.core.witness import Witness
from genesis_gym.errors import (
    ArgumentError,
    ClosedError,
    NotResetError,
    check_choice,
    check_positive_int,
    shown,
)
from genesis_gym.robots import Robot, RobotSpec, find_robot
from genesis_gym.runtime import RowRandom, Simulation
from genesis_gym.runtime.torch_settings import with_simulation_settings
from genesis_gym.tasks import Task, find_task
from genesis_gym.tasks.scenes import SCENES
from genesis_gym.tasks.task import Evaluation
from genesis_gym.validation import validate
from genesis_gym.variation.curriculum import Curriculum
from genesis_gym.variation.levels import RowDifficulty
from genesis_gym.variation.physics import SCENE_TERMS, RandomizedPhysics
from genesis_gym.variation.randomization import Randomization

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Every observation lies in [-OBSERVATION_BOUND, OBSERVATION_BOUND], in its own units; what exceeds is clipped.
OBSERVATION_BOUND = 20.0

#: Seconds of one physics step, and physics steps between two commands of a controller (50 Hz). An action lasts for
#: `action_repeat` commands.
SIM_DT = 0.01
DECIMATION = 2
COMMAND_DT = SIM_DT * DECIMATION

#: Buffers of the core that its future depends on.
_BUFFERS = ("clock", "faulty", "fault_counts", "succeeded", "observation")


class StepResult(NamedTuple):
    """What one control step gives, for every row.

    Attributes:
        observation: float32 `(num_envs, observation_dim)`, of the state just reached.
        reward: float32 `(num_envs,)`.
        terminated: bool `(num_envs,)`: success or failure.
        truncated: bool `(num_envs,)`: the clock ran out, or the row is faulty; never together with terminated.
        metrics: Name → `(num_envs,)`: `is_success`, `fault`, the task's metrics, `reward/<term>`,
            `difficulty` with a curriculum, and `randomization/<term>`, `(num_envs,)` or `(num_envs, k)`.
    """

    observation: torch.Tensor
    reward: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    metrics: dict[str, torch.Tensor]


class BatchedEnv:
    """A task and a robot in `num_envs` rows of one Genesis scene.

    No tensor that a method returns is changed by a later call.

    Attributes:
        num_envs: Rows.
        task: The task.
        robot: The robot.
        simulation: Owner of the Genesis scene.
        device: Where tensors live.
        control_dt: Seconds of one control step.
        max_episode_steps: Control steps after which an episode is truncated; None for never.
        action_dim: Numbers in one row's action.
        observation_dim: Numbers in one row's observation.
        observation_layout: Name of each part of an observation → its place.
        fault_counts: Faults of each row since it was made, int64 `(num_envs,)`.
        reward_weights: Name of each reward term → its weight.
        observation: What `reset` or `step` gave last, float32 `(num_envs, observation_dim)`.
        episode_steps: Control steps that each row's episode has taken, int64 `(num_envs,)`; may be assigned.
        difficulty: How hard the next episode of each row will be, float `(num_envs,)`.
        witness: Who is told of every call; None for nobody.
    """

    witness: Witness | None = None

    @with_simulation_settings
    def __init__(
        self,
        task: str | Task = "reach",
        *,
        num_envs: int = 1,
        robot: str | RobotSpec = "franka",
        scene_type: str = "empty",
        control_mode: str | None = None,
        action_repeat: int | None = None,
        max_episode_steps: int | None = None,
        reward: str = "dense",
        reward_weights: Mapping[str, float] | None = None,
        goal: bool = False,
        randomization: Randomization | Mapping[str, Any] | None = None,
        curriculum: Curriculum | Mapping[str, Any] | None = None,
        observation_parts: Mapping[str, int] | None = None,
        backend: str = "auto",
        show_viewer: bool = False,
        camera_rows: Sequence[int] = (),
    ) -> None:
        """Build the scene.

        Args:
            task: A name in `genesis_gym.tasks.TASKS`, or an instance of a `Task` subclass.
            num_envs: Rows, at least 1.
            robot: A name in `genesis_gym.robots.ROBOTS`, or a `RobotSpec`.
            scene_type: A name in `genesis_gym.tasks.scenes.SCENES`.
            control_mode: A name in `genesis_gym.controllers.CONTROLLERS`; None for the task's.
            action_repeat: For how many commands of the controller, of 20 ms each, an action lasts; None for the
                task's.
            max_episode_steps: Control steps after which an episode is truncated; None for never.
            reward: `"dense"`, what the task gives, or `"sparse"`, -1 until success and 0 then.
            reward_weights: Weights of reward terms that differ from the task's.
            goal: Show the goal by itself: the adapters' observations are dictionaries of `observation`,
                `achieved_goal` and `desired_goal`, and the reward depends on the two goals only, the dense one
                being minus their distance. The task must be a `GoalTask`.
            randomization: What of the physics varies from episode to episode, or its fields.
            curriculum: When rows grow harder, or its fields; None for the full task from the start.
            observation_parts: Name → size of the parts that make the observation, in this order, so that several
                tasks can share one policy; a part that the task lacks is zero. None for the task's own.
            backend: One of `genesis_gym.runtime.DEVICES`.
            show_viewer: Open Genesis's viewer.
            camera_rows: Rows that `render` shows unless it is told others; with none there is no camera.

        Raises:
            ArgumentError: An argument has a value that is not allowed.
            MissingDependencyError: A system library or, for the viewer, a display is missing.
        """
        check_positive_int("num_envs", num_envs)
        if max_episode_steps is not None:
            check_positive_int("max_episode_steps", max_episode_steps)
        check_choice("reward", reward, ("dense", "sparse"))
        check_choice("scene_type", scene_type, SCENES)
        if control_mode is not None:
            check_choice("control_mode", control_mode, CONTROLLERS)
        spec = find_robot(robot)
        varied = validate(Randomization, "randomization", randomization or {})
        self._curriculum = None if curriculum is None else validate(Curriculum, "curriculum", curriculum)
        self.task = find_task(task)
        self._action_repeat = self.task.action_repeat if action_repeat is None else action_repeat
        check_positive_int("action_repeat", self._action_repeat)
        drives_gripper = self.task.gripper_opening is None
        if (self.task.needs_gripper or drives_gripper) and not spec.gripper_joints:
            raise ArgumentError(
                f"task {type(self.task).__name__} needs a robot with a gripper; {shown(spec.name)} has none"
            )
        if self.task.begins_poised and spec.poised:
            spec = replace(spec, home=spec.poised)
        self._objective = Objective(self.task, sparse=reward == "sparse", goal=goal)
        control_mode = control_mode or self.task.control_mode
        self.num_envs = int(num_envs)
        self.max_episode_steps = max_episode_steps
        self.control_dt = COMMAND_DT * self._action_repeat

        # Genesis solves a scene of a single row by other code, whose results differ in the last bits. A second
        # row costs 5 % and makes a single environment equal a row of any batch, bit for bit.
        rows = max(2, num_envs)
        self.simulation = Simulation(
            num_rows=rows,
            dt=SIM_DT,
            backend=backend,
            show_viewer=show_viewer,
            camera_rows=camera_rows,
            varied_physics=bool(SCENE_TERMS & varied.active.keys()),
            firm_contacts=self.task.firm_contacts,
        )
        self.device = self.simulation.device
        try:
            self._build(spec, scene_type, control_mode, varied)
            self._measure(reward_weights or {}, observation_parts)
        except BaseException:
            self.simulation.close()
            raise

    def _build(self, spec: RobotSpec, scene_type: str, control_mode: str, varied: Randomization) -> None:
        """Fill the scene, build it, and allocate what the rows need."""
        SCENES[scene_type](self.simulation)
        entity = spec.add_to(self.simulation)
        self.task.build(self.simulation)
        self.simulation.build()
        self.robot = Robot(spec, entity, self.simulation)
        self.simulation.set_initial_state()
        drives_gripper = self.task.gripper_opening is None
        self._controller = make_controller(control_mode, self.robot, COMMAND_DT, with_gripper=drives_gripper)
        self.task.start(self.robot, self.simulation)

        rows = self.simulation.num_rows
        self.action_dim = self._controller.action_dim
        self._physics = (
            RandomizedPhysics(varied, self.robot, self.simulation, self.action_dim) if varied.active else None
        )
        self._levels = None if self._curriculum is None else RowDifficulty(self._curriculum, rows, self.device)
        self._random = RowRandom(rows, self.device)
        self._all_rows = torch.ones(rows, dtype=torch.bool, device=self.device)
        self._seed_rows(secrets.randbits(62), self._all_rows)
        self._clock = torch.zeros(rows, dtype=torch.int64, device=self.device)
        self._faulty = torch.zeros(rows, dtype=torch.bool, device=self.device)
        self._fault_counts = torch.zeros(rows, dtype=torch.int64, device=self.device)
        self._started = False
        self._closed = False

        self._no_reward = torch.zeros(rows, device=self.device)
        self._succeeded = torch.zeros_like(self._faulty)

    def _measure(self, reward_weights: Mapping[str, float], observation_parts: Mapping[str, int] | None) -> None:
        """Let the task speak once, for the names and sizes of what it says."""
        rows = self.simulation.num_rows
        evaluation = self.task.evaluate()
        potentials = self._objective.potential(evaluation)
        terms = self._objective.terms(evaluation, torch.zeros(rows, self.action_dim, device=self.device))
        self.reward_weights = check_weights(reward_weights, [*terms, *potentials], self._objective.reward_weights)
        own = {name: part.shape[-1] for name, part in self._objective.observation().items()}
        self._parts = check_parts(observation_parts, own)
        self._shaped = any(self.reward_weights[name] for name in potentials)
        self._potential = potentials

        sizes = {**self._parts, **{name: part.shape[-1] for name, part in self._objective.goals().items()}}
        ends = torch.tensor([0, *sizes.values()]).cumsum(0).tolist()
        self.observation_layout = {
            name: slice(start, end) for name, start, end in zip(sizes, ends, ends[1:], strict=False)
        }
        self.observation_dim: int = ends[-1]
        self._observation = torch.zeros(rows, self.observation_dim, device=self.device)

    @property
    def fault_counts(self) -> torch.Tensor:
        """Faults of each row since it was made, int64 `(num_envs,)`."""
        return self._fault_counts[: self.num_envs].clone()

    @property
    def observation(self) -> torch.Tensor:
        """What `reset` or `step` gave last, float32 `(num_envs, observation_dim)`."""
        return self._face(self._observation.clone())

    @property
    def episode_steps(self) -> torch.Tensor:
        """Control steps that each row's episode has taken, int64 `(num_envs,)`; assign it to set the clocks."""
        return self._face(self._clock.clone())

    @episode_steps.setter
    def episode_steps(self, steps: torch.Tensor) -> None:
        if steps.dtype != torch.int64 or steps.shape != (self.num_envs,):
            raise ArgumentError(
                f"episode_steps has dtype {steps.dtype} and shape {tuple(steps.shape)}; "
                f"it must be int64 of shape ({self.num_envs},)"
            )
        self._clock = self._pad(steps.to(self.device, copy=True))

    def stagger_episodes(self) -> None:
        """Set each row's clock to a step of its own, at random, so that episodes end at different times.

        Rows that begin together and do not succeed end together, every time: a learner then sees the beginnings of
        episodes in one rollout and their ends in another. RSL-RL's `init_at_random_ep_len` does the same.
        """
        if self.max_episode_steps is not None:
            zero = torch.zeros(1, device=self.device)
            share = self._random.uniform("clock", zero, zero + 1.0)[:, 0]
            self._clock = (share * self.max_episode_steps).long()

    @property
    def difficulty(self) -> torch.Tensor:
        """How hard the next episode of each row will be, float `(num_envs,)`; 1 is the task as declared."""
        levels = self.task.difficulty if self._levels is None else self._levels.difficulty
        return levels[: self.num_envs].clone()

    def increase_difficulty(self) -> None:
        """Promote every row by one step of the curriculum, from its next episode on.

        Raises:
            ArgumentError: The environment was made without a curriculum.
        """
        if self._levels is None:
            raise ArgumentError(
                "increase_difficulty() needs a curriculum; make the environment with curriculum={}"
            )
        self._levels.increase(self._all_rows)

    @with_simulation_settings
    def reset(
        self, rows: torch.Tensor | None = None, *, seed: int | Sequence[int | None] | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Begin a new episode in some rows; the others are left as they are.

        Args:
            rows: bool mask `(num_envs,)`; None for all rows.
            seed: An int seeds row i with `seed + i`; a sequence seeds each row, or with None leaves it to its
                next episode; None leaves all. Rows outside the mask are not seeded.

        Returns:
            Observation of every row, float32 `(num_envs, observation_dim)`, and the metrics.

        Raises:
            ArgumentError: The mask or the seed has a wrong shape, dtype or value.
            NotResetError: Only some rows are reset and the environment never was as a whole.
            ClosedError: The environment is closed.
        """
        self._require_open("reset()")
        mask = self._all_rows if rows is None else self._row_mask(rows)
        if self.witness is not None:
            self.witness.before_reset(self, None if seed is not None else rows)
        if seed is not None:
            self._seed_rows(seed, mask)
        self._random.next_episode(mask)

        if self._levels is not None:
            self._levels.count(mask & (self._clock > 0), self._succeeded)
            self.task.difficulty = torch.where(mask, self._levels.difficulty, self.task.difficulty)
        self.simulation.reset(mask)
        if self._physics is not None:
            self._physics.reset(mask, self._random)
        if self.task.gripper_opening is not None:
            self.robot.hold_gripper(self.task.gripper_opening)
        self.task.reset(mask, self._random)
        self.robot.update()
        self._controller.reset(mask)
        self._clock = torch.where(mask, 0, self._clock)
        self._faulty = self._faulty & ~mask
        self._succeeded = self._succeeded & ~mask
        self._started = True

        evaluation = self.task.evaluate()
        if self._shaped:
            potentials = self._objective.potential(evaluation)
            self._potential = {
                name: torch.where(mask, value, self._potential[name]) for name, value in potentials.items()
            }
        reward_terms = {name: self._no_reward for name, weight in self.reward_weights.items() if weight}
        observation = self._observe().clamp(-OBSERVATION_BOUND, OBSERVATION_BOUND)
        self._observation = torch.where(mask[:, None], observation, self._observation)
        return self._face(self._observation.clone()), self._metrics(evaluation, reward_terms)

    @with_simulation_settings
    def step(self, action: torch.Tensor) -> StepResult:
        """Take one control step in every row.

        An action outside [-1, 1] is clipped. A row with a non-finite action or state is faulty: it is truncated
        with its last good observation and zero reward, and stays so until it is reset. Its neighbours do not
        change by a bit.

        Args:
            action: float `(num_envs, action_dim)`.

        Returns:
            The result for every row.

        Raises:
            ActionError: The action has the wrong shape or dtype.
            NotResetError: `reset` was not called.
            ClosedError: The environment is closed.
        """
        self._require_open("step()")
        if not self._started:
            raise NotResetError("step() was called before reset(); call reset() first")
        chosen = action
        action, faulty = self._check_action(chosen)
        if self.witness is not None:
            self.witness.before_step(self, chosen)

        if self.simulation.viewed:
            self.task.show()
        command = action if self._physics is None else self._physics.delay(action)
        for _ in range(self._action_repeat):
            self._controller.apply(command)
            for _ in range(DECIMATION):
                if self._physics is not None:
                    self._physics.before_physics_step()
                faulty = faulty | self.simulation.step()
            self.robot.update()
        faulty = faulty | self.simulation.faulty_rows()
        self._clock = self._clock + 1

        evaluation = self.task.evaluate()
        reward_terms = self._reward_terms(evaluation, action)
        reward = sum(reward_terms.values(), start=self._no_reward)
        observation = self._observe()

        faulty = faulty | ~torch.isfinite(observation.sum(-1) + reward)  # finite only if all is
        newly_faulty = faulty & ~self._faulty
        self._fault_counts = self._fault_counts + newly_faulty
        self._faulty = faulty = self._faulty | faulty
        observation = observation.clamp(-OBSERVATION_BOUND, OBSERVATION_BOUND)
        self._observation = torch.where(faulty[:, None], self._observation, observation)

        ended = evaluation.get("success", faulty) | evaluation.get("fail", faulty)
        terminated = ended & ~faulty
        if "success" in evaluation:
            self._succeeded = evaluation["success"] & terminated
        truncated = faulty.clone()
        if self.max_episode_steps is not None:
            truncated = truncated | ((self._clock >= self.max_episode_steps) & ~terminated)
        if self.witness is not None:
            self.witness.after_step(self, self._face(newly_faulty))
        return StepResult(
            self._face(self._observation.clone()),
            self._face(torch.where(faulty, 0.0, reward)),
            self._face(terminated),
            self._face(truncated),
            self._metrics(evaluation, reward_terms),
        )

    @with_simulation_settings
    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """What a step is worth that achieves one goal when another is desired: Gymnasium-Robotics' `GoalEnv`.

        It equals the reward of `step` for the goals that the step's observation shows; but a faulty row has 0.

        Args:
            achieved_goal: Array or tensor, float `(..., k)`.
            desired_goal: The same.
            info: Not used.

        Returns:
            float32 `(...)`, of the same library.

        Raises:
            ArgumentError: The environment was made without `goal=True`.
        """
        return self._objective.reward_of(achieved_goal, desired_goal, self.reward_weights)

    def render(self, rows: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Draw rows as they are now, each in an image of its own.

        Args:
            rows: Rows to draw, in this order; None for the camera's.

        Returns:
            uint8 `(rows, height, width, 3)`.

        Raises:
            ArgumentError: A row is not one of this environment's.
            NotResetError: `reset` was not called.
            ClosedError: The environment is closed.
        """
        self._require_open("render()")
        for row in rows or ():
            if not 0 <= row < self.num_envs:
                raise ArgumentError(f"row={row!r} is not allowed; the environment has num_envs={self.num_envs}")
        if not self._started:
            raise NotResetError("render() was called before reset(); call reset() first")
        self.task.show()
        return self.simulation.render(rows)

    def close(self) -> None:
        """Free the scene. Other environments of the process live on. Closing twice is allowed."""
        if not self._closed:
            self._closed = True
            self.simulation.close()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend the rows to an evaluation: every episode has full difficulty and counts for no promotion.

        Afterwards every row's episode goes on where it was, bit for bit, as if nobody had borrowed it.
        """
        if not self._started:
            self.reset()
        state = self.state()
        levels, self._levels = self._levels, None
        self.task.difficulty = torch.ones_like(self.task.difficulty)
        try:
            yield
        finally:
            self._levels = levels
            self.restore(state)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that the future of this environment depends on, for a checkpoint.

        Returns:
            Name → tensor, none of which is changed by a later call. A task's part is its tensor attributes.
        """
        parts = {
            "simulation": self.simulation.state(),
            "random": self._random.state(),
            "controller": self._controller.state(),
            "task": {name: value for name, value in vars(self.task).items() if isinstance(value, torch.Tensor)},
            "potential": self._potential,
            "curriculum": {} if self._levels is None else self._levels.state(),
            "physics": {} if self._physics is None else self._physics.state(),
            "core": {name: getattr(self, f"_{name}") for name in _BUFFERS},
        }
        return {
            f"{part}/{name}": value.clone() for part, tensors in parts.items() for name, value in tensors.items()
        }

    @with_simulation_settings
    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave, bit for bit on the same machine.

        Args:
            state: The tensors, from an environment that was made with the same arguments and was reset.

        Raises:
            ArgumentError: The tensors do not fit; nothing is changed then.
        """
        if not self._started:
            self.reset(seed=0)  # brings every tensor into being
        own = self.state()
        if different := sorted(own.keys() ^ state.keys()):
            raise ArgumentError(f"state is of another environment: {different[0]} is in one of the two only")
        for name, value in own.items():
            if (value.shape, value.dtype) != (state[name].shape, state[name].dtype):
                given, fits = (f"{t.dtype} {tuple(t.shape)}" for t in (state[name], value))
                raise ArgumentError(f"state is of another environment: {name} is {given}; it must be {fits}")

        def part(prefix: str) -> dict[str, torch.Tensor]:
            names = [name for name in own if name.startswith(f"{prefix}/")]
            return {name.removeprefix(f"{prefix}/"): state[name].to(self.device, copy=True) for name in names}

        if self.witness is not None:
            self.witness.before_reset(self, None)
        self.simulation.restore(part("simulation"))
        self._random.restore(part("random"))
        self._controller.restore(part("controller"))
        vars(self.task).update(part("task"))
        self._potential = part("potential")
        if self._levels is not None:
            self._levels.restore(part("curriculum"))
        if self._physics is not None:
            self._physics.restore(part("physics"))
        for name, value in part("core").items():
            setattr(self, f"_{name}", value)
        self.robot.update()

    def _observe(self) -> torch.Tensor:
        """Join the parts of the observation, neither clipped nor checked."""
        parts = self._objective.observation()
        rows = self._clock.numel()
        joined = torch.cat(
            [
                parts[name] if name in parts else torch.zeros(rows, size, device=self.device)
                for name, size in self._parts.items()
            ],
            dim=-1,
        )
        if self._physics is not None:
            joined = self._physics.add_noise(joined, self._clock, self._random)
        goals = self._objective.goals()
        return torch.cat([joined, *goals.values()], dim=-1) if goals else joined

    def _reward_terms(self, evaluation: Evaluation, action: torch.Tensor) -> dict[str, torch.Tensor]:
        """The weighted terms of the step just taken."""
        terms = self._objective.terms(evaluation, action)
        if self._shaped:
            potential = self._objective.potential(evaluation)
            terms = {**terms, **{name: value - self._potential[name] for name, value in potential.items()}}
            self._potential = potential
        return {name: weight * terms[name] for name, weight in self.reward_weights.items() if weight}

    def _metrics(
        self, evaluation: dict[str, torch.Tensor], reward_terms: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Everything about a step that is for people: fresh tensors, zero where the row is faulty."""
        faulty = self._faulty
        measured = {name: value for name, value in evaluation.items() if name not in ("success", "fail")}
        measured.update({f"reward/{name}": term for name, term in reward_terms.items()})
        metrics = {name: torch.where(faulty, 0.0, value) for name, value in measured.items()}
        metrics["is_success"] = evaluation["success"] & ~faulty if "success" in evaluation else faulty & ~faulty
        metrics["fault"] = faulty.clone()
        if self._levels is not None:
            metrics["difficulty"] = self.task.difficulty.clone()
        if self._physics is not None:
            metrics.update({f"randomization/{name}": v.clone() for name, v in self._physics.values.items()})
        return {name: self._face(value) for name, value in metrics.items()}

    def _face(self, rows: torch.Tensor) -> torch.Tensor:
        """Leave out the second row of a single environment's scene."""
        return rows[:1] if self.num_envs == 1 else rows

    def _check_action(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the action that is safe to take in every row, and the rows whose own was not finite."""
        check_action(action, self.num_envs, self.action_dim)
        action = self._pad(action.to(self.device, torch.float32))
        finite = torch.isfinite(action).all(-1)
        return torch.where(finite[:, None], action, 0.0).clamp(-1.0, 1.0), ~finite

    def _row_mask(self, rows: torch.Tensor) -> torch.Tensor:
        check_mask(rows, self.num_envs)
        if not self._started:
            raise NotResetError("reset() of some rows was called before reset() of all; call reset() first")
        return self._pad(rows.to(self.device))

    def _seed_rows(self, seed: int | Sequence[int | None], rows: torch.Tensor) -> None:
        """Seed those of some rows that have a seed."""
        seeds = check_seeds(seed, self.num_envs)
        values = torch.tensor([s or 0 for s in seeds], dtype=torch.int64, device=self.device)
        given = torch.tensor([s is not None for s in seeds], device=self.device)
        self._random.seed(self._pad(values), rows & self._pad(given))

    def _pad(self, rows: torch.Tensor) -> torch.Tensor:
        """Repeat a single environment's row for the second row of its scene."""
        return torch.cat([rows, rows]) if self.num_envs == 1 else rows

    def _require_open(self, method: str) -> None:
        if self._closed:
            raise ClosedError(f"{method} was called on a closed environment; make a new one")
        self.simulation.require_running()
