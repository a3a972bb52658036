"""The batched environment that every adapter wraps."""

from genesis_gym.core.env import BatchedEnv
from genesis_gym.core.make import make_core
from genesis_gym.core.result import StepResult

__all__ = ["BatchedEnv", "StepResult", "make_core"]
