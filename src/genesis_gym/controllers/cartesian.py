"""Controllers in the space of the tool."""

from __future__ import annotations

import torch

from genesis_gym import rotations
from genesis_gym.controllers.joint import Controller
from genesis_gym.robots import Robot

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


class EndEffectorDeltaPose(Controller):
    """`ee_delta_pose`: the action is the tool's velocity: three numbers along, three about the world's axes.

    ±1 is `TOOL_SPEED` and `TURN_SPEED`. The pose is held where it was brought to. Joints move as damped least
    squares ask, all of them more slowly where one would be too fast, so that the tool keeps its way.
    """

    def __init__(self, robot: Robot, control_dt: float) -> None:
        super().__init__(robot, control_dt)
        self.action_dim = 6
        self._step = torch.tensor([TOOL_SPEED] * 3 + [TURN_SPEED] * 3, device=self.target.device) * control_dt
        self._damping = DAMPING**2 * torch.eye(6, device=self.target.device)
        self._position, self._rotation = robot.tool_position, robot.tool_quaternion

    def reset(self, rows: torch.Tensor) -> None:
        """Forget the past of some rows: their target becomes where they are."""
        super().reset(rows)
        self._position = torch.where(rows[:, None], self._robot.tool_position, self._position)
        self._rotation = torch.where(rows[:, None], self._robot.tool_quaternion, self._rotation)

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        return {**super().state(), "position": self._position, "rotation": self._rotation}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        super().restore(state)
        self._position, self._rotation = state["position"], state["rotation"]

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        twist = action * self._step
        twist = twist + GAIN * (self._advance(twist) - twist)
        jacobian = self._robot.jacobian()
        normal = jacobian @ jacobian.mT + self._damping
        move = (jacobian.mT @ torch.linalg.solve(normal, twist[..., None]))[..., 0]
        slowed = (self.travel / move.abs().clamp(min=1e-9)).amin(-1, keepdim=True).clamp(max=1.0)
        move = slowed * move
        return torch.where(move > 0, self.high, self.low), move.abs()

    def _advance(self, twist: torch.Tensor) -> torch.Tensor:
        """Move the commanded pose, and give how far it is ahead of the tool, `(rows, 6)`."""
        position, rotation = self._robot.tool_position, self._robot.tool_quaternion
        way = _shorten(self._position + twist[:, :3] - position, LEAD)
        turned = rotations.multiply(rotations.from_vector(twist[:, 3:]), self._rotation)
        turn = _shorten(rotations.to_vector(rotations.multiply(turned, rotations.inverse(rotation))), TURN_LEAD)
        self._position = position + way
        self._rotation = rotations.multiply(rotations.from_vector(turn), rotation)
        return torch.cat([way, turn], dim=-1)


def _shorten(vector: torch.Tensor, length: float) -> torch.Tensor:
    shortened: torch.Tensor = vector * (
        length / torch.linalg.vector_norm(vector, dim=-1, keepdim=True).clamp(min=length)
    )
    return shortened


class EndEffectorDeltaPosition(EndEffectorDeltaPose):
    """`ee_delta_position`: the action is the tool's velocity along the world's axes; its orientation is held."""

    def __init__(self, robot: Robot, control_dt: float) -> None:
        super().__init__(robot, control_dt)
        self.action_dim = 3

    def _plan(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super()._plan(torch.nn.functional.pad(action, (0, 3)))
