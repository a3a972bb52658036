"""Hooks of a training: logs, periodic evaluation, checkpoints."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil
import torch

from genesis_gym.core import Core
from genesis_gym.learning.agents.checkpoint import Score, save_checkpoint
from genesis_gym.learning.agents.learner import Hook, Learner, StopTraining
from genesis_gym.learning.agents.policy import save_policy
from genesis_gym.learning.agents.ranks import any_rank, of_first_rank, rank
from genesis_gym.learning.config.seeds import SELECTION_SEED
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.evaluation.result import EvaluationResult
from genesis_gym.learning.runs.folder import BEST_POLICY_FILE
from genesis_gym.learning.runs.logs import RunLog

logger = logging.getLogger("genesis_gym")

#: Episodes of an evaluation during training.
PERIODIC_EPISODES = 100

#: Seconds of training between two checkpoints: without a replay buffer, and with one, which may be large.
CHECKPOINT_SECONDS = 30.0
REPLAY_CHECKPOINT_SECONDS = 600.0


class RandomEpisodeLength(Hook):
    """Begins a training in the middle of episodes, in each environment at another step."""

    def __init__(self, env: Core) -> None:
        self._env = env

    def before_training(self, learner: Learner) -> None:
        """Set the clocks."""
        self._env.randomize_episode_length()


class FiniteCheck(Hook):
    """Stops a training whose policy is not finite any more, before anything else looks at it."""

    def before_rollout(self, learner: Learner) -> None:
        """Check the policy."""
        learner.check_finite()


class TrainingLog(Hook):
    """Logs the learner's figures, episodes, faults, the curriculum and memory."""

    def __init__(self, env: Core, config: TrainConfig, log: RunLog) -> None:
        self._env = env
        self._curriculum = config.curriculum is not None
        self._log = log
        self._warned = False

    def before_training(self, learner: Learner) -> None:
        """Begin to measure."""
        self._process = psutil.Process()
        self._begin, self._first = time.monotonic(), learner.timesteps
        self._logged = learner.episodes.finished

    def after_rollout(self, learner: Learner) -> None:
        """Log after each long rollout, or after as many episodes as there are environments."""
        finished = learner.episodes.finished
        if learner.logs_each_rollout or finished - self._logged >= self._env.num_envs:
            self._logged = finished
            self._write(learner)

    def after_training(self, learner: Learner) -> None:
        """Log the rest."""
        if not learner.logs_each_rollout:
            self._write(learner)

    def _write(self, learner: Learner) -> None:
        seconds = max(time.monotonic() - self._begin, 1e-6)
        figures = {
            **learner.episodes.figures(),
            **learner.figures(),
            "rollout/faults": self._faults(),
            "time/fps": int((learner.timesteps - self._first) / seconds),
            "time/time_elapsed": round(seconds, 1),
            "memory/process_mb": self._process.memory_info().rss / 1e6,
        }
        if self._curriculum:
            difficulty = self._env.difficulty
            figures["curriculum/difficulty"] = float(difficulty.mean())
            figures["curriculum/lowest"] = float(difficulty.min())
            figures["curriculum/highest"] = float(difficulty.max())
        if torch.cuda.is_available():
            figures["memory/gpu_allocated_mb"] = torch.cuda.memory_allocated() / 1e6
            figures["memory/gpu_reserved_mb"] = torch.cuda.memory_reserved() / 1e6
        learner.latest = figures
        self._log.write(learner.timesteps, figures)

    def _faults(self) -> int:
        faults = int(self._env.fault_counts.sum())
        if faults and self._env.recorder is None and not self._warned:
            self._warned = True
            logger.warning(
                "%d faults so far (actions or physics that are not finite); the environments were reset. "
                "--dump-faults writes the steps that led to them",
                faults,
            )
        return faults


class PeriodicEvaluation(Hook):
    """Evaluates the policy in the training scene, keeps the best one, and stops at a threshold.

    It acts before a rollout; the training state is restored afterwards. Its episodes are others than those of the
    final evaluation.

    Attributes:
        best: Of the best evaluation so far.
        stopped: Whether a threshold was reached.
    """

    def __init__(
        self, config: TrainConfig, folder: Path, log: RunLog, show: Callable[[EvaluationResult], None]
    ) -> None:
        self.best = Score()
        self.stopped = False
        self._config = config
        self._folder = folder
        self._log = log
        self._show = show

    def before_training(self, learner: Learner) -> None:
        """Find out which evaluations an earlier process had."""
        self._done = self._due(learner)

    def before_rollout(self, learner: Learner) -> None:
        """Evaluate if it is due."""
        if self._due(learner) > self._done:
            self._done = self._due(learner)
            self._evaluate(learner)

    def _due(self, learner: Learner) -> int:
        """Evaluations that are due by now, counted so that a resumed run has them at the same steps."""
        every = self._config.evaluate_every
        return 0 if every is None else learner.timesteps // every

    def _evaluate(self, learner: Learner) -> None:
        result = evaluate_policy(learner.env, learner.act, PERIODIC_EPISODES, SELECTION_SEED)
        mean_reward = Score().mean_reward if result.mean_reward is None else result.mean_reward
        # Every rank plays the same episodes, but on another machine they may differ in the last bits.
        score = Score(*of_first_rank(result.success_rate, mean_reward))
        if score > self.best:
            self.best = score
            if rank() == 0:
                save_policy(learner.policy, self._folder / BEST_POLICY_FILE)
        figures = {
            "eval/success_rate": result.success_rate,
            "eval/mean_reward": math.nan if result.mean_reward is None else result.mean_reward,
            "eval/mean_ep_length": result.mean_episode_length,
            "eval/faults": result.faults,
        }
        self._log.write(learner.timesteps, figures)
        self._show(result)
        success, reward = self._config.stop_at_success, self._config.stop_at_reward
        if (success is not None and score.success_rate >= success) or (
            reward is not None and score.mean_reward >= reward
        ):
            self.stopped = True
            raise StopTraining


class Checkpoints(Hook):
    """Writes a checkpoint now and then, and when training is asked to stop.

    A checkpoint holds the replay buffer, if there is one, which may be large: it is then written every
    `REPLAY_CHECKPOINT_SECONDS` and at the end only. When it is written changes nothing in the training.

    Attributes:
        stop: Set it to stop training at the next rollout, with a checkpoint.
    """

    def __init__(self, evaluation: PeriodicEvaluation, folder: Path) -> None:
        self.stop = False
        self._evaluation = evaluation
        self._folder = folder

    def before_training(self, learner: Learner) -> None:
        """Begin to measure."""
        self._written = time.monotonic()

    def before_rollout(self, learner: Learner) -> None:
        """Write a checkpoint if it is due."""
        seconds = REPLAY_CHECKPOINT_SECONDS if learner.has_replay_buffer else CHECKPOINT_SECONDS
        # All ranks do the same: none may wait for another that has stopped.
        stop, due = any_rank(self.stop, time.monotonic() - self._written >= seconds)
        if stop or due:
            save_checkpoint(learner, self._folder, self._evaluation.best)
            self._written = time.monotonic()
        if stop:
            raise KeyboardInterrupt


@contextmanager
def graceful_stop(checkpoints: Checkpoints) -> Iterator[None]:
    """Let SIGINT and SIGTERM stop training at the next rollout, with a checkpoint; a second one stops it at once.

    Args:
        checkpoints: The hook that writes the checkpoint.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread handles signals
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
