"""From a config to a learner or a policy, of the library that has the algorithm."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

from genesis_gym.core import Core
from genesis_gym.errors import ArgumentError, GenesisGymError, MissingDependencyError
from genesis_gym.learning.agents.learner import Learner
from genesis_gym.learning.agents.policy import Policy
from genesis_gym.learning.config.hyperparameters import RslRlPPOHyperparameters
from genesis_gym.learning.config.train_config import TrainConfig


def check_library(config: TrainConfig) -> None:
    """Refuse an algorithm whose library is missing, before a scene is built.

    Raises:
        MissingDependencyError: sb3-contrib or RSL-RL is needed and cannot be imported.
    """
    _library(config)


def make_learner(config: TrainConfig, env: Core) -> Learner:
    """Make the learner that a config describes, untrained; torch's and NumPy's global generators are seeded.

    Args:
        config: The config.
        env: The environment that it will train in.

    Returns:
        The learner.

    Raises:
        ArgumentError: The library refuses the hyperparameters, or they do not fit the environment.
    """
    try:
        learner: Learner = _library(config).make_learner(config, env)
    except GenesisGymError:
        raise
    except (AssertionError, TypeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArgumentError(f"{config.algorithm} cannot be made: {reason}") from error
    return learner


def make_policy(config: TrainConfig, env: Core) -> Policy:
    """Make the policy that a config describes, untrained.

    Args:
        config: The config.
        env: The environment that it will act in.

    Returns:
        The policy, on the CPU.
    """
    policy: Policy = _library(config).make_policy(config, env)
    return policy


def _library(config: TrainConfig) -> ModuleType:
    """The module of the library that has an algorithm."""
    try:
        if isinstance(config.hyperparameters, RslRlPPOHyperparameters):
            # RSL-RL imports GitPython, which cannot be imported without a git command unless it is told so.
            os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
            return import_module("genesis_gym.learning.agents.rsl_rl")
        if config.algorithm == "TQC":
            import sb3_contrib  # noqa: F401
    except ImportError as error:
        library, extra = ("sb3-contrib", "contrib") if config.algorithm == "TQC" else ("RSL-RL", "rsl_rl")
        reason = str(error).strip().splitlines()[0]
        raise MissingDependencyError(
            f"{library} cannot be imported ({reason}): pip install 'genesis-gym[{extra}]'"
        ) from error
    return import_module("genesis_gym.learning.agents.sb3")
