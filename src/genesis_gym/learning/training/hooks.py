"""What happens beside learning: logs, periodic evaluation, checkpoints."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import psutil
import torch
from stable_baselines3.common.callbacks import BaseCallback

from genesis_gym.core import BatchedEnv
from genesis_gym.learning.agents.checkpoint import save_checkpoint
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.evaluation.evaluate import EvaluationResult, evaluate_policy
from genesis_gym.learning.agents.policy import ObservationNormalizer, deterministic, save_policy
from genesis_gym.learning.runs.folder import BEST_POLICY_FILE
from genesis_gym.learning.agents.ranks import any_rank, of_first_rank, rank

logger = logging.getLogger("genesis_gym")

#: Episodes of an evaluation during training.
PERIODIC_EPISODES = 100

#: Seconds of training between two checkpoints.
CHECKPOINT_SECONDS = 30.0


class StaggeredStart(BaseCallback):
    """Begins a training in the midst of episodes, each row at another step of its own."""

    def __init__(self, env: BatchedEnv) -> None:
        super().__init__()
        self._env = env

    def _on_training_start(self) -> None:
        self._env.stagger_episodes()

    def _on_step(self) -> bool:
        return True


class TrainingLog(BaseCallback):
    """Logs memory, faults and, averaged over the rows, each reward term and the difficulty, for each rollout."""

    def __init__(self, env: BatchedEnv) -> None:
        super().__init__()
        self._env = env

    def _on_training_start(self) -> None:
        self._process = psutil.Process()
        self._told = False

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        infos = self.locals["infos"]
        for name in infos[0]:
            if name.startswith("reward/"):
                self.logger.record(name, float(np.mean([info[name] for info in infos])))
        if "difficulty" in infos[0]:
            levels = [info["difficulty"] for info in infos]
            self.logger.record("curriculum/difficulty", float(np.mean(levels)))
            self.logger.record("curriculum/lowest", min(levels))
            self.logger.record("curriculum/highest", max(levels))
        self._tell_faults()
        self.logger.record("memory/process_mb", self._process.memory_info().rss / 1e6)
        if torch.cuda.is_available():
            self.logger.record("memory/gpu_allocated_mb", torch.cuda.memory_allocated() / 1e6)
            self.logger.record("memory/gpu_reserved_mb", torch.cuda.memory_reserved() / 1e6)

    def _tell_faults(self) -> None:
        faults = int(self._env.fault_counts.sum())
        self.logger.record("rollout/faults", faults)
        if faults and self._env.witness is None and not self._told:
            self._told = True
            logger.warning(
                "%d faulty rows so far (actions or physics that are not finite); they were truncated and reset. "
                "--dump-faults writes down what led to them",
                faults,
            )


#: Success rate and mean return before the first evaluation, worse than any.
NOTHING_YET = (-1.0, -sys.float_info.max)


class ThresholdReached(Exception):  # noqa: N818
    """An evaluation has reached the threshold at which training ends."""


class PeriodicEvaluation(BaseCallback):
    """Evaluates the policy in the training scene's own rows, keeps the best one, and stops at a threshold.

    It acts before a rollout, and leaves no trace in the training.

    Attributes:
        best: The best success rate so far and its mean return, which breaks ties.
    """

    def __init__(
        self, config: TrainConfig, env: BatchedEnv, folder: Path, show: Callable[[EvaluationResult], None]
    ) -> None:
        super().__init__()
        self.best = NOTHING_YET
        self._config = config
        self._env = env
        self._folder = folder
        self._show = show

    def _on_training_start(self) -> None:
        self._done = self._due()

    def _on_rollout_start(self) -> None:
        if self._due() > self._done:
            self._done = self._due()
            self._evaluate()

    def _due(self) -> int:
        """Evaluations that are due until now, counted so that a resumed run has them at the same steps."""
        every = self._config.evaluate_every
        return 0 if every is None else self.num_timesteps // every

    def _on_step(self) -> bool:
        return True

    def _evaluate(self) -> None:
        act = deterministic(self.model.policy, ObservationNormalizer.of(self.model))
        result = evaluate_policy(self._env, act, PERIODIC_EPISODES)
        # Every rank plays the same episodes, but on another machine they may differ in the last bits.
        rate, mean_reward = of_first_rank(result.success_rate, result.mean_reward)
        if (rate, mean_reward) > self.best:
            self.best = (rate, mean_reward)
            if rank() == 0:
                save_policy(self.model, self._folder / BEST_POLICY_FILE)
        self.logger.record("eval/success_rate", result.success_rate)
        self.logger.record("eval/mean_reward", result.mean_reward)
        self.logger.record("eval/mean_ep_length", result.mean_episode_length)
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(self.num_timesteps)
        self._show(result)
        success, reward = self._config.stop_at_success, self._config.stop_at_reward
        if (success is not None and rate >= success) or (reward is not None and mean_reward >= reward):
            raise ThresholdReached  # a callback's own way to stop would first step and normalise once more


class Checkpoints(BaseCallback):
    """Writes a checkpoint every now and then, and when somebody asks training to stop.

    It acts before a rollout, when all that matters is in the model and in the environment. When it acts changes
    nothing in the training.

    Attributes:
        stop: Set it to stop training at the next rollout, with a checkpoint.
    """

    def __init__(self, evaluation: PeriodicEvaluation, env: BatchedEnv, folder: Path) -> None:
        super().__init__()
        self.stop = False
        self._evaluation = evaluation
        self._env = env
        self._folder = folder

    def _on_training_start(self) -> None:
        self._written = time.monotonic()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # What one rank is to do, all do: none may wait for another that has stopped.
        stop, due = any_rank(self.stop, time.monotonic() - self._written >= CHECKPOINT_SECONDS)
        if stop or due:
            save_checkpoint(self.model, self._env, self._folder, self._evaluation.best)
            self._written = time.monotonic()
        if stop:
            raise KeyboardInterrupt


@contextmanager
def stopping_in_order(checkpoints: Checkpoints) -> Iterator[None]:
    """Let SIGINT and SIGTERM stop training at the next rollout, with a checkpoint; a second one stops it at once.

    Args:
        checkpoints: What is to write the checkpoint.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's business
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if checkpoints.stop:
            raise KeyboardInterrupt
        checkpoints.stop = True

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
