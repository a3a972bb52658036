"""What a robot carries and consists of: its base, tool, gripper and groups of links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from genesis_gym import rotations
from genesis_gym.robots.description import JointEntry
from genesis_gym.robots.spec import GripperSpec, ToolSpec
from genesis_gym.runtime import genesis_api
from genesis_gym.world.component import Component

if TYPE_CHECKING:
    from genesis_gym.robots.robot import Robot

#: Half of the box of a tool without a declared workspace: how far this turn of each joint moves it, rad.
WORKSPACE_TURN = 0.3
#: Lowest place in such a box, above the base, metres.
WORKSPACE_FLOOR = 0.05


class Base(Component):
    """Pose and velocity of a robot's base.

    Attributes:
        link: Genesis's link of a floating base; None for a fixed one.
        first_dof: First of the six degrees of freedom of a floating base within the entity.
    """

    def __init__(self, robot: Robot, joint: Any) -> None:
        self._robot = robot
        self.link: Any = None if joint is None else joint.link
        self._body = robot.entity if joint is None else joint.link
        self.first_dof = 0 if joint is None else genesis_api.joint_places(joint)[1][0]

    @property
    def position(self) -> torch.Tensor:
        """Origin of the base, world frame, metres `(num_envs, 3)`."""
        return self._robot._read("base position", self._body.get_pos)

    @property
    def orientation(self) -> torch.Tensor:
        """Orientation, w, x, y, z in the world frame `(num_envs, 4)`."""
        return self._robot._read("base orientation", self._body.get_quat)

    @property
    def world_velocity(self) -> torch.Tensor:
        """Linear velocity of a floating base's origin, world frame, m/s `(num_envs, 3)`."""
        return self._velocities(0)

    @property
    def linear_velocity(self) -> torch.Tensor:
        """Linear velocity of a floating base's origin, base frame, m/s `(num_envs, 3)`."""
        return self.to_frame(self.world_velocity)

    @property
    def angular_velocity(self) -> torch.Tensor:
        """Angular velocity of a floating base, base frame, rad/s `(num_envs, 3)`."""
        return self._velocities(3)

    @property
    def gravity(self) -> torch.Tensor:
        """Direction of gravity, base frame, a unit vector `(num_envs, 3)`; (0, 0, -1) for an upright base."""
        w, x, y, z = self.orientation.unbind(-1)
        return -torch.stack([2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)], dim=-1)

    def to_frame(self, vector: torch.Tensor) -> torch.Tensor:
        """A vector of the world frame, `(num_envs, 3)`, in the base frame."""
        return rotations.rotate(rotations.inverse(self.orientation), vector)

    def _velocities(self, first: int) -> torch.Tensor:
        """Three of six: linear ones in the world frame, then angular ones in the base's own."""
        velocities = self._robot._read("velocities", self._robot.entity.get_dofs_velocity)
        return velocities[:, self.first_dof + first : self.first_dof + first + 3]


class LinkGroup(Component):
    """Some links of a robot.

    Attributes:
        name: What the group is called.
        links: Names of the links.
        count: How many.
    """

    def __init__(self, robot: Robot, name: str, links: list[str]) -> None:
        self._robot = robot
        self._indices = [robot.entity.get_link(link).idx_local for link in links]
        self.name = name
        self.links = tuple(links)
        self.count = len(links)

    @property
    def position(self) -> torch.Tensor:
        """Origins of the links, world frame, metres `(num_envs, links, 3)`."""
        return self._robot._read(f"{self.name} position", lambda: self._robot.entity.get_links_pos(self._indices))

    @property
    def velocity(self) -> torch.Tensor:
        """Velocities of the links' origins, world frame, m/s `(num_envs, links, 3)`."""
        return self._robot._read(f"{self.name} velocity", lambda: self._robot.entity.get_links_vel(self._indices))

    def contact_force(self) -> torch.Tensor:
        """Sum of the contact forces on each link, world frame, N `(num_envs, links, 3)`; zero after a reset."""
        robot = self._robot
        return robot._read("contact force", lambda: genesis_api.contact_forces(robot.entity))[:, self._indices]


