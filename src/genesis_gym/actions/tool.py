"""Action terms in the space of an arm's tool."""

from __future__ import annotations

import torch

from genesis_gym import rotations
from genesis_gym.actions.joints import JointTarget
from genesis_gym.robots import Robot
from genesis_gym.runtime.random import EnvRandom

#: Speeds of the tool at ±1: metres per second, and rad per second.
TOOL_SPEED = 0.6
TURN_SPEED = 1.2
#: Damping of the least-squares solution, which keeps joint speeds finite near singular postures: Nakamura &
#: Hanafusa, "Inverse kinematic solutions with singularity robustness for robot manipulator control", 1986.
DAMPING = 0.05
#: How far the commanded pose may be ahead of the tool, metres and rad, and which share of that a step makes good.
LEAD = 0.03
TURN_LEAD = 0.2
GAIN = 0.3


class ToolPose(JointTarget):
    """The action is the tool's velocity: three numbers along, three about the world's axes.

    ±1 is `TOOL_SPEED` and `TURN_SPEED`. Damped-least-squares IK; joint speeds are scaled together, so that the
    tool stays on its path.
    """

    size_of_action = 6

    def __init__(self, robot: Robot) -> None:
        """Drive a robot.

        Args:
            robot: The robot.

        Raises:
            ArgumentError: The robot has no tool.
        """
        super().__init__(robot, self.size_of_action)
        self._tool = robot.tool

    def start(self) -> None:
        """Take over the robot's limits, and where its tool is."""
        super().start()
        world = self.robot.world
        self._step = world.tensor([TOOL_SPEED] * 3 + [TURN_SPEED] * 3) * self._command_dt
        self._damping = DAMPING**2 * torch.eye(6, device=world.device, dtype=torch.float32)
        self._position, self._rotation = self._tool.position, self._tool.orientation

    def reset(self, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Forget the past of some environments: their targets become where they are."""
        super().reset(envs, rng)
        self._position = torch.where(envs[:, None], self._tool.position, self._position)
        self._rotation = torch.where(envs[:, None], self._tool.orientation, self._rotation)

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        twist = action * self._step
        twist = twist + GAIN * (self._advance(twist) - twist)
        jacobian = self._tool.jacobian
        normal = jacobian @ jacobian.mT + self._damping
        move = (jacobian.mT @ torch.linalg.solve(normal, twist[..., None]))[..., 0]
        slowed = (self.travel / move.abs().clamp(min=1e-9)).amin(-1, keepdim=True).clamp(max=1.0)
        move = slowed * move
        return torch.where(move > 0, self.goal_high, self.goal_low), move.abs()

    def _advance(self, twist: torch.Tensor) -> torch.Tensor:
        """Move the commanded pose, and give how far it is ahead of the tool, `(num_envs, 6)`."""
        position, rotation = self._tool.position, self._tool.orientation
        displacement = _shorten(self._position + twist[:, :3] - position, LEAD)
        turned = rotations.multiply(rotations.from_vector(twist[:, 3:]), self._rotation)
        rotvec = rotations.to_vector(rotations.multiply(turned, rotations.inverse(rotation)))
        rotvec = _shorten(rotvec, TURN_LEAD)
        self._position = position + displacement
        self._rotation = rotations.multiply(rotations.from_vector(rotvec), rotation)
        return torch.cat([displacement, rotvec], dim=-1)


class ToolPosition(ToolPose):
    """The action is the tool's velocity along the world's axes; its orientation is held."""

    size_of_action = 3

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super()._plan(torch.nn.functional.pad(action, (0, 3)))


def _shorten(vector: torch.Tensor, length: float) -> torch.Tensor:
    shortened: torch.Tensor = vector * (
        length / torch.linalg.vector_norm(vector, dim=-1, keepdim=True).clamp(min=length)
    )
    return shortened
