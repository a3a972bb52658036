"""Tasks: what a robot is asked to do, each a small class in batched torch."""

import copy

from genesis_gym.errors import check_choice
from genesis_gym.tasks.drawer import OpenDrawer
from genesis_gym.tasks.grasp import Grasp
from genesis_gym.tasks.lift import LiftCube
from genesis_gym.tasks.motor import Motor
from genesis_gym.tasks.pick_and_place import PickAndPlace
from genesis_gym.tasks.push import Push
from genesis_gym.tasks.reach import Reach
from genesis_gym.tasks.reach_obstacles import ReachObstacles
from genesis_gym.tasks.reach_pose import ReachPose
from genesis_gym.tasks.stack import StackCube
from genesis_gym.tasks.task import Evaluation, GoalTask, Task

#: What `task` may be, beside an instance of your own subclass.
TASKS: dict[str, type[Task]] = {
    "none": Task,
    "motor": Motor,
    "reach": Reach,
    "reach_pose": ReachPose,
    "push": Push,
    "lift_cube": LiftCube,
    "pick_and_place": PickAndPlace,
    "stack_cube": StackCube,
    "open_drawer": OpenDrawer,
    "reach_obstacles": ReachObstacles,
}


def find_task(task: str | Task) -> Task:
    """Make a task by name, or copy an instance, so that one declaration can make many environments.

    Args:
        task: A name in `TASKS` or an instance of a subclass of `Task`.

    Returns:
        The task.

    Raises:
        ArgumentError: The name is unknown.
    """
    if isinstance(task, Task):
        return copy.deepcopy(task)
    check_choice("task", task, TASKS)
    return TASKS[task]()


__all__ = [
    "TASKS",
    "Evaluation",
    "GoalTask",
    "Grasp",
    "LiftCube",
    "Motor",
    "OpenDrawer",
    "PickAndPlace",
    "Push",
    "Reach",
    "ReachObstacles",
    "ReachPose",
    "StackCube",
    "Task",
    "find_task",
]