class Tool(Component):
    """Pose of an arm's tool centre, such as the middle between the fingertips.

    Attributes:
        link: Genesis's link that carries it.
        workspace: Lower and upper corner of a box that it reaches, world frame, metres `(3,)` each.
    """

    def __init__(self, robot: Robot, spec: ToolSpec) -> None:
        self._robot = robot
        self._spec = spec
        self.link: Any = robot.entity.get_link(spec.link)
        self._offset = robot.world.tensor(spec.offset)

    def start(self) -> None:
        """Find where the simulator keeps the link's pose."""
        self._link_position, self._link_orientation = genesis_api.pose_readers(self.link)

    @property
    def position(self) -> torch.Tensor:
        """Tool centre, world frame, metres `(num_envs, 3)`."""
        return self._robot._read("tool position", self._position)

    @property
    def orientation(self) -> torch.Tensor:
        """Orientation of its link, w, x, y, z in the world frame `(num_envs, 4)`."""
        return self._robot._read("tool orientation", self._link_orientation)

    @property
    def jacobian(self) -> torch.Tensor:
        """How the joints move it at present, world frame, `(num_envs, 6, joints)`: m/rad, then rad/rad."""
        robot = self._robot
        matrix = robot._read("tool jacobian", lambda: genesis_api.jacobian(robot.entity, self.link, self._offset))
        return matrix[..., robot.dofs]

    def find_workspace(self) -> None:
        """Find the workspace; the robot is in its default pose."""
        world, base = self._robot.world, self._robot.base.position[0]
        if self._spec.workspace is not None:
            low, high = (base + world.tensor(corner) for corner in self._spec.workspace)
        else:
            half = WORKSPACE_TURN * torch.linalg.vector_norm(self.jacobian[0, :3], dim=-1)
            low, high = self.position[0] - half, self.position[0] + half
            low[2] = low[2].clamp(min=float(base[2]) + WORKSPACE_FLOOR)
            high[2] = torch.maximum(high[2], low[2])
        self.workspace = (low, high)

    def centre(self, positions: torch.Tensor, quaternions: torch.Tensor) -> torch.Tensor:
        """Tool centre for given poses of all links.

        Args:
            positions: World frame, metres `(n, links, 3)`.
            quaternions: w, x, y, z in the world frame `(n, links, 4)`.

        Returns:
            World frame, metres `(n, 3)`.
        """
        index = self.link.idx_local
        return positions[:, index] + rotations.rotate(quaternions[:, index], self._offset)

    def _position(self) -> torch.Tensor:
        return self._robot.world.visible(self._link_position()) + rotations.rotate(self.orientation, self._offset)


class Gripper(Component):
    """Two fingers."""

    def __init__(self, robot: Robot, spec: GripperSpec, joints: Sequence[JointEntry]) -> None:
        """Find the fingers.

        Args:
            robot: The robot.
            spec: Their declaration.
            joints: The joints that it names; one that follows another is never commanded.
        """
        self._robot = robot
        self.spec = spec
        self._dofs = robot._dofs(tuple(joint.name for joint in joints if joint.mimic is None))
        self._fingers = (
            [robot.entity.get_link(finger).idx_local for finger in spec.fingers]
            if spec.fingers
            else genesis_api.links_moved_by(robot.entity, [joint.name for joint in joints])
        )
        self._drives = sum(joint.mimic is None for joint in joints)

    @property
    def opening(self) -> torch.Tensor:
        """How far each finger is from closed, on average, metres `(num_envs, 1)`."""
        robot = self._robot
        fingers = robot._read("fingers", lambda: robot.entity.get_dofs_position(self._dofs))
        return fingers.mean(-1, keepdim=True)

    @property
    def force(self) -> torch.Tensor:
        """Force with which the two fingers press on what is between them, N `(num_envs,)`.

        It is the geometric mean of their contact forces, as far as these oppose each other: zero if a finger
        touches nothing, or if both are pushed the same way, as by the ground.
        """
        robot = self._robot
        forces = robot._read("contact force", lambda: genesis_api.contact_forces(robot.entity))
        left, right = forces[:, self._fingers].unbind(1)
        return (-(left * right).sum(-1)).clamp(min=0.0).sqrt()

    def command(self, position: torch.Tensor) -> None:
        """Set the target of the fingers' PD controllers.

        Args:
            position: Of each finger, metres from closed, `(num_envs, 1)`.
        """
        targets = self._robot.world.padded(position).expand(-1, self._drives)
        self._robot.entity.control_dofs_position(targets, self._dofs)

    def stiffen(self) -> None:
        """Give the fingers the declared gains, with which they press firmly."""
        world, entity = self._robot.world, self._robot.entity
        genesis_api.set_dofs(entity, "kp", world.tensor(self.spec.kp), self._dofs)
        genesis_api.set_dofs(entity, "kv", world.tensor(self.spec.kd), self._dofs)
