"""The base of tasks of one arm on the ground or on a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from genesis_gym.actions import CONTROL_MODES, Gripper, HeldGripper
from genesis_gym.errors import ArgumentError, check_choice, safe_repr
from genesis_gym.robots import FRANKA, Robot, RobotSpec
from genesis_gym.tasks.task import GoalTask, Group, Task
from genesis_gym.world import Bin, Ground, Table, World

#: Surroundings by name; what stands on the ground stands at z = 0 in each of them.
SCENES: dict[str, type[Ground]] = {"empty": Ground, "table": Table, "bin": Bin}

#: Observations of the arms are clipped to this, each in its own unit.
OBSERVATION_BOUND = 20.0


@dataclass(kw_only=True, eq=False)
class ArmTask(Task):
    """An arm with nothing to do.

    Class attributes of subclasses: `gripper` says whether a gripper is held `"open"` or `"closed"`, or `"driven"`
    by one more number of the action, the last: -1 closed to 1 open. `needs_gripper`: whether only a robot with a
    gripper can do it. `pose`: the robot's pose at reset if it declares one of this name; None for its default.

    Attributes:
        robot: An arm.
        scene_type: Name of the surroundings: `"empty"`, `"table"` or `"bin"`.
        control_mode: Name in `genesis_gym.actions.CONTROL_MODES` of what the action does to the joints.
        arm: The robot, from `build` on.
    """

    clip = OBSERVATION_BOUND
    gripper: ClassVar[Literal["open", "closed", "driven"]] = "open"
    needs_gripper: ClassVar[bool] = False
    pose: ClassVar[str | None] = None

    robot: RobotSpec = FRANKA
    scene_type: str = "empty"
    control_mode: str = "joint_delta"

    def __post_init__(self) -> None:
        """Refuse what cannot be, as `ArgumentError`."""
        super().__post_init__()
        check_choice("scene_type", self.scene_type, SCENES)
        check_choice("control_mode", self.control_mode, CONTROL_MODES)
        name = safe_repr(self.robot.name)
        if (self.needs_gripper or self.gripper == "driven") and self.robot.gripper is None:
            raise ArgumentError(f"task {type(self).__name__} needs a robot with a gripper; {name} has none")
        if self.robot.tool is None:
            raise ArgumentError(f"task {type(self).__name__} needs a robot with a tool; {name} has none")

    def build(self, world: World) -> None:
        """Add the surroundings, the arm and its action terms. Call super first."""
        world.add(SCENES[self.scene_type](), name="ground")
        pose = self.pose if self.pose in self.robot.poses else None
        self.arm: Robot = world.add(self.robot, pose=pose)
        self.add_action(CONTROL_MODES[self.control_mode](self.arm), name="arm")
        if self.gripper == "driven":
            self.add_action(Gripper(self.arm))
        elif self.robot.gripper is not None:
            self.add_action(HeldGripper(self.arm, opening=float(self.gripper == "open")))

    def parts(self) -> dict[str, torch.Tensor]:
        """Named parts of the observation: joint positions, rad, and velocities, rad/s."""
        return {"joint_position": self.arm.joint_position, "joint_velocity": self.arm.joint_velocity}

    def observe(self) -> Mapping[str, Group]:
        """The parts, in one group."""
        return {"policy": self.parts()}


@dataclass(kw_only=True, eq=False)
class ArmGoalTask(ArmTask, GoalTask):
    """A task of one arm with a goal."""
