"""Controllers in joint space."""

from __future__ import annotations

from typing import ClassVar

import torch

from genesis_gym.robots import Robot

# The margins below keep joints within the robot's limits under any action; without them a joint exceeds its
# speed limit by up to 2 rad/s (tests/test_controllers.py).

#: Share of the speed limits that targets move at: the rest lets the PD controller catch up.
SPEED_SHARE = 0.8
#: Share of the speed limits at which `joint_torque` has no torque left: loads and strong neighbours drive a joint
#: beyond that, the Franka's to 87 % of its limit, and with a share of 0.65 to 120 %.
TORQUE_SPEED_SHARE = 0.5
#: How far targets keep from the joint limits, rad.
LIMIT_MARGIN = 0.03
#: How far a target may be from its joint before the next step is added, unless a controller says otherwise, rad.
LEAD = 0.02
#: Deceleration with which a target arrives, rad/s²; the arm's weakest joints can brake at this rate.
BRAKING = 10.0


class Controller:
    """Moves a joint target within the robot's limits.

    A subclass reads an action as a goal and a speed. This class moves the target there no faster, braking in
    time to stop at the goal, and feeds its velocity forward so that the PD controller follows without lag.

    Attributes:
        action_dim: Numbers in one row's action.
        target: Joint target, rad `(rows, joints)`.
        low: Lower bounds of the target, rad `(joints,)`.
        high: Upper bounds, rad `(joints,)`.
        travel: The farthest that a target moves in one control step, rad `(joints,)`.
        lead: How far a target may be from its joint before the next step is added, rad.
    """

    lead: ClassVar[float] = LEAD

    def __init__(self, robot: Robot, control_dt: float) -> None:
        self.action_dim = len(robot.spec.joints)
        self.target = robot.joint_position
        self.low = robot.joint_low + LIMIT_MARGIN
        self.high = robot.joint_high - LIMIT_MARGIN
        self.travel = SPEED_SHARE * robot.velocity_limits * control_dt
        self._robot = robot
        self._control_dt = control_dt

    def reset(self, rows: torch.Tensor) -> None:
        """Forget the past of some rows: their target becomes where their joints are.

        Args:
            rows: bool mask `(rows,)`.
        """
        self.target = torch.where(rows[:, None], self._robot.joint_position, self.target)

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        return {"target": self.target}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave.

        Args:
            state: The tensors, of as many rows as this.
        """
        self.target = state["target"]

    def apply(self, action: torch.Tensor) -> None:
        """Command the robot for one control step.

        Args:
            action: `(rows, action_dim)` in [-1, 1], finite.
        """
        joints = self._robot.joint_position
        goal, travel = self._plan(action)
        braking = torch.sqrt(2.0 * BRAKING * (goal - joints).abs()) * self._control_dt  # from v² = 2 a d
        travel = torch.minimum(travel, braking)
        target = self.target.clamp(joints - self.lead, joints + self.lead)
        step = (goal - target).clamp(-travel, travel)
        self.target = target + step
        self._command(step / self._control_dt)

    def _command(self, velocity: torch.Tensor) -> None:
        """Hand the target to the robot.

        Args:
            velocity: Speed of the target, rad/s `(rows, joints)`.
        """
        self._robot.command(self.target, velocity)

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read an action.

        Args:
            action: `(rows, action_dim)` in [-1, 1].

        Returns:
            Where the target goes, rad `(rows, joints)`, within `low` and `high`, and how far at most in this
            control step, rad.
        """
        raise NotImplementedError


class JointDelta(Controller):
    """`joint_delta`: the action is a speed; ±1 is 80 % of the joint's speed limit, 0 holds still."""

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.where(action > 0, self.high, self.low), action.abs() * self.travel


class JointVelocity(JointDelta):
    """`joint_velocity`: the action is a speed, as in `joint_delta`, held by a servo of velocity alone.

    The torque is kv (v* − v). `joint_delta` also pulls each joint to where its speeds have added up to, so that at
    0 it stands against gravity; here at 0 a joint is braked and sinks, at the speed of its load over kv.
    """

    lead = 0.0  # no position is remembered

    def _command(self, velocity: torch.Tensor) -> None:
        self._robot.command_velocity(velocity)


class JointTorque(Controller):
    """`joint_torque`: the action is a torque; ±1 is the joint's force limit. At 0 the arm falls.

    Each joint is driven as by a direct-current motor: what is asked for at rest, and less the faster it turns, to
    nothing at half of its speed limit. So it is built: kv is the force limit over that speed, and a servo of
    velocity is always ahead of the joint by the torque over kv. Plain torques would let a wrist of 0.02 kg m²
    and 12 N·m pass its limit within one physics step.
    """

    def __init__(self, robot: Robot, control_dt: float) -> None:
        super().__init__(robot, control_dt)
        self._top_speed = TORQUE_SPEED_SHARE * robot.velocity_limits
        robot.set_gains(torch.zeros_like(self._top_speed), robot.force_limits / self._top_speed)

    def apply(self, action: torch.Tensor) -> None:
        """Command the robot for one control step.

        Args:
            action: `(rows, action_dim)` in [-1, 1], finite.
        """
        joints = self._robot.joint_position
        up, down = (
            torch.minimum(self._top_speed, torch.sqrt(2.0 * BRAKING * way.clamp(min=0.0)))
            for way in (self.high - joints, joints - self.low)
        )
        wanted = self._robot.joint_velocity + action * self._top_speed
        self._robot.command_velocity(wanted.clamp(-down, up))


class JointPosition(Controller):
    """`joint_position`: the action is where to go; ±1 are the joint limits."""

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.low + (action + 1.0) * 0.5 * (self.high - self.low), self.travel
