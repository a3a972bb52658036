"""The batched environment that every adapter wraps."""

from genesis_gym.core.env import BatchedEnv, StepResult
from genesis_gym.core.make import make_core

__all__ = ["BatchedEnv", "StepResult", "make_core"]
