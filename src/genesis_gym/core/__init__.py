"""The batched environment: torch in, torch out."""

from genesis_gym.core.env import OBSERVATION_BOUND, BatchedEnv, StepResult

__all__ = ["OBSERVATION_BOUND", "BatchedEnv", "StepResult"]
