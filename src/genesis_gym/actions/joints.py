"""Action terms in joint space."""

from __future__ import annotations

from typing import ClassVar

import torch

from genesis_gym.actions.term import ActionTerm
from genesis_gym.errors import ArgumentError, safe_repr
from genesis_gym.robots import Robot
from genesis_gym.runtime.random import EnvRandom

# The margins below keep an arm's joints within its limits under any action; without them a joint exceeds its speed
# limit by up to 2 rad/s (tests/test_actions.py).

#: Seconds between two commands of the terms that move a target: 50 Hz.
COMMAND_SECONDS = 0.02
#: Share of the speed limits that targets move at: the rest lets the PD controller catch up.
SPEED_SHARE = 0.8
#: Share of the speed limits at which `JointTorque` has no torque left: loads and strong neighbours drive a joint
#: beyond that, the Franka's to 87 % of its limit, and with a share of 0.65 to 120 %.
TORQUE_SPEED_SHARE = 0.5
#: How far targets keep from the joint limits, rad.
LIMIT_MARGIN = 0.03
#: How far a target may be from its joint before the next step is added, unless a term says otherwise, rad.
LEAD = 0.02
#: Deceleration with which a target arrives, rad/s²; the weakest joints of the arms can brake at this rate.
BRAKING = 10.0


class JointTerm(ActionTerm):
    """Drives the joints of a robot."""

    def __init__(self, robot: Robot, size: int | None = None) -> None:
        """Drive a robot.

        Args:
            robot: The robot.
            size: Numbers in the action; None for one for each joint.

        Raises:
            ArgumentError: The robot has no driven joints.
        """
        if not robot.joints:
            raise ArgumentError(
                f"{type(self).__name__} needs driven joints, and robot {safe_repr(robot.spec.name)} has none"
            )
        super().__init__(robot.world, len(robot.joints) if size is None else size)
        self.robot = robot


class JointOffset(JointTerm):
    """Target positions q* = q₀ + scale · a, with q₀ the robot's default pose: the standard of legged locomotion.

    The PD controllers of the robot's actuators follow; their limits of effort are the only ones.
    """

    def __init__(self, robot: Robot, *, scale: float = 0.25, limit: float = 4.0) -> None:
        """Drive a robot.

        Args:
            robot: The robot.
            scale: rad of a unit of the action.
            limit: Bound of the action.
        """
        super().__init__(robot)
        self._scale = scale
        self.low, self.high = -limit * self.high, limit * self.high

    def process(self, action: torch.Tensor) -> None:
        """Set the targets."""
        super().process(action)
        self._target = self.robot.default + self._scale * action
        self.robot.command(self._target)

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget the past of some environments."""
        super().reset(envs, rng)
        self._target = self.robot.default + self._scale * self.action


class JointTarget(JointTerm):
    """Moves a joint target within the robot's limits: the base of the terms for arms.

    A subclass reads an action as a goal and a speed. This class moves the target there no faster, braking in time
    to stop at the goal, and feeds its velocity forward so that the PD controller follows without lag.

    Attributes:
        target: Joint target, rad `(num_envs, joints)`.
        goal_low: Lower bounds of the target, rad `(joints,)`.
        goal_high: Upper bounds, rad `(joints,)`.
        travel: The farthest that a target moves in one command, rad `(joints,)`.
        lead: How far a target may be from its joint before the next step is added, rad.
    """

    lead: ClassVar[float] = LEAD

    def __init__(self, robot: Robot, size: int | None = None) -> None:
        super().__init__(robot, size)
        self._every = max(1, round(COMMAND_SECONDS / robot.world.dt))
        self._command_dt = self._every * robot.world.dt
        self._physics_steps = 0

    def start(self) -> None:
        """Take over the robot's limits."""
        self.target = self.robot.joint_position
        self.goal_low = self.robot.joint_low + LIMIT_MARGIN
        self.goal_high = self.robot.joint_high - LIMIT_MARGIN
        self.travel = SPEED_SHARE * self.robot.velocity_limits * self._command_dt

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget the past of some environments: their target becomes where their joints are."""
        self.target = torch.where(envs[:, None], self.robot.joint_position, self.target)
        super().reset(envs, rng)

    def process(self, action: torch.Tensor) -> None:
        """Take an action."""
        super().process(action)
        self._physics_steps = 0

    def apply(self) -> None:
        """Command the robot, every 20 ms."""
        if self._physics_steps % self._every == 0:
            self._command()
        self._physics_steps += 1

    def _command(self) -> None:
        joints = self.robot.joint_position
        goal, travel = self._plan(self.action)
        braking = torch.sqrt(2.0 * BRAKING * (goal - joints).abs()) * self._command_dt  # from v² = 2 a d
        travel = torch.minimum(travel, braking)
        target = self.target.clamp(joints - self.lead, joints + self.lead)
        step = (goal - target).clamp(-travel, travel)
        self.target = target + step
        self._send(step / self._command_dt)

    def _send(self, velocity: torch.Tensor) -> None:
        """Hand the target to the robot.

        Args:
            velocity: Speed of the target, rad/s `(num_envs, joints)`.
        """
        self.robot.command(self.target, velocity)

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read an action.

        Args:
            action: `(num_envs, size)` within the bounds.

        Returns:
            Where the target goes, rad `(num_envs, joints)`, within `goal_low` and `goal_high`, and how far at most
            in this command, rad.
        """
        raise NotImplementedError


