"""The live robot in a scene."""

from __future__ import annotations

import math
from typing import Any

import torch

from genesis_gym import rotations
from genesis_gym.robots.spec import DAMPING_RATIO, RobotSpec
from genesis_gym.runtime import Simulation, genesis_api

#: A joint that can turn without end is kept within one turn to either side, rad.
ONE_TURN = 2.0 * math.pi
#: Half of the box of a robot without one, told as what its joints move the tool by, rad, and its lowest place, m.
WORKSPACE_TURN = 0.3
WORKSPACE_FLOOR = 0.05


class Robot:
    """A robot in a built scene. Every tensor is batched: its first dimension is the row.

    The state is read once after each step and each reset, by `update`.

    Attributes:
        joint_position: Arm joints, rad `(rows, joints)`.
        joint_velocity: Arm joints, rad/s `(rows, joints)`.
        tool_quaternion: Orientation of the end-effector's link, w, x, y, z in the world frame `(rows, 4)`.
        tool_position: Tool centre (between the fingertips of a gripper), world frame, metres `(rows, 3)`.
        spec: Its declaration.
        entity: The Genesis entity.
        joint_low: Lower joint limits, rad `(joints,)`.
        joint_high: Upper joint limits, rad `(joints,)`.
        velocity_limits: Speed limits, rad/s `(joints,)`.
        home: Arm position at reset, rad `(joints,)`.
        workspace: Lower and upper corner of a box that the tool centre reaches, world frame, metres `(3,)` each.
        dofs: The arm joints among the entity's degrees of freedom.
    """

    def __init__(self, spec: RobotSpec, entity: Any, simulation: Simulation) -> None:
        self.spec = spec
        self.entity = entity
        self._simulation = simulation
        device = simulation.device
        self.dofs = self._dofs(spec.joints)
        self._gripper_dofs = self._dofs(spec.gripper_joints)
        low, high = genesis_api.joint_limits(entity, self.dofs)
        self.joint_low, self.joint_high = low.clamp(min=-ONE_TURN), high.clamp(max=ONE_TURN)
        self.velocity_limits = torch.tensor(spec.velocity_limits, device=device)
        self.home = torch.tensor(spec.home, device=device)
        self._tool_offset = torch.tensor(spec.tool_offset, device=device)
        self._end_effector = entity.get_link(spec.end_effector)
        self._finger_links = genesis_api.links_moved_by(entity, spec.gripper_joints)
        self._moving_links = genesis_api.moving_links(entity)
        self._home_dofs = torch.zeros(entity.n_dofs, device=device)
        self._home_dofs[self.dofs] = self.home
        self._home_dofs[self._gripper_dofs] = spec.gripper_open
        self._gripper_target = self._home_dofs[self._gripper_dofs]
        self.go_home()
        if spec.bandwidth is not None:
            self._tune_gains(spec.bandwidth)
        self.workspace = self._find_workspace()

    def go_home(self) -> None:
        """Place every row at home, at rest."""
        self.entity.set_dofs_position(self._home_dofs)
        self.update()

    def hold_gripper(self, opening: float) -> None:
        """Command the fingers of every row to an opening and to stay there.

        Args:
            opening: 0 for closed, 1 for open.
        """
        if self.spec.gripper_joints:
            self.entity.control_dofs_position(opening * self._gripper_target, self._gripper_dofs)

    @property
    def opening(self) -> torch.Tensor:
        """How far each finger is from closed, on average, metres `(rows, 1)`."""
        fingers: torch.Tensor = self.entity.get_dofs_position(self._gripper_dofs)
        return fingers.mean(-1, keepdim=True)

    @property
    def grip_force(self) -> torch.Tensor:
        """Force with which the two fingers press on what is between them, N `(rows,)`.

        It is the geometric mean of their contact forces, as far as these oppose each other: zero if a finger
        touches nothing, or if both are pushed the same way, as by the ground.
        """
        left, right = genesis_api.contact_forces(self.entity)[:, self._finger_links].unbind(1)
        return (-(left * right).sum(-1)).clamp(min=0.0).sqrt()

    def command_gripper(self, position: torch.Tensor) -> None:
        """Set the target of the fingers' PD controllers.

        Args:
            position: Of each finger, metres from closed, `(rows, 1)`.
        """
        self.entity.control_dofs_position(position.expand(-1, len(self._finger_links)), self._gripper_dofs)

    def set_friction(self, coefficient: float) -> None:
        """Set the friction coefficient of every link, in every row; two things in contact have the higher one.

        Args:
            coefficient: Coulomb's, 0.01 to 5. Genesis builds scenes with 1.
        """
        self.entity.set_friction(coefficient)

    def set_gripper_gains(self, stiffness: float, damping: float) -> None:
        """Set the gains of the fingers' PD controllers in every row.

        Args:
            stiffness: N/m.
            damping: N·s/m.
        """
        each = torch.ones(len(self.spec.gripper_joints))
        genesis_api.set_gains(self.entity, stiffness * each, damping * each, self._gripper_dofs)

    @property
    def force_limits(self) -> torch.Tensor:
        """The most that the arm joints' drives can do, N·m `(joints,)`."""
        return genesis_api.force_limits(self.entity, self.dofs)

    def set_gains(self, stiffness: torch.Tensor, damping: torch.Tensor) -> None:
        """Set the gains of the arm joints' PD controllers in every row.

        Args:
            stiffness: N·m/rad `(joints,)`.
            damping: N·m·s/rad `(joints,)`.
        """
        genesis_api.set_gains(self.entity, stiffness, damping, self.dofs)

    def command(self, position: torch.Tensor, velocity: torch.Tensor) -> None:
        """Set the targets of the joints' PD controllers.

        Args:
            position: Target position, rad `(rows, joints)`.
            velocity: Target velocity, rad/s `(rows, joints)`.
        """
        genesis_api.command_joints(self.entity, position, velocity, self.dofs)

    def command_velocity(self, velocity: torch.Tensor) -> None:
        """Set the targets of the joints' velocity servos, which hold no position.

        Args:
            velocity: Target velocity, rad/s `(rows, joints)`.
        """
        self.entity.control_dofs_velocity(velocity, self.dofs)

    def update(self) -> None:
        """Read the state of every row from the simulator."""
        self.joint_position: torch.Tensor = self.entity.get_dofs_position(self.dofs)
        self.joint_velocity: torch.Tensor = self.entity.get_dofs_velocity(self.dofs)
        self.tool_quaternion: torch.Tensor = self._end_effector.get_quat()
        self.tool_position = self._tool(self._end_effector.get_pos(), self.tool_quaternion)

    def joint_property(self, name: str) -> torch.Tensor:
        """A property of the arm joints, as the first row has it.

        Args:
            name: `"kp"` (N·m/rad), `"kv"` or `"damping"` (N·m·s/rad).

        Returns:
            `(joints,)`.
        """
        return genesis_api.joint_property(self.entity, name, self.dofs)

    def set_joint_property(self, name: str, values: torch.Tensor) -> None:
        """Set a property of the arm joints, in a scene made with `varied_physics`.

        Args:
            name: As `joint_property` knows it.
            values: `(rows, joints)`.
        """
        genesis_api.set_joint_property(self.entity, name, values, self.dofs)

    def link_inertia(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Masses and inertias of the moving links, as the first row has them.

        Returns:
            Masses, kg `(links,)`, and inertia tensors about the centres of mass, kg·m² `(links, 3, 3)`.
        """
        return genesis_api.link_inertia(self.entity, self._moving_links)

    def set_link_inertia(
        self,
        masses: torch.Tensor,
        inertias: torch.Tensor,
        rows: torch.Tensor,
        payload: torch.Tensor | None = None,
    ) -> None:
        """Set the moving links' masses and inertias in some rows, in a scene made with `varied_physics`.

        Args:
            masses: kg `(rows, links)`.
            inertias: kg·m² `(rows, links, 3, 3)`.
            rows: bool mask `(rows,)`: those that begin an episode, since it may change a row's last bits.
            payload: Point mass at the centre of mass of the end-effector's link, where it adds no inertia of
                rotation, kg `(rows,)`.
        """
        if payload is not None:
            masses = masses.expand(-1, len(self._moving_links)).clone()
            masses[:, self._moving_links.index(self._end_effector.idx_local)] += payload
        genesis_api.set_link_inertia(self.entity, masses, inertias, self._moving_links, rows)

    def push_end_effector(self, force: torch.Tensor) -> None:
        """Push the end-effector's link at its centre of mass during the next physics step.

        Args:
            force: World frame, N `(rows, 3)`.
        """
        genesis_api.push_link(self.entity, self._end_effector.idx_local, force)

    def jacobian(self) -> torch.Tensor:
        """How the arm's joints move the tool centre at present.

        Returns:
            m/rad and rad/rad, world frame, `(rows, 6, joints)`: three rows along, three about the axes.
        """
        return genesis_api.jacobian(self.entity, self._end_effector, self._tool_offset)[..., self.dofs]

    def forward_kinematics(self, joint_position: torch.Tensor) -> torch.Tensor:
        """Tool centre at given joint positions, by the simulator's own kinematics; no state changes.

        Args:
            joint_position: Arm joints, or all joints of the entity, rad `(rows, joints)`.

        Returns:
            World-frame position, metres `(rows, 3)`.
        """
        full = joint_position
        if joint_position.shape[-1] != self._home_dofs.numel():
            full = self._home_dofs.expand(joint_position.shape[0], -1).clone()
            full[:, self.dofs] = joint_position
        position, quaternion = self._simulation.link_poses(self.entity, full)
        index = self._end_effector.idx_local
        return self._tool(position[:, index], quaternion[:, index])

    def _tune_gains(self, bandwidth: float) -> None:
        """Set the gains that a natural frequency, rad/s, asks of every joint."""
        self._simulation.step()  # Genesis knows the inertia of the last step's posture
        inertia = genesis_api.joint_inertia(self.entity)[self.dofs]
        kp, kv = inertia * bandwidth**2, inertia * (2.0 * DAMPING_RATIO * bandwidth)
        self.set_joint_property("kp", kp)
        self.set_joint_property("kv", kv)
        self.go_home()

    def _find_workspace(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The declared box, or one as far around the tool as `WORKSPACE_TURN` takes it, at first order."""
        if self.spec.workspace is not None:
            low, high = (torch.tensor(corner, device=self.home.device) for corner in self.spec.workspace)
            return low, high
        half = WORKSPACE_TURN * torch.linalg.vector_norm(self.jacobian()[0, :3], dim=-1)
        low, high = self.tool_position[0] - half, self.tool_position[0] + half
        low[2] = low[2].clamp(min=WORKSPACE_FLOOR)
        return low, high

    def _tool(self, position: torch.Tensor, quaternion: torch.Tensor) -> torch.Tensor:
        """Move from the link's origin to the tool centre."""
        return position + rotations.rotate(quaternion, self._tool_offset)

    def _dofs(self, joints: tuple[str, ...]) -> slice | list[int]:
        """Indices of joints; Genesis reads a slice three times as fast as a list."""
        indices = genesis_api.dofs_of(self.entity, joints)
        first = indices[0] if indices else 0
        contiguous = indices == list(range(first, first + len(indices)))
        return slice(first, first + len(indices)) if contiguous else indices
