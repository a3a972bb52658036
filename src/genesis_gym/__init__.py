"""Batched Gymnasium environments on the Genesis physics simulator.

Importing this package registers the environments and costs nothing more: Genesis and torch, which take
seconds, are imported when the first environment is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genesis_gym.errors import GenesisGymError
from genesis_gym.registration import register_environments

if TYPE_CHECKING:
    from genesis_gym.adapters.rsl_rl import GenesisRslRlVecEnv
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
    from genesis_gym.adapters.single import GenesisGymWrapper, ReachingEnv
    from genesis_gym.adapters.vector import GenesisVectorEnv
    from genesis_gym.core.env import BatchedEnv, StepResult
    from genesis_gym.robots import RobotSpec
    from genesis_gym.tasks import (
        GoalTask,
        Grasp,
        LiftCube,
        Motor,
        OpenDrawer,
        PickAndPlace,
        Push,
        Reach,
        ReachObstacles,
        ReachPose,
        StackCube,
        Task,
    )
    from genesis_gym.variation.curriculum import Curriculum
    from genesis_gym.variation.randomization import Randomization

__version__ = "0.1.0"

_HOMES = {
    "BatchedEnv": "genesis_gym.core.env",
    "StepResult": "genesis_gym.core.env",
    "GenesisGymWrapper": "genesis_gym.adapters.single",
    "ReachingEnv": "genesis_gym.adapters.single",
    "GenesisVectorEnv": "genesis_gym.adapters.vector",
    "GenesisRslRlVecEnv": "genesis_gym.adapters.rsl_rl",
    "GenesisSb3VecEnv": "genesis_gym.adapters.sb3",
    "GoalTask": "genesis_gym.tasks",
    "Grasp": "genesis_gym.tasks",
    "LiftCube": "genesis_gym.tasks",
    "Motor": "genesis_gym.tasks",
    "OpenDrawer": "genesis_gym.tasks",
    "PickAndPlace": "genesis_gym.tasks",
    "Push": "genesis_gym.tasks",
    "Reach": "genesis_gym.tasks",
    "ReachObstacles": "genesis_gym.tasks",
    "ReachPose": "genesis_gym.tasks",
    "StackCube": "genesis_gym.tasks",
    "Task": "genesis_gym.tasks",
    "Curriculum": "genesis_gym.variation.curriculum",
    "Randomization": "genesis_gym.variation.randomization",
    "RobotSpec": "genesis_gym.robots",
}

__all__ = [
    "BatchedEnv",
    "Curriculum",
    "GenesisGymError",
    "GenesisGymWrapper",
    "GenesisRslRlVecEnv",
    "GenesisSb3VecEnv",
    "GenesisVectorEnv",
    "GoalTask",
    "Grasp",
    "LiftCube",
    "Motor",
    "OpenDrawer",
    "PickAndPlace",
    "Push",
    "Randomization",
    "Reach",
    "ReachObstacles",
    "ReachPose",
    "ReachingEnv",
    "RobotSpec",
    "StackCube",
    "StepResult",
    "Task",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import the public classes on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


register_environments()
