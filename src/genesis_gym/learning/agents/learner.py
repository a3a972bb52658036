"""The seam between learning libraries and everything else: a `Learner` learns, hooks act between its rollouts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from genesis_gym.core import Core
from genesis_gym.errors import GenesisGymError
from genesis_gym.learning.agents.episodes import EpisodeStatistics
from genesis_gym.learning.agents.policy import Observation, Policy, is_finite
from genesis_gym.learning.agents.state import State
from genesis_gym.learning.config.train_config import TrainConfig


class DivergedError(GenesisGymError, ArithmeticError):
    """Training diverged: numbers of the policy are not finite."""


class StopTraining(Exception):  # noqa: N818
    """A hook raises it in `before_rollout` to end training in order."""


class Hook:
    """What happens beside learning. Every method may be overridden and does nothing here."""

    def before_training(self, learner: Learner) -> None:
        """Training begins; the environment has been reset."""

    def before_rollout(self, learner: Learner) -> None:
        """A rollout begins: all that matters is in the learner and the environment. May raise `StopTraining`."""

    def after_rollout(self, learner: Learner) -> None:
        """A rollout has been collected."""

    def after_training(self, learner: Learner) -> None:
        """Training has taken all its steps."""


class Learner(ABC):
    """An algorithm with its environment.

    Attributes:
        config: What it was made from.
        env: The environment that it trains in.
        episodes: Statistics of the training's episodes.
        latest: Figures that were logged last.
        logs_each_rollout: Whether a rollout is long enough for a line of the log.
        has_replay_buffer: Whether its state holds a replay buffer, which may be large.
    """

    logs_each_rollout: bool = True

    def __init__(self, config: TrainConfig, env: Core) -> None:
        self.config = config
        self.env = env
        self.episodes = EpisodeStatistics(env.num_envs)
        self.latest: dict[str, float] = {}

    @property
    @abstractmethod
    def timesteps(self) -> int:
        """Environment steps so far, over all environments of all ranks."""

    @property
    def has_replay_buffer(self) -> bool:
        """Whether its state holds a replay buffer, which may be large."""
        return False

    @property
    @abstractmethod
    def policy(self) -> Policy:
        """The policy as it is now, deterministic; it shares the learner's networks."""

    @abstractmethod
    def learn(self, timesteps: int, hooks: Sequence[Hook]) -> None:
        """Collect and learn until so many steps have been taken in all.

        Args:
            timesteps: Environment steps, those before this call included.
            hooks: Called in this order.

        Raises:
            DivergedError: Numbers of the policy are not finite any more.
        """

    @abstractmethod
    def figures(self) -> dict[str, float]:
        """Figures of the updates since the last call: losses and the like."""

    @abstractmethod
    def model_state(self) -> State:
        """Networks, optimisers and normaliser: what another training can begin with."""

    @abstractmethod
    def check_model_state(self, state: Any) -> None:
        """Refuse a state of other networks.

        Raises:
            ValueError: It does not fit; the difference is named.
        """

    @abstractmethod
    def load_model_state(self, state: State) -> None:
        """Take over a state that `check_model_state` accepts."""

    @abstractmethod
    def loop_state(self) -> State:
        """Everything else that the future of the training depends on, such as a replay buffer."""

    @abstractmethod
    def check_loop_state(self, state: Any) -> None:
        """Refuse a state of another training.

        Raises:
            ValueError: It does not fit; the difference is named.
        """

    @abstractmethod
    def load_loop_state(self, state: State) -> None:
        """Continue from a state that `check_loop_state` accepts."""

    def act(self, observation: Observation) -> torch.Tensor:
        """Act deterministically by the policy as it is now."""
        action: torch.Tensor = self.policy(observation)
        return action

    def state_dict(self) -> State:
        """All that the future of the training depends on, but the environment and the global generators."""
        return {"model": self.model_state(), "loop": self.loop_state()}

    def load_state_dict(self, state: State) -> None:
        """Continue from what `state_dict` gave.

        Raises:
            ValueError: It does not fit; nothing is changed then.
        """
        self.check_model_state(state["model"])
        self.check_loop_state(state["loop"])
        self.load_model_state(state["model"])
        self.load_loop_state(state["loop"])

    def save_extras(self, folder: Path) -> None:  # noqa: B027 - most libraries have none
        """Write further files of the library into the run folder."""

    def check_finite(self) -> None:
        """Refuse to continue with a policy that is not finite.

        Raises:
            DivergedError: It is not.
        """
        if not is_finite(self.policy):
            raise self.diverged()

    def diverged(self) -> DivergedError:
        """The error of a training whose policy is not finite any more."""
        return DivergedError(
            f"training diverged: at {self.timesteps} steps the policy is not finite any more. A smaller "
            "learning_rate or normalised observations and rewards may help"
        )
