"""Batched environment; the adapters wrap it.

It reads in the order in which data flows: an action is checked, the task's action terms drive the world, the world
steps, the task evaluates, rewards and observes. It never resets an environment by itself: adapters do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from genesis_gym.core.arguments import Arguments, check_action, check_mask, check_seeds, check_steps, check_weights
from genesis_gym.core.objective import Objective
from genesis_gym.core.observation import Observation, Observations
from genesis_gym.core.recorder import Recorder
from genesis_gym.errors import ArgumentError, ClosedError, NotResetError
from genesis_gym.runtime.random import EpisodeRandom
from genesis_gym.runtime.torch_settings import with_simulation_settings
from genesis_gym.tasks import Task
from genesis_gym.tasks.task import Evaluation
from genesis_gym.variation import CurriculumState, Randomization
from genesis_gym.world import World
from genesis_gym.world.component import State, check_state, components, restore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Metrics = dict[str, torch.Tensor]


class StepResult(NamedTuple):
    """What one control step gives, for every environment.

    Attributes:
        observation: Group → `(num_envs, ...)`, of the state just reached; one group `policy` unless the task has
            others.
        reward: float32 `(num_envs,)`.
        terminated: bool `(num_envs,)`: the task ended, by success or otherwise.
        truncated: bool `(num_envs,)`: the clock ran out, the task was cut short, or the environment is faulty;
            never together with terminated.
        metrics: Name → `(num_envs,)`: `is_success`, `fault`, `end/<reason>` of each reason, the task's metrics,
            `reward/<term>` of this step, `reward_sum/<term>` of the episode so far, `difficulty` with a curriculum,
            and `randomization/<name>`, `(num_envs,)` or `(num_envs, k)`.
    """

    observation: Observation
    reward: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    metrics: Metrics


class BatchedEnv:
    """A task in `num_envs` environments of one Genesis scene.

    No tensor that a method returns is changed by a later call.

    Attributes:
        num_envs: Environments.
        task: The task.
        world: The world that it is set in.
        device: Where tensors live.
        control_dt: Seconds of one control step.
        max_episode_steps: Control steps after which an episode is truncated; None for never.
        action_dim: Numbers in one environment's action.
        action_low: Least values of an action, float32 `(action_dim,)`.
        action_high: Greatest values.
        reward_weights: Name of each reward term → its weight.
        recorder: Optional recorder, called at every reset and step.
    """

    recorder: Recorder | None = None

    @with_simulation_settings
    def __init__(self, task: str | type[Task] | Task = "reach", *, num_envs: int = 1, **options: Any) -> None:
        """Build the scene.

        Args:
            task: A name in `genesis_gym.tasks.TASKS`, a `Task` subclass or an instance of one.
            num_envs: Environments, at least 1.
            **options: Fields of `genesis_gym.core.arguments.Arguments`; what is none of them is a field of the
                task, such as `robot`, or one of its class attributes, such as `decimation`.

        Raises:
            ArgumentError: An argument has a value that is not allowed.
            MissingDependencyError: A system library or, for the viewer, a display is missing.
        """
        arguments = Arguments.check(task, num_envs, options)
        self.task = arguments.task
        self.num_envs = arguments.num_envs
        self._objective = Objective(self.task, sparse=arguments.reward == "sparse", goal=arguments.goal)
        self.world = World(
            arguments.physics,
            self.num_envs,
            decimation=self.task.decimation,
            device=arguments.device,
            show_viewer=arguments.show_viewer,
            camera_envs=arguments.camera_envs,
        )
        self.device = self.world.device
        self.control_dt = self.world.control_dt
        self.max_episode_steps = arguments.steps_of(self.task.episode_seconds, self.control_dt)
        self._started = self._closed = False
        try:
            self.task.enter(self.world)
            self.world.build()
            self._components = components(self.task)
            for component in self._components:
                component.start()
            self._allocate(arguments)
        except BaseException:
            self.world.close()
            raise

    def _allocate(self, arguments: Arguments) -> None:
        """Run the task's hooks once to infer observation sizes and reward terms, and make the buffers."""
        world, actions = self.world, self.task.actions
        self.action_dim, self.action_low, self.action_high = actions.size, actions.low, actions.high
        self._none = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        self._all = ~self._none
        self._clock = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
        self._fault_counts = torch.zeros_like(self._clock)
        self._faulty = self._done = self._none
        self._random = EpisodeRandom(self.num_envs, self.device)
        seeds, _ = check_seeds(secrets.randbits(62), self.num_envs, self.device)
        self._random.seed(seeds, self._all)

        groups = self._objective.observe()
        self._observations = Observations(self.task, groups, arguments.observation_parts)
        self._observation, _ = self._observations.read(groups, self._random)
        terms = self._objective.terms(self.task.evaluate())
        self.reward_weights = check_weights(arguments.reward_weights, list(terms), self._objective.reward_weights)
        weighted = [name for name in terms if self.reward_weights[name]]
        self._reward_sums = torch.zeros(len(weighted), self.num_envs, dtype=torch.float32, device=self.device)
        self._no_reward = world.zeros()
        self._randomization = (
            Randomization(arguments.randomization, self.task, self._observations)
            if arguments.randomization
            else None
        )
        curriculum = arguments.curriculum
        self._curriculum = None if curriculum is None else CurriculumState(curriculum, self.num_envs, self.device)

    @property
    def observation(self) -> Observation:
        """What `reset` or `step` gave last."""
        return {group: tensor.clone() for group, tensor in self._observation.items()}

    @property
    def observation_layout(self) -> dict[str, dict[str, slice]]:
        """Group → name of each part → its place in the group; empty for a group that is one tensor."""
        return self._observations.layout

    @property
    def observation_bounds(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Group → least and greatest values, of one environment's shape and dtype."""
        return self._observations.bounds

    @property
    def neutral_action(self) -> torch.Tensor:
        """The action that asks for nothing, float32 `(num_envs, action_dim)`."""
        return self.task.actions.neutral

    @property
    def fault_counts(self) -> torch.Tensor:
        """Faults of each environment since it was made, int64 `(num_envs,)`."""
        return self._fault_counts.clone()

    @property
    def episode_steps(self) -> torch.Tensor:
        """Control steps that each environment's episode has taken, int64 `(num_envs,)`; assign it to set clocks."""
        return self._clock.clone()

    @episode_steps.setter
    def episode_steps(self, steps: torch.Tensor) -> None:
        self._clock = check_steps(steps, self.num_envs).to(self.device, copy=True)

    def randomize_episode_length(self) -> None:
        """Set each clock to a step of its own, at random, so that episodes end at different times.

        Environments that begin together and do not succeed end together, every time: a learner then sees the
        beginnings of episodes in one rollout and their ends in another. RSL-RL's `init_at_random_ep_len` does the
        same.
        """
        if self.max_episode_steps is not None:
            self._clock = (self._random.uniform("clock", 0.0, 1.0) * self.max_episode_steps).long()

    @property
    def difficulty(self) -> torch.Tensor:
        """How hard the next episode of each environment will be, float `(num_envs,)`; 1 is the task as declared."""
        levels = self.task.difficulty if self._curriculum is None else self._curriculum.difficulty
        return levels.clone()

    def increase_difficulty(self) -> None:
        """Promote every environment by one step of the curriculum, from its next episode on.

        Raises:
            ArgumentError: The environment was made without a curriculum.
        """
        if self._curriculum is None:
            raise ArgumentError(
                "increase_difficulty() needs a curriculum; make the environment with curriculum={}"
            )
        self._curriculum.increase(self._all)

    @with_simulation_settings
    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def reset(
        self, envs: torch.Tensor | None = None, *, seed: int | Sequence[int | None] | None = None
    ) -> tuple[Observation, Metrics]:
        """Begin a new episode in some environments; the others are left as they are.

        Args:
            envs: bool mask `(num_envs,)`; None for all.
            seed: An int seeds environment i with `seed + i`; a sequence seeds each, or with None leaves it to its
                next episode; None leaves all. Environments outside the mask are not seeded.

        Returns:
            Observation of every environment, and the metrics.

        Raises:
            ArgumentError: The mask or the seed has a wrong shape, dtype or value.
            NotResetError: Only some are reset and the environment never was as a whole.
            ClosedError: The environment is closed.
        """
        self._require_open("reset()")
        mask = self._all if envs is None else check_mask(envs, self.num_envs).to(self.device)
        if not self._started and envs is not None:
            raise NotResetError("reset() of some was called before reset() of all; call reset() first")
        seeds = None if seed is None else check_seeds(seed, self.num_envs, self.device)
        if self.recorder is not None:
            self.recorder.before_reset(self, None if seed is not None else envs)
        if seeds is not None:
            self._random.seed(seeds[0], mask & seeds[1])
        self._random.next_episode(mask)
        if self._curriculum is not None:
            self._count_unseen_ends(mask)
            self.task.difficulty = torch.where(mask, self._curriculum.difficulty, self.task.difficulty)

        self.world.reset_scene(mask)
        if self._randomization is not None:
            self._randomization.reset(mask, self._random)
        for component in reversed(self._components):
            component.reset(mask, self._random)
        self._clock = torch.where(mask, 0, self._clock)
        self._faulty, self._done = self._faulty & ~mask, self._done & ~mask
        self._reward_sums = torch.where(mask, 0.0, self._reward_sums)
        self._started = True

        evaluation = self.task.evaluate()
        fresh, _ = self._observations.read(self._objective.observe(), self._random.at(self._clock))
        self._observation = _choose(mask, fresh, self._observation)
        nothing = dict.fromkeys((name for name, weight in self.reward_weights.items() if weight), self._no_reward)
        return self.observation, self._metrics(evaluation, nothing, self._none)

    @with_simulation_settings
    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def step(self, action: torch.Tensor) -> StepResult:
        """Take one control step in every environment.

        An action outside its bounds is clipped. An environment with a non-finite action or state is faulty: it is
        truncated with its last good observation and zero reward, and stays so until it is reset. Its neighbours do
        not change by a bit.

        Args:
            action: float `(num_envs, action_dim)`.

        Returns:
            The result for every environment.

        Raises:
            ActionError: The action has the wrong shape or dtype.
            NotResetError: `reset` was not called.
            ClosedError: The environment is closed.
        """
        self._require_open("step()")
        if not self._started:
            raise NotResetError("step() was called before reset(); call reset() first")
        checked, faulty = self._checked(action)
        if self.recorder is not None:
            self.recorder.before_step(self, action)
        if self.world.has_viewer:
            self.task.show()

        self.task.actions.process(checked)
        for _ in range(self.task.decimation):
            self.task.actions.apply()
            faulty = faulty | self.world.step()
        faulty = faulty | self.world.faulty_envs()
        self._clock = self._clock + 1
        rng = self._random.at(self._clock)
        for component in self._components:
            component.update(rng)

        evaluation = self.task.evaluate()
        terms = self._objective.terms(evaluation)
        terms = {name: weight * terms[name] for name, weight in self.reward_weights.items() if weight}
        observation, total = self._observations.read(self._objective.observe(), rng)
        return self._finish(evaluation, terms, observation, total, faulty)

    def _finish(
        self,
        evaluation: Evaluation,
        terms: dict[str, torch.Tensor],
        observation: Observation,
        total: torch.Tensor,
        faulty: torch.Tensor,
    ) -> StepResult:
        """Judge faults and ends. What an episode was worth is latched at its end: what comes after counts nothing."""
        reward = sum(terms.values(), start=self._no_reward)
        faulty = faulty | ~torch.isfinite(total + reward)  # finite only if all is
        newly_faulty = faulty & ~self._faulty & ~self._done
        self._fault_counts = self._fault_counts + newly_faulty
        faulty = self._faulty | faulty
        self._faulty = self._faulty | newly_faulty
        self._observation = _choose(faulty, self._observation, observation)
        if terms:
            counted = torch.where(faulty | self._done, 0.0, torch.stack(list(terms.values())))
            self._reward_sums = self._reward_sums + counted

        terminated = _any(evaluation.terminated, self._none) & ~faulty
        timed_out = self._none
        if self.max_episode_steps is not None:
            timed_out = (self._clock >= self.max_episode_steps) & ~terminated & ~faulty
        truncated = faulty | timed_out | (_any(evaluation.truncated, self._none) & ~terminated)
        ended = (terminated | truncated) & ~self._done
        self._done = self._done | ended
        metrics = self._metrics(evaluation, terms, faulty)
        metrics["end/time_limit"] = timed_out
        if self._curriculum is not None:
            self._curriculum.count(ended, metrics["is_success"])
        if self.recorder is not None:
            self.recorder.after_step(self, newly_faulty)
        return StepResult(self.observation, torch.where(faulty, 0.0, reward), terminated, truncated, metrics)

    @with_simulation_settings
    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """What a step is worth that achieves one goal when another is desired: Gymnasium-Robotics' `GoalEnv`.

        It equals the reward of `step` for the goals that the step's observation shows, where these are free of
        noise; but a faulty environment has 0.

        Args:
            achieved_goal: Array or tensor, float `(..., k)`.
            desired_goal: The same.
            info: Not used.

        Returns:
            float32 `(...)`, of the same library.

        Raises:
            ArgumentError: The environment was made without `goal=True`.
        """
        goals = (torch.as_tensor(goal) for goal in (achieved_goal, desired_goal))
        reward = self._objective.compute_reward(*goals, self.reward_weights)
        return reward if isinstance(achieved_goal, torch.Tensor) else reward.numpy()

    @with_simulation_settings
    def render(self, envs: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Draw environments as they are now, each in an image of its own.

        Args:
            envs: Environments to draw, in this order; None for the camera's.

        Returns:
            uint8 `(envs, height, width, 3)`.

        Raises:
            ArgumentError: There is no camera, or no such environment.
            NotResetError: `reset` was not called.
            ClosedError: The environment is closed.
        """
        self._require_open("render()")
        for env in envs or ():
            if not 0 <= env < self.num_envs:
                raise ArgumentError(f"env={env!r} is not allowed; there are num_envs={self.num_envs}")
        if not self._started:
            raise NotResetError("render() was called before reset(); call reset() first")
        if self.world.visual:
            self.task.show()
        return self.world.render(envs)

    def close(self) -> None:
        """Free the scene. Other environments of the process live on. Closing twice is allowed."""
        if not self._closed:
            self._closed = True
            self.world.close()

    @contextmanager
    def evaluation_mode(self) -> Iterator[None]:
        """Evaluate in these environments: every episode has full difficulty and counts for no promotion.

        The training state is restored on exit, bit for bit.
        """
        if not self._started:
            self.reset()
        state, curriculum = self.state_dict(), self._curriculum
        self._curriculum = None
        self.task.difficulty = torch.ones_like(self.task.difficulty)
        try:
            yield
        finally:
            self._curriculum = curriculum
            self._load(state)

    def state_dict(self) -> State:
        """Everything that the future of this environment depends on, for a checkpoint.

        Returns:
            Nested dictionaries of tensors, none of which is changed by a later call.
        """
        return {name: part.state_dict() for name, part in self._stateful().items()} | {
            "core": {name: tensor.clone() for name, tensor in self._buffers().items()},
            "observation": self.observation,
        }

    @with_simulation_settings
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave, bit for bit on the same machine.

        Args:
            state: The tensors, from an environment that was made with the same arguments and was reset.

        Raises:
            ArgumentError: The tensors do not fit; nothing is changed then.
        """
        if not self._started:
            self.reset(seed=0)  # brings every tensor into being
        check_state(self.state_dict(), state)
        if self.recorder is not None:
            self.recorder.before_reset(self, None)
        self._load(state)

    def _load(self, state: Mapping[str, Any]) -> None:
        for name, part in self._stateful().items():
            if isinstance(part, EpisodeRandom):
                part.load_state_dict(state[name])
            else:
                restore(part, state[name])
        for name, tensor in self._buffers().items():
            setattr(self, f"_{name}", state["core"][name].to(tensor.device, copy=True))
        self._observation = {
            group: state["observation"][group].to(tensor.device, copy=True)
            for group, tensor in self._observation.items()
        }

    def _stateful(self) -> dict[str, Any]:
        parts = {
            "random": self._random,
            "task": self.task,
            "observations": self._observations,
            "randomization": self._randomization,
            "curriculum": self._curriculum,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _buffers(self) -> dict[str, torch.Tensor]:
        """Tensors of the core itself that its future depends on."""
        names = ("clock", "faulty", "done", "fault_counts", "reward_sums")
        return {name: getattr(self, f"_{name}") for name in names}

    def __reduce__(self) -> Any:
        """Refuse to be pickled or copied.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "an environment cannot be pickled or copied; make another with the same arguments (env.spec), and keep "
            "its state by state_dict()"
        )

    def _count_unseen_ends(self, envs: torch.Tensor) -> None:
        """Without a clock of its own, as below Gymnasium's `TimeLimit`, an episode may end where only `reset` tells.

        With a clock, an episode that is reset before its end is aborted, and counts neither way.
        """
        if self.max_episode_steps is None and self._curriculum is not None:
            self._curriculum.count(envs & ~self._done & (self._clock > 0), self._none)

    def _metrics(self, evaluation: Evaluation, terms: Mapping[str, torch.Tensor], faulty: torch.Tensor) -> Metrics:
        """Metrics for logging: fresh tensors, zero where the environment is faulty."""
        sums = dict(zip((f"reward_sum/{name}" for name in terms), self._reward_sums, strict=True))
        measured = {**evaluation.metrics, **{f"reward/{name}": term for name, term in terms.items()}, **sums}
        metrics = {name: torch.where(faulty, 0.0, value) for name, value in measured.items()}
        reasons = {**evaluation.truncated, **evaluation.terminated}
        metrics |= {f"end/{reason}": mask & ~faulty for reason, mask in reasons.items()}
        metrics["end/time_limit"] = self._none.clone()
        metrics["end/fault"] = metrics["fault"] = faulty.clone()
        metrics["is_success"] = metrics.get("end/success", self._none).clone()
        if self._curriculum is not None:
            metrics["difficulty"] = self.task.difficulty.clone()
        if self._randomization is not None:
            metrics.update({name: value.clone() for name, value in self._randomization.metrics.items()})
        return metrics

    def _checked(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The action that is safe to take in every environment, and where the given one was not finite."""
        action = check_action(action, self.num_envs, self.action_dim).to(self.device, torch.float32)
        finite = torch.isfinite(action).all(-1)
        action = torch.where(finite[:, None], action, self.neutral_action)
        return torch.clamp(action, self.action_low, self.action_high), ~finite

    def _require_open(self, method: str) -> None:
        if self._closed:
            raise ClosedError(f"{method} was called on a closed environment; make a new one")
        self.world.require_running()


def _any(reasons: Mapping[str, torch.Tensor], none: torch.Tensor) -> torch.Tensor:
    """Environments for which a reason holds."""
    for mask in reasons.values():
        none = none | mask
    return none


def _choose(envs: torch.Tensor, first: Observation, second: Observation) -> Observation:
    """One observation in some environments, another in the rest."""
    masks = {group: envs.view(-1, *[1] * (tensor.ndim - 1)) for group, tensor in first.items()}
    return {group: torch.where(masks[group], first[group], second[group]) for group in first}
