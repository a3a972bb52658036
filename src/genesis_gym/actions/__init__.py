"""Action terms: what the numbers of an action do to the world."""

from genesis_gym.actions.gripper import Gripper, HeldGripper
from genesis_gym.actions.joints import (
    JointDelta,
    JointOffset,
    JointPosition,
    JointTarget,
    JointTerm,
    JointTorque,
    JointVelocity,
)
from genesis_gym.actions.rotors import Rotors
from genesis_gym.actions.term import Actions, ActionTerm
from genesis_gym.actions.tool import ToolPose, ToolPosition

#: Control mode of an arm → its action term.
CONTROL_MODES: dict[str, type[JointTarget]] = {
    "joint_delta": JointDelta,
    "joint_position": JointPosition,
    "joint_velocity": JointVelocity,
    "joint_torque": JointTorque,
    "ee_delta_position": ToolPosition,
    "ee_delta_pose": ToolPose,
}

__all__ = [
    "CONTROL_MODES",
    "ActionTerm",
    "Actions",
    "Gripper",
    "HeldGripper",
    "JointDelta",
    "JointOffset",
    "JointPosition",
    "JointTarget",
    "JointTerm",
    "JointTorque",
    "JointVelocity",
    "Rotors",
    "ToolPose",
    "ToolPosition",
]
