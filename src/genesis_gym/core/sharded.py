"""A batched environment divided among processes, for machines with several cores.

Genesis on the CPU is fastest with one thread, so each core gets a process with a scene of its own. The first
environments live in this process, the others in workers.
"""

from __future__ import annotations

import atexit
import pickle
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import torch

from genesis_gym.core.arguments import Arguments, check_action, check_mask, check_seeds, check_steps
from genesis_gym.core.env import BatchedEnv
from genesis_gym.core.recorder import Recorder
from genesis_gym.core.result import Metrics, Observation, StepResult
from genesis_gym.core.shard import Shard, join
from genesis_gym.core.workers import Worker, end
from genesis_gym.errors import ArgumentError, ClosedError, NotResetError, check_positive_int
from genesis_gym.runtime.backend import start
from genesis_gym.runtime.state import State, check_state
from genesis_gym.tasks import Task


class ShardedEnv:
    """A task in `num_envs` environments of `num_workers` Genesis scenes, each in a process of its own.

    To adapters and learners it is a `BatchedEnv`, and each environment is the same, bit for bit. Only what belongs
    to a single scene is missing: pictures and a recorder; `task` and `world` are those of the first scene.

    Attributes:
        num_envs: Environments, in all processes together.
        num_workers: Processes, this one included.
        task: The task of the first environments, to be read.
        world: Their world, to be read.
        device: Where tensors live: the CPU.
        control_dt: Seconds of one control step.
        max_episode_steps: Control steps after which an episode is truncated; None for never.
        action_dim: Numbers in one environment's action.
        action_low: Least values of an action, float32 `(action_dim,)`.
        action_high: Greatest values.
        reward_weights: Name of each reward term → its weight, to be read.
        observation_layout: As `BatchedEnv.observation_layout`.
    """

    def __init__(
        self, task: str | type[Task] | Task = "reach", *, num_envs: int, num_workers: int, **options: Any
    ) -> None:
        """Start the workers, and build all scenes at the same time.

        Args:
            task: As for `BatchedEnv`.
            num_envs: Environments. No process has more than one more than another.
            num_workers: Processes, this one included; at most `num_envs`.
            **options: Further arguments of `BatchedEnv`; they are pickled on their way to the workers.

        Raises:
            ArgumentError: An argument has a value that is not allowed, or Genesis runs on a GPU.
            WorkerError: A worker could not build its scene.
        """
        check_positive_int("num_workers", num_workers)
        arguments = Arguments.check(task, num_envs, options)
        if num_workers > num_envs:
            raise ArgumentError(
                f"num_workers={num_workers} is not allowed; it must be at most num_envs={num_envs}"
            )
        self.num_envs = arguments.num_envs
        self.num_workers = num_workers
        if arguments.show_viewer or arguments.camera_envs:
            raise self._refusal("a viewer or a camera")
        self._started = self._closed = False
        self._has_curriculum = arguments.curriculum is not None
        self._names = [f"worker_{i}" for i in range(1, num_workers + 1)]
        bounds = [self.num_envs * i // num_workers for i in range(num_workers + 1)]
        self._first, *others = [slice(first, last) for first, last in pairwise(bounds)]

        with ExitStack() as resources:
            self._workers: list[Worker] = []
            resources.callback(end, self._workers)
            for number, envs in enumerate(others, start=2):
                name = f"worker {number} of {num_workers}"
                self._workers.append(Worker(name, envs, (task,), {**options, "device": "cpu"}))
            self.device = start(arguments.device)
            if self.device.type != "cpu":
                raise self._refusal("a GPU")
            env = BatchedEnv(task, num_envs=self._first.stop, **options)
            resources.callback(env.close)
            for worker in self._workers:
                worker.wait_until_built()
            self._close = weakref.finalize(self, resources.pop_all().close)
        # At exit Python waits for the workers, which wait for their pipes to close. What is registered after the
        # start of the first runs before that; a finalizer's own turn may come too late.
        self._close.atexit = False
        atexit.register(self._close)
        self._shard = Shard(env)
        self.task, self.world = env.task, env.world
        self.control_dt, self.max_episode_steps = env.control_dt, env.max_episode_steps
        self.action_dim, self.action_low, self.action_high = env.action_dim, env.action_low, env.action_high
        self.reward_weights = dict(env.reward_weights)
        self.observation_layout = env.observation_layout

    @property
    def observation(self) -> Observation:
        """What `reset` or `step` gave last."""
        observation: Observation = self._run("read", ["observation"] * self.num_workers)["observation"]
        return observation

    @property
    def observation_bounds(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Group → least and greatest values, of one environment's shape and dtype."""
        return self._shard.env.observation_bounds

    @property
    def neutral_action(self) -> torch.Tensor:
        """The action that asks for nothing, float32 `(num_envs, action_dim)`."""
        return self._read("neutral_action")

    @property
    def fault_counts(self) -> torch.Tensor:
        """Faults of each environment since it was made, int64 `(num_envs,)`."""
        return self._read("fault_counts")

    @property
    def episode_steps(self) -> torch.Tensor:
        """Control steps that each episode has taken, int64 `(num_envs,)`; assign it to set the clocks."""
        return self._read("episode_steps")

    @episode_steps.setter
    def episode_steps(self, steps: torch.Tensor) -> None:
        self._run("set_episode_steps", episode_steps=check_steps(steps, self.num_envs))

    def randomize_episode_length(self) -> None:
        """As `BatchedEnv.randomize_episode_length`."""
        self._run("randomize_episode_length")

    @property
    def difficulty(self) -> torch.Tensor:
        """How hard the next episode of each environment will be, float `(num_envs,)`; 1 is the task itself."""
        return self._read("difficulty")

    def increase_difficulty(self) -> None:
        """As `BatchedEnv.increase_difficulty`.

        Raises:
            ArgumentError: The environment was made without a curriculum.
        """
        if not self._has_curriculum:
            self._shard.env.increase_difficulty()  # raises
        self._run("increase_difficulty")

    @property
    def recorder(self) -> Recorder | None:
        """None: a recorder sees a single scene."""
        return None

    @recorder.setter
    def recorder(self, recorder: Recorder | None) -> None:
        if recorder is not None:
            raise self._refusal("a recorder")

    def reset(
        self, envs: torch.Tensor | None = None, *, seed: int | Sequence[int | None] | None = None
    ) -> tuple[Observation, Metrics]:
        """As `BatchedEnv.reset`.

        Raises:
            WorkerError: A worker failed or died; the environment is closed then.
        """
        self._require_open("reset()")
        inputs = {} if envs is None else {"envs": check_mask(envs, self.num_envs)}
        if not self._started and envs is not None:
            raise NotResetError("reset() of some was called before reset() of all; call reset() first")
        if seed is not None:
            inputs["seeds"], inputs["seeded"] = check_seeds(seed, self.num_envs, self.device)
        result = self._run("reset", **inputs)
        self._started = True
        return result["observation"], result["metrics"]

    def step(self, action: torch.Tensor) -> StepResult:
        """As `BatchedEnv.step`.

        Raises:
            WorkerError: A worker failed or died; the environment is closed then.
        """
        self._require_open("step()")
        if not self._started:
            raise NotResetError("step() was called before reset(); call reset() first")
        checked = check_action(action, self.num_envs, self.action_dim)
        return StepResult(**self._run("step", action=checked))

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """As `BatchedEnv.compute_reward`."""
        return self._shard.env.compute_reward(achieved_goal, desired_goal, info)

    def render(self, envs: Sequence[int] | None = None) -> Any:
        """Refuse: the environments live in several scenes.

        Raises:
            ArgumentError: Always.
        """
        raise self._refusal("render()")

    def close(self) -> None:
        """Free the scenes and end the workers. Closing twice is allowed."""
        self._closed = True
        atexit.unregister(self._close)
        self._close()

    @contextmanager
    def evaluation_mode(self) -> Iterator[None]:
        """As `BatchedEnv.evaluation_mode`."""
        self._run("begin_evaluation")
        self._started = True
        try:
            yield
        finally:
            if not self._closed:
                self._run("end_evaluation")

    def state_dict(self) -> State:
        """Everything that the future depends on: `worker_1`, … → what `BatchedEnv.state_dict` gives there."""
        return dict(zip(self._names, map(pickle.loads, self._run("state_dict")), strict=True))

    def load_state_dict(self, state: State) -> None:
        """Continue from what `state_dict` gave, bit for bit on the same machine.

        Args:
            state: The tensors, of an environment made with the same arguments and as many workers.

        Raises:
            ArgumentError: The tensors do not fit; nothing is changed then.
        """
        if set(state) != set(self._names):
            raise ArgumentError(
                f"state is of another number of workers: it must have {', '.join(self._names)}, as "
                f"num_workers={self.num_workers} gives"
            )
        if not self._started:
            self.reset(seed=0)  # brings every tensor into being
        check_state(self.state_dict(), state)
        self._run("load_state_dict", [pickle.dumps(state[name]) for name in self._names])

    def __reduce__(self) -> Any:
        """Refuse to be pickled or copied, as `BatchedEnv` does."""
        return self._shard.env.__reduce__()

    def _read(self, name: str) -> torch.Tensor:
        """An attribute of every environment."""
        value: torch.Tensor = self._run("read", [name] * self.num_workers)[name]
        return value

    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def _run(self, command: str, each: Sequence[Any] = (), /, **inputs: torch.Tensor) -> Any:
        """Run a command of `Shard` in every process at the same time.

        Args:
            command: Its name.
            each: Its argument in each process, if it has one.
            **inputs: Its tensors, `(num_envs, ...)`.

        Returns:
            The tensors that it gives, joined; of anything else a list.

        Raises:
            ClosedError: The environment is closed.
            WorkerError: A worker failed or died; the environment is closed then.
        """
        self._require_open(f"{command}()")
        shares: list[tuple[Any, ...]] = [(argument,) for argument in each] or [()] * self.num_workers
        own, *others = shares
        try:
            for worker, arguments in zip(self._workers, others, strict=True):
                worker.send(command, arguments, inputs)
            first = {name: tensor[self._first] for name, tensor in inputs.items()}
            result = self._shard.run(command, own, first)
            return join([result, *(worker.receive() for worker in self._workers)])
        except BaseException:
            self.close()  # some processes may have run it and others not
            raise

    def _refusal(self, what: str) -> ArgumentError:
        return ArgumentError(f"{what} is not possible with num_workers={self.num_workers}; only with 1")

    def _require_open(self, method: str) -> None:
        if self._closed:
            raise ClosedError(f"{method} was called on a closed environment; make a new one")
