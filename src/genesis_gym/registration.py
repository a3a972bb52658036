"""Registered environments: ids that `gymnasium.make` and `gymnasium.make_vec` know after `import genesis_gym`.

Nothing here imports torch or Genesis: tasks are named by the module that has them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from genesis_gym.errors import ArgumentError, check_choice, safe_repr

#: Name of a task → where its class is.
TASKS = {
    "none": "genesis_gym.tasks.arm:ArmTask",
    "joint_reach": "genesis_gym.tasks.reach.joint_reach:JointReach",
    "reach": "genesis_gym.tasks.reach.reach:Reach",
    "reach_pose": "genesis_gym.tasks.reach.reach_pose:ReachPose",
    "reach_obstacles": "genesis_gym.tasks.reach.reach_obstacles:ReachObstacles",
    "push": "genesis_gym.tasks.manipulation.push:Push",
    "lift_cube": "genesis_gym.tasks.manipulation.lift:LiftCube",
    "pick_and_place": "genesis_gym.tasks.manipulation.pick_and_place:PickAndPlace",
    "stack_cube": "genesis_gym.tasks.manipulation.stack:StackCube",
    "open_drawer": "genesis_gym.tasks.manipulation.drawer:OpenDrawer",
    "hand_over": "genesis_gym.tasks.cooperation.hand_over:HandOver",
    "velocity_tracking": "genesis_gym.tasks.locomotion.velocity:VelocityTracking",
    "hover": "genesis_gym.tasks.flight.hover:Hover",
}

#: Ids of the package's own environments.
ENVIRONMENTS: list[str] = []


def register(env_id: str, task: str | type, *, max_episode_steps: int | None = None, **options: Any) -> None:
    """Register an environment for `gymnasium.make`, `gymnasium.make_vec` and `genesis-gym train`.

    Args:
        env_id: Such as `"My/Env-v0"`.
        task: A `Task` subclass, or a name in `TASKS`.
        max_episode_steps: Control steps in an episode; None for what the class declares by `episode_seconds`.
        **options: Fields of the task and arguments of `BatchedEnv` that differ from their defaults.
    """
    if not isinstance(task, str):
        declared: Any = task
        seconds, control_dt = declared.episode_seconds, declared.physics.dt * declared.decimation
        if max_episode_steps is None and seconds is not None:
            max_episode_steps = max(1, round(seconds / control_dt))
    gymnasium.register(
        id=env_id,
        entry_point="genesis_gym.adapters.single:make_single",
        vector_entry_point="genesis_gym.adapters.vector:GenesisVectorEnv",
        max_episode_steps=max_episode_steps,
        kwargs={"task": task, **options},
    )


def _register_own(env_id: str, task: str, max_episode_steps: int, **options: Any) -> None:
    ENVIRONMENTS.append(env_id)
    if env_id not in gymnasium.registry:
        register(env_id, task, max_episode_steps=max_episode_steps, **options)


def register_environments() -> None:
    """Register the package's own environments. Their numbers of steps are those that the tasks declare."""
    _register_own("Genesis/FrankaReach-v0", "reach", 100)
    _register_own("Genesis/FrankaReachPose-v0", "reach_pose", 100)
    _register_own("Genesis/FrankaReachObstacles-v0", "reach_obstacles", 100)
    _register_own("Genesis/FrankaMotor-v0", "joint_reach", 100)
    _register_own("Genesis/FrankaPush-v0", "push", 75)
    _register_own("Genesis/FrankaLiftCube-v0", "lift_cube", 75)
    _register_own("Genesis/FrankaPickAndPlace-v0", "pick_and_place", 75)
    _register_own("Genesis/FrankaStackCube-v0", "stack_cube", 100)
    _register_own("Genesis/FrankaOpenDrawer-v0", "open_drawer", 150)
    _register_own("Genesis/UR5eReach-v0", "reach", 100, robot="ur5e")
    _register_own("Genesis/UR5eReachPose-v0", "reach_pose", 100, robot="ur5e")
    _register_own("Genesis/UR5eMotor-v0", "joint_reach", 100, robot="ur5e")
    _register_own("Genesis/KukaReach-v0", "reach", 100, robot="kuka_iiwa")
    _register_own("Genesis/KukaReachPose-v0", "reach_pose", 100, robot="kuka_iiwa")
    _register_own("Genesis/KukaMotor-v0", "joint_reach", 100, robot="kuka_iiwa")
    _register_own("Genesis/FrankaHandOver-v0", "hand_over", 200)
    _register_own("Genesis/Go2Velocity-v0", "velocity_tracking", 1000)
    _register_own("Genesis/Cf2xHover-v0", "hover", 500)


def load(place: str) -> Any:
    """Import what a string such as `"package.module:Name"` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def merged(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an adapter in the terms of the core.

    `robot_type` is the training guide's name for `robot`; given beside a registered `robot`, it counts.
    """
    options = dict(kwargs)
    if "robot_type" in options:
        options["robot"] = options.pop("robot_type")
    return options


def find_spec(env_id: str) -> EnvSpec:
    """Look up an environment of this package or of a package that registers tasks for it.

    A module prefix is never imported here: ids come from files too, and a file from a stranger must not choose
    what code runs. Whoever wants the module imports it first.

    Args:
        env_id: An id in Gymnasium's registry, optionally with the prefix of the module that registers it, as in
            `"my_package:My/Env-v0"`.

    Returns:
        Its registration; `spec.kwargs["task"]` is the task.

    Raises:
        ArgumentError: The id is unknown, or its environment has no task of this package.
    """
    if not isinstance(env_id, str):
        raise ArgumentError(f"env={safe_repr(env_id)} is not allowed; it must be the id of an environment")
    module, _, name = env_id.rpartition(":")
    if module and name not in gymnasium.registry:
        if module in sys.modules:
            raise ArgumentError(f"env={safe_repr(env_id)} cannot be made: {module} registers no {safe_repr(name)}")
        raise ArgumentError(
            f"env={safe_repr(env_id)} is registered by the module {safe_repr(module)}, which is not imported, "
            "since an id may come from a file: if you trust the module, add --import "
            f"{module[:100]} (in Python: import it)"
        )
    try:
        spec = gymnasium.spec(name)
    except gymnasium.error.Error as error:
        if "/" in name and not name.startswith("Genesis/"):
            raise ArgumentError(
                f"env={safe_repr(env_id)} is not registered; if a module of yours registers it, add "
                "--import MODULE (in Python: import it)"
            ) from error
        check_choice("env", env_id, ENVIRONMENTS)
        raise ArgumentError(f"env={safe_repr(env_id)} cannot be made: {error}") from error
    if "task" not in spec.kwargs:
        raise ArgumentError(f"env={safe_repr(env_id)} has no genesis-gym task; allowed: {', '.join(ENVIRONMENTS)}")
    return spec
