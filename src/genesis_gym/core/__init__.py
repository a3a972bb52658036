"""The batched environment: torch in, torch out."""

from genesis_gym.core.env import OBSERVATION_BOUND, BatchedEnv, StepResult
from genesis_gym.core.sharded import Core, ShardedEnv

__all__ = ["OBSERVATION_BOUND", "BatchedEnv", "Core", "ShardedEnv", "StepResult"]
