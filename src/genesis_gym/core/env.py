"""Batched environment; the adapters wrap it.

A step reads in the order in which data flows: action, action terms, physics, evaluation, reward, observation.
It never resets an environment by itself: adapters do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from genesis_gym.core.arguments import (
    Arguments,
    check_action,
    check_envs,
    check_mask,
    check_seeds,
    check_steps,
    check_weights,
)
from genesis_gym.core.episodes import Episodes
from genesis_gym.core.objective import Objective
from genesis_gym.core.observation import Observations
from genesis_gym.core.recorder import Recorder
from genesis_gym.core.result import Metrics, Observation, StepResult, choose, in_normal_mode
from genesis_gym.errors import ArgumentError, ClosedError, NotResetError
from genesis_gym.runtime.masks import known_empty, not_finite
from genesis_gym.runtime.random import EpisodeRandom
from genesis_gym.runtime.state import State, Stateful, check_state, restore
from genesis_gym.runtime.torch_settings import with_simulation_settings
from genesis_gym.tasks import Task
from genesis_gym.variation import CurriculumState, Randomization
from genesis_gym.world import World
from genesis_gym.world.component import Component, components

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BatchedEnv(Stateful):
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
            viewpoint=self.task.viewpoint,
        )
        self.device = self.world.device
        self.control_dt = self.world.control_dt
        self.max_episode_steps = arguments.steps_of(self.task.episode_seconds, self.control_dt)
        self._started = self._closed = False
        try:
            self.task.enter(self.world)
            self.world.build()
            self._components = components(self.task)
            for component in self._components.values():
                component.start()
            self._allocate(arguments)
        except BaseException:
            self.world.close()
            raise

    def _allocate(self, arguments: Arguments) -> None:
        """Run the task's hooks once to infer observation sizes and reward terms, and make the buffers."""
        actions = self.task.actions
        self.action_dim, self.action_low, self.action_high = actions.size, actions.low, actions.high
        self._all = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._no_reward = self.world.zeros()
        self._random = EpisodeRandom(self.num_envs, self.device)
        seeds, _ = check_seeds(secrets.randbits(62), self.num_envs, self.device)
        self._random.seed(seeds, self._all)
        groups = self._objective.observe()
        self._observations = Observations(self.task, groups, arguments.observation_parts)
        self._observation, _ = self._observations.read(groups, self._random)
        terms = list(self._objective.terms(self.task.evaluate()))
        self.reward_weights = check_weights(arguments.reward_weights, terms, self._objective.reward_weights)
        weighted = [name for name in terms if self.reward_weights[name]]
        self._episodes = Episodes(self.num_envs, weighted, self.device)
        parts = self._components.items()
        self._updated = [(path, part) for path, part in parts if type(part).update is not Component.update]
        ranges, curriculum = arguments.randomization, arguments.curriculum
        self._randomization = Randomization(ranges, self.task, self._observations) if ranges else None
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
        return self._episodes.fault_counts.clone()

    @property
    def episode_steps(self) -> torch.Tensor:
        """Control steps that each episode has taken, int64 `(num_envs,)`; assign it to set the clocks."""
        return self._episodes.clock.clone()

    @episode_steps.setter
    def episode_steps(self, steps: torch.Tensor) -> None:
        self._episodes.clock = check_steps(steps, self.num_envs).to(self.device, copy=True)

    def randomize_episode_length(self) -> None:
        """Draw each clock, so that not all episodes end together; RSL-RL's `init_at_random_ep_len` does so."""
        if self.max_episode_steps is not None:
            share = self._random.uniform("clock", 0.0, 1.0)
            self._episodes.clock = (share * self.max_episode_steps).long()

    @property
    def difficulty(self) -> torch.Tensor:
        """How hard the next episode of each environment will be, float `(num_envs,)`; 1 is the task itself."""
        levels = self.task.difficulty if self._curriculum is None else self._curriculum.difficulty
        return levels.clone()

    def increase_difficulty(self) -> None:
        """Promote every environment by one step of the curriculum, which it was made with."""
        if self._curriculum is None:
            raise ArgumentError("increase_difficulty() needs a curriculum; make it with curriculum={}")
        self._curriculum.increase(self._all)

    @with_simulation_settings
    @in_normal_mode
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
            if self.max_episode_steps is None:  # below Gymnasium's `TimeLimit` only a reset tells of such an end
                self._curriculum.count(self._episodes.aborted(mask), ~self._all)
            self.task.difficulty = torch.where(mask, self._curriculum.difficulty, self.task.difficulty)

        self.world.reset_scene(mask)
        if self._randomization is not None:
            self._randomization.reset(mask, self._random)
        for path, component in reversed(self._components.items()):
            component.reset(mask, self._random.of(path))
        self._episodes.reset(mask)
        self._started = True

        fresh, _ = self._observations.read(self._objective.observe(), self._random.at(self._episodes.clock))
        self._observation = choose(mask, fresh, self._observation)
        return self.observation, self._with_settings(self._episodes.metrics(self.task.evaluate()))

    @with_simulation_settings
    @in_normal_mode
    def step(self, action: torch.Tensor) -> StepResult:
        """Take one control step in every environment.

        An action outside its bounds is clipped. An environment with a non-finite action or state is faulty: it is
        truncated with its last good observation and zero reward, and stays so until it is reset. Its neighbours do
        not change by a bit.

        Args:
            action: float `(num_envs, action_dim)`.

        Raises:
            ActionError: The action has the wrong shape or dtype.
            NotResetError: `reset` was not called.
            ClosedError: The environment is closed.
        """
        self._require_open("step()")
        if not self._started:
            raise NotResetError("step() was called before reset(); call reset() first")
        safe, faulty = self._checked(action)
        if self.recorder is not None:
            self.recorder.before_step(self, action)
        if self.world.has_viewer:
            self.task.show()

        self.task.actions.process(safe)
        for _ in range(self.task.decimation):
            self.task.actions.apply()
            self.world.step()
        faulty = faulty | self.world.faulty_envs()
        self._episodes.clock = self._episodes.clock + 1
        rng = self._random.at(self._episodes.clock)
        for path, component in self._updated:
            component.update(rng.of(path))

        evaluation = self.task.evaluate()
        terms = self._objective.terms(evaluation)
        terms = {name: weight * terms[name].float() for name, weight in self.reward_weights.items() if weight}
        reward = sum(terms.values(), start=self._no_reward)
        observation, total = self._observations.read(self._objective.observe(), rng)
        faulty = faulty | not_finite(total + reward)  # finite only if all is

        judged = self._episodes.judge(evaluation, terms, faulty, self.max_episode_steps)
        last, self._observation = self._observation, observation
        if judged.any_fault:
            self._observation = choose(judged.faulty, last, observation)
            reward = torch.where(judged.faulty, 0.0, reward)
        metrics = self._with_settings(self._episodes.metrics(evaluation, terms, judged))
        if self._curriculum is not None:
            self._curriculum.count(judged.ended, metrics["is_success"])
        if self.recorder is not None:
            self.recorder.after_step(self, judged.newly_faulty)
        return StepResult(self.observation, reward, judged.terminated, judged.truncated, metrics)

    @with_simulation_settings
    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """Reward of a step that achieves one goal when another is desired: Gymnasium-Robotics' `GoalEnv`.

        For the goals that the observation shows, without noise, it equals that of `step` in a sound environment.

        Args:
            achieved_goal: Array or tensor, float `(..., k)`.
            desired_goal: The same.
            info: Not used.

        Returns:
            float32 `(...)`, of the same library.

        Raises:
            ArgumentError: The environment was made without `goal=True`.
        """
        achieved, desired = torch.as_tensor(achieved_goal), torch.as_tensor(desired_goal)
        reward = self._objective.compute_reward(achieved, desired, self.reward_weights)
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
        envs = None if envs is None else check_envs("envs", envs, self.num_envs)
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
            if not self._closed:
                if self.recorder is not None:
                    self.recorder.before_reset(self, None)
                restore(self, state)

    @with_simulation_settings
    def load_state_dict(self, state: State) -> None:
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
        restore(self, state)

    def _state_items(self) -> Iterator[tuple[str, Any]]:
        """All but the recorder, which changes nothing."""
        return ((name, value) for name, value in vars(self).items() if name != "recorder")

    def __reduce__(self) -> Any:
        """Refuse to be pickled or copied, as TypeError."""
        raise TypeError(
            "an environment cannot be pickled or copied; make another by env.spec and load its state_dict()"
        )

    def _with_settings(self, metrics: Metrics) -> Metrics:
        """Metrics, with how hard each episode is and what it drew."""
        if self._curriculum is not None:
            metrics["difficulty"] = self.task.difficulty.clone()
        if self._randomization is not None:
            metrics.update({name: value.clone() for name, value in self._randomization.metrics.items()})
        return metrics

    def _checked(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The action that is safe to take in every environment, and where the given one was not finite."""
        action = check_action(action, self.num_envs, self.action_dim).to(self.device, torch.float32)
        faulty = not_finite(action).any(-1)
        if not known_empty(faulty):
            action = torch.where(faulty[:, None], self.neutral_action, action)
        return torch.clamp(action, self.action_low, self.action_high), faulty

    def _require_open(self, method: str) -> None:
        if self._closed:
            raise ClosedError(f"{method} was called on a closed environment; make a new one")
        self.world.require_running()