class JointDelta(JointTarget):
    """The action is a speed; ±1 is 80 % of the joint's speed limit, 0 holds still."""

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.where(action > 0, self.goal_high, self.goal_low), action.abs() * self.travel


class JointVelocity(JointDelta):
    """The action is a speed, as in `JointDelta`, held by a servo of velocity alone.

    The torque is kv (v* - v). `JointDelta` also pulls each joint to where its speeds have added up to, so that at
    0 it stands against gravity; here at 0 a joint is braked and sinks, at the speed of its load over kv.
    """

    lead = 0.0  # no position is remembered

    def _send(self, velocity: torch.Tensor) -> None:
        self.robot.command_velocity(velocity)


class JointTorque(JointTarget):
    """The action is a torque; ±1 is the joint's limit of effort. At 0 the arm falls.

    Each joint is driven as by a direct-current motor, whose torque falls linearly with its speed, to nothing at
    half of its speed limit: kv is the limit of effort over that speed, and a servo of velocity is always ahead of
    the joint by the torque over kv. Plain torques would let a wrist of 0.02 kg m² and 12 N·m pass its limit within
    one physics step.
    """

    def start(self) -> None:
        """Set the gains of the motors.

        Raises:
            ArgumentError: A joint has no finite limit of effort.
        """
        super().start()
        limits = self.robot.effort_limits
        if not bool((torch.isfinite(limits) & (limits > 0)).all()):
            joint = self.robot.joints[int((~(torch.isfinite(limits) & (limits > 0))).nonzero()[0])]
            raise ArgumentError(
                f"JointTorque needs a limit of effort above 0 for every joint; joint {safe_repr(joint)} of robot "
                f"{safe_repr(self.robot.spec.name)} has none: declare it by PD(…, effort=…)"
            )
        self._top_speed = TORQUE_SPEED_SHARE * self.robot.velocity_limits
        self.robot.set_gains(torch.zeros_like(self._top_speed), limits / self._top_speed)

    def _command(self) -> None:
        joints = self.robot.joint_position
        up, down = (
            torch.minimum(self._top_speed, torch.sqrt(2.0 * BRAKING * room.clamp(min=0.0)))
            for room in (self.goal_high - joints, joints - self.goal_low)
        )
        wanted = self.robot.joint_velocity + self.action * self._top_speed
        self.robot.command_velocity(wanted.clamp(-down, up))


class JointPosition(JointTarget):
    """The action is where to go; ±1 are the joint limits."""

    @property
    def neutral(self) -> torch.Tensor:
        """Where the joints are told to be already."""
        return ((self.target - self.goal_low) / (self.goal_high - self.goal_low) * 2.0 - 1.0).clamp(-1.0, 1.0)

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.goal_low + (action + 1.0) * 0.5 * (self.goal_high - self.goal_low), self.travel
