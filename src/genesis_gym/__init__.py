"""Batched Gymnasium environments on the Genesis physics simulator.

Importing this package registers the environments and costs nothing more: Genesis and torch, which take
seconds, are imported when the first environment is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genesis_gym.errors import GenesisGymError
from genesis_gym.extras import name_missing_extra
from genesis_gym.registration import register, register_environments

if TYPE_CHECKING:
    from genesis_gym.adapters.rsl_rl import GenesisRslRlVecEnv, make_rsl_rl_vec_env
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv, make_sb3_vec_env
    from genesis_gym.adapters.single import GenesisGymWrapper
    from genesis_gym.adapters.vector import GenesisVectorEnv
    from genesis_gym.core import BatchedEnv, StepResult, make_core
    from genesis_gym.robots import RobotSpec
    from genesis_gym.tasks import Evaluation, GoalTask, Task
    from genesis_gym.tasks.arm import ArmGoalTask, ArmTask
    from genesis_gym.tasks.cooperation.hand_over import HandOver
    from genesis_gym.tasks.flight.hover import Hover
    from genesis_gym.tasks.locomotion.velocity import VelocityTracking
    from genesis_gym.tasks.manipulation.drawer import OpenDrawer
    from genesis_gym.tasks.manipulation.grasp import Grasp
    from genesis_gym.tasks.manipulation.lift import LiftCube
    from genesis_gym.tasks.manipulation.pick_and_place import PickAndPlace
    from genesis_gym.tasks.manipulation.push import Push
    from genesis_gym.tasks.manipulation.stack import StackCube
    from genesis_gym.tasks.reach.joint_reach import JointReach
    from genesis_gym.tasks.reach.reach import Reach
    from genesis_gym.tasks.reach.reach_obstacles import ReachObstacles
    from genesis_gym.tasks.reach.reach_pose import ReachPose
    from genesis_gym.variation import Curriculum
    from genesis_gym.world import SOFT, STIFF, Component, Physics, World

__version__ = "0.1.0"

_HOMES = {
    "ArmGoalTask": "genesis_gym.tasks.arm",
    "ArmTask": "genesis_gym.tasks.arm",
    "BatchedEnv": "genesis_gym.core",
    "Component": "genesis_gym.world",
    "Curriculum": "genesis_gym.variation",
    "Evaluation": "genesis_gym.tasks",
    "GenesisGymWrapper": "genesis_gym.adapters.single",
    "GenesisRslRlVecEnv": "genesis_gym.adapters.rsl_rl",
    "GenesisSb3VecEnv": "genesis_gym.adapters.sb3",
    "GenesisVectorEnv": "genesis_gym.adapters.vector",
    "GoalTask": "genesis_gym.tasks",
    "Grasp": "genesis_gym.tasks.manipulation.grasp",
    "HandOver": "genesis_gym.tasks.cooperation.hand_over",
    "Hover": "genesis_gym.tasks.flight.hover",
    "JointReach": "genesis_gym.tasks.reach.joint_reach",
    "LiftCube": "genesis_gym.tasks.manipulation.lift",
    "OpenDrawer": "genesis_gym.tasks.manipulation.drawer",
    "Physics": "genesis_gym.world",
    "PickAndPlace": "genesis_gym.tasks.manipulation.pick_and_place",
    "Push": "genesis_gym.tasks.manipulation.push",
    "Reach": "genesis_gym.tasks.reach.reach",
    "ReachObstacles": "genesis_gym.tasks.reach.reach_obstacles",
    "ReachPose": "genesis_gym.tasks.reach.reach_pose",
    "RobotSpec": "genesis_gym.robots",
    "SOFT": "genesis_gym.world",
    "STIFF": "genesis_gym.world",
    "StackCube": "genesis_gym.tasks.manipulation.stack",
    "StepResult": "genesis_gym.core",
    "Task": "genesis_gym.tasks",
    "VelocityTracking": "genesis_gym.tasks.locomotion.velocity",
    "World": "genesis_gym.world",
    "make_core": "genesis_gym.core",
    "make_rsl_rl_vec_env": "genesis_gym.adapters.rsl_rl",
    "make_sb3_vec_env": "genesis_gym.adapters.sb3",
}

__all__ = [
    "SOFT",
    "STIFF",
    "ArmGoalTask",
    "ArmTask",
    "BatchedEnv",
    "Component",
    "Curriculum",
    "Evaluation",
    "GenesisGymError",
    "GenesisGymWrapper",
    "GenesisRslRlVecEnv",
    "GenesisSb3VecEnv",
    "GenesisVectorEnv",
    "GoalTask",
    "Grasp",
    "HandOver",
    "Hover",
    "JointReach",
    "LiftCube",
    "OpenDrawer",
    "Physics",
    "PickAndPlace",
    "Push",
    "Reach",
    "ReachObstacles",
    "ReachPose",
    "RobotSpec",
    "StackCube",
    "StepResult",
    "Task",
    "VelocityTracking",
    "World",
    "__version__",
    "make_core",
    "make_rsl_rl_vec_env",
    "make_sb3_vec_env",
    "register",
]


def __getattr__(name: str) -> Any:
    """Import the public classes on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with name_missing_extra():
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


register_environments()
