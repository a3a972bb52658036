"""Tasks: what robots are asked to do, each a small class in batched torch."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from genesis_gym.errors import (
    ArgumentError,
    UnexpectedArgumentError,
    check_choice,
    check_positive_int,
    safe_repr,
)
from genesis_gym.registration import TASKS, load
from genesis_gym.tasks.task import Evaluation, GoalTask, Group, Task
from genesis_gym.world import Physics

#: Class attributes of a task that may be given for one environment.
SETTINGS = ("physics", "decimation", "episode_seconds", "noise", "scale", "clip")


def make_task(task: str | type[Task] | Task, options: Mapping[str, Any], others: Collection[str] = ()) -> Task:
    """Make a task, or copy an instance, so that one declaration can make many environments.

    Args:
        task: A name in `TASKS`, a subclass of `Task` or an instance of one.
        options: Its fields, and attributes named in `SETTINGS`.
        others: What else the caller knows, for the error.

    Returns:
        The task.

    Raises:
        UnexpectedArgumentError: There is no such option.
        ArgumentError: The task is unknown, or an option has a value that is not allowed.
    """
    if isinstance(task, str):
        check_choice("task", task, TASKS)
        task = load(TASKS[task])
    if not isinstance(task, Task) and not (isinstance(task, type) and issubclass(task, Task)):
        raise ArgumentError(f"task={safe_repr(task)} is not allowed; it must be a name, a Task or its class")
    fields: Any = dataclasses.fields(task) if dataclasses.is_dataclass(task) else ()
    own = [field.name for field in fields if field.init]
    called = getattr(task, "__name__", type(task).__name__)
    for name in options:
        try:
            check_choice(f"argument of {called}", name, [*own, *SETTINGS, *others])
        except ArgumentError as error:
            raise UnexpectedArgumentError(f"unexpected keyword argument {safe_repr(name)}: {error}") from None
    arguments = {name: value for name, value in options.items() if name in own}
    if isinstance(task, type):
        made = task(**arguments)
    elif "world" in vars(task):
        raise ArgumentError(
            f"task={type(task).__name__}(…) is in another environment already; give its class, or a new instance"
        )
    else:
        made = copy.deepcopy(task)
        for name, value in arguments.items():
            setattr(made, name, value)
        if arguments and hasattr(made, "__post_init__"):
            made.__post_init__()
    for name in SETTINGS:
        if name in options:
            setattr(made, name, options[name])
    check_positive_int("decimation", made.decimation)
    if not isinstance(made.physics, Physics):
        raise ArgumentError(f"physics={safe_repr(made.physics)} is not allowed; it must be a genesis_gym.Physics")
    return made


__all__ = ["SETTINGS", "TASKS", "Evaluation", "GoalTask", "Group", "Task", "make_task"]
