"""The batched environment that every adapter wraps."""

from genesis_gym.core.env import BatchedEnv
from genesis_gym.core.make import Core, make_core, make_sharded_core
from genesis_gym.core.result import StepResult
from genesis_gym.core.sharded import ShardedEnv

__all__ = ["BatchedEnv", "Core", "ShardedEnv", "StepResult", "make_core", "make_sharded_core"]
