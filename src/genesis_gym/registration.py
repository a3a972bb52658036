"""The environment ids that `gymnasium.make` and `gymnasium.make_vec` know after `import genesis_gym`."""

from __future__ import annotations

import sys

import gymnasium
from gymnasium.envs.registration import EnvSpec

from genesis_gym.errors import ArgumentError, check_choice, shown

#: Environment id → name of its task in `genesis_gym.tasks.TASKS`, all with the Franka.
ENVIRONMENTS = {
    "Genesis/FrankaReach-v0": "reach",
    "Genesis/FrankaMotor-v0": "motor",
    "Genesis/FrankaReachPose-v0": "reach_pose",
    "Genesis/FrankaPush-v0": "push",
    "Genesis/FrankaLiftCube-v0": "lift_cube",
    "Genesis/FrankaPickAndPlace-v0": "pick_and_place",
    "Genesis/FrankaStackCube-v0": "stack_cube",
    "Genesis/FrankaOpenDrawer-v0": "open_drawer",
    "Genesis/FrankaReachObstacles-v0": "reach_obstacles",
}

#: Those of the arms that have no gripper: environment id → task and robot in `genesis_gym.robots.ROBOTS`.
OTHER_ARMS = {
    f"Genesis/{arm}{title}-v0": (task, robot)
    for arm, robot in (("UR5e", "ur5e"), ("Kuka", "kuka_iiwa"))
    for title, task in (("Reach", "reach"), ("Motor", "motor"), ("ReachPose", "reach_pose"))
}

#: Control steps in an episode. It stands here so that Gymnasium's `TimeLimit` and the batched clock share it.
MAX_EPISODE_STEPS = 100

#: Environments whose episodes are longer, or whose actions last longer: the way around a cube takes a second,
#: closing the gripper on it 0.4.
OTHER_EPISODES = {
    "Genesis/FrankaPush-v0": 75,
    "Genesis/FrankaLiftCube-v0": 75,
    "Genesis/FrankaPickAndPlace-v0": 75,
    "Genesis/FrankaStackCube-v0": 100,
    "Genesis/FrankaOpenDrawer-v0": 150,
}


def register_environments() -> None:
    """Register every environment, single and batched, by names that are imported when one is made."""
    franka = {env_id: (task, "franka") for env_id, task in ENVIRONMENTS.items()}
    for env_id, (task, robot) in {**franka, **OTHER_ARMS}.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point="genesis_gym.adapters.single:make_single",
                vector_entry_point="genesis_gym.adapters.vector:GenesisVectorEnv",
                max_episode_steps=OTHER_EPISODES.get(env_id, MAX_EPISODE_STEPS),
                kwargs={"task": task, "robot_type": robot},
            )


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
        raise ArgumentError(f"env={shown(env_id)} is not allowed; it must be the id of an environment")
    module, _, name = env_id.rpartition(":")
    if module and name not in gymnasium.registry:
        if module in sys.modules:
            raise ArgumentError(f"env={shown(env_id)} cannot be made: {module} registers no {shown(name)}")
        raise ArgumentError(
            f"env={shown(env_id)} is registered by the module {shown(module)}, which is not imported, since an id "
            f"may come from a file: if you trust the module, add --import {module[:100]} (in Python: import it)"
        )
    try:
        spec = gymnasium.spec(name)
    except gymnasium.error.Error as error:
        check_choice("env", env_id, (*ENVIRONMENTS, *OTHER_ARMS))
        raise ArgumentError(f"env={shown(env_id)} cannot be made: {error}") from error
    if "task" not in spec.kwargs:
        raise ArgumentError(
            f"env={shown(env_id)} has no genesis-gym task; allowed: {', '.join((*ENVIRONMENTS, *OTHER_ARMS))}"
        )
    return spec
