"""What a robot is, and the live robot in a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genesis_gym import rotations
from genesis_gym.errors import ArgumentError, is_number, shown
from genesis_gym.robots.files import DRIVEN, check_has, find_file, read_robot_file
from genesis_gym.runtime import Simulation, genesis_api

#: Speed limit of a joint whose file names none, as no MJCF file does, rad/s.
VELOCITY_LIMIT = 2.0
#: Natural frequency, rad/s, and damping ratio that the gains of a robot without its own are made of. The Franka's
#: own come to 32 to 130 rad/s and 2 to 6.5. Far less damped joints would overshoot their speed limits: with those
#: of the UR5e's file by 25 %, critically damped ones by 70 % (tests/test_controllers.py). Nothing lags for it,
#: since controllers feed the velocity forward.
BANDWIDTH = 50.0
DAMPING_RATIO = 5.0
#: A joint that can turn without end is kept within one turn to either side, rad.
ONE_TURN = 2.0 * math.pi
#: Half of the box of a robot without one, told as what its joints move the tool by, rad, and its lowest place, m.
WORKSPACE_TURN = 0.3
WORKSPACE_FLOOR = 0.05

Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class RobotSpec:
    """Declaration of a robot arm. Force limits and joint limits are those of the asset file.

    Attributes:
        name: What `robot_type` calls it.
        asset: MJCF or URDF file; a relative path is looked up in the working directory, then in Genesis's assets.
        joints: Actuated arm joints, in the order of the action.
        home: Position of `joints` at reset, in rad.
        poised: Position of `joints` with the tool low above the workspace, in rad; empty for home.
        velocity_limits: Greatest speed of `joints`, in rad/s.
        end_effector: Link that carries the tool.
        tool_offset: Tool centre in the end-effector's frame, in metres.
        gripper_joints: Finger joints; empty without a gripper.
        gripper_open: Position of the open fingers, in metres; closed is 0.
        gripper_speed: Speed of each finger, in m/s.
        gripper_force: Force with which each finger presses on what is held, in N.
        bandwidth: Natural frequency ω of the joints under control, in rad/s: their gains become kp = m ω² and
            kv = 2 ζ m ω, with m each joint's inertia at home and ζ = `DAMPING_RATIO`. None keeps the file's gains.
        workspace: Lower and upper corner of a box that the tool centre reaches everywhere, world frame, in metres;
            None for a box around its place at home.
    """

    name: str
    asset: str
    joints: tuple[str, ...]
    home: tuple[float, ...]
    velocity_limits: tuple[float, ...]
    end_effector: str
    tool_offset: Point = (0.0, 0.0, 0.0)
    poised: tuple[float, ...] = ()
    gripper_joints: tuple[str, ...] = ()
    gripper_open: float = 0.0
    gripper_speed: float = 0.05
    gripper_force: float = 20.0
    bandwidth: float | None = None
    workspace: tuple[Point, Point] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be, as `ArgumentError`."""
        if not self.joints:
            raise ArgumentError(f"robot {shown(self.name)} has no joints to drive")
        for name in ("home", "velocity_limits"):
            values = getattr(self, name)
            if len(values) != len(self.joints) or not all(map(is_number, values)):
                raise ArgumentError(
                    f"{name}={shown(values)} of robot {shown(self.name)} is not allowed; it must have "
                    f"{len(self.joints)} finite numbers, one for each of {', '.join(self.joints)}"
                )
        if not all(limit > 0 for limit in self.velocity_limits):
            raise ArgumentError(
                f"velocity_limits={shown(self.velocity_limits)} is not allowed; all must be above 0"
            )
        if self.bandwidth is not None and not (is_number(self.bandwidth) and self.bandwidth > 0):
            raise ArgumentError(f"bandwidth={shown(self.bandwidth)} is not allowed; it must be a number above 0")

    @classmethod
    def from_file(
        cls,
        file: str | Path,
        *,
        end_effector: str,
        home: Sequence[float] | None = None,
        joints: Sequence[str] | None = None,
        velocity_limits: Sequence[float] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> RobotSpec:
        """Declare the arm of a URDF or MJCF file, which stands with its base on the origin.

        The file is read now; its joint and force limits are taken over when a scene is made of it. Joints that are
        neither driven nor the gripper's stay limp.

        Args:
            file: Ends in `.urdf` or `.xml` (MJCF); a relative path is looked up as `asset` is.
            end_effector: Link that carries the tool.
            home: Position of `joints` at reset, rad; None for the keyframe `home` of an MJCF file.
            joints: Joints to drive; None for all that move the end-effector, from the base on.
            velocity_limits: Greatest speed of `joints`, rad/s; None for the file's, and `VELOCITY_LIMIT` where it
                names none, as no MJCF file does.
            name: What the robot is called; None for the file's name.
            **kwargs: Further fields of `RobotSpec`. Unless given, `bandwidth` is `BANDWIDTH` for a file without
                position servos, as every URDF file is.

        Returns:
            The declaration, for `robot_type`.

        Raises:
            ArgumentError: The file does not exist, cannot be read or lacks what is named, or a value is wrong.
        """
        path = find_file(file)
        told = read_robot_file(path)
        chain = told.joints_to(end_effector)
        driven = chain if joints is None else told.joints_named(joints)
        for joint in [*chain, *driven]:
            if joint.kind not in DRIVEN:
                raise ArgumentError(
                    f"joint {shown(joint.name)} of {path.name} is {joint.kind}; an arm stands on a fixed base and "
                    f"its joints are {', '.join(DRIVEN)}"
                )
        names = tuple(joint.name for joint in driven)
        told.joints_named(kwargs.get("gripper_joints", ()))
        for joint in driven:
            if joint.force == 0.0:
                raise ArgumentError(f"joint {shown(joint.name)} of {path.name} has effort 0 and could not move")
        if home is None:
            if not told.home:
                raise ArgumentError(
                    f"{path.name} names no home; pass home, one number for each of {', '.join(names)}"
                )
            home = [told.home[joint] for joint in names]
        if velocity_limits is None:
            velocity_limits = [joint.velocity or VELOCITY_LIMIT for joint in driven]
        if not told.servos.issuperset(names):
            kwargs = {"bandwidth": BANDWIDTH, **kwargs}
        spec = cls(
            name=path.stem if name is None else name,
            asset=str(path),
            joints=names,
            home=tuple(home),
            velocity_limits=tuple(velocity_limits),
            end_effector=end_effector,
            **kwargs,
        )
        for joint, position in zip(driven, spec.home, strict=True):
            if not joint.low - 1e-3 <= position <= joint.high + 1e-3:
                raise ArgumentError(
                    f"home={position:g} of joint {shown(joint.name)} is outside its limits in {path.name}, "
                    f"{joint.low:g} to {joint.high:g}"
                )
        return spec

    def add_to(self, simulation: Simulation) -> Any:
        """Add this robot to a scene that is not built yet.

        Args:
            simulation: The scene's owner.

        Returns:
            The Genesis entity.

        Raises:
            ArgumentError: The file lacks a joint or a link that is declared.
        """
        import genesis as gs

        file = str(find_file(self.asset))
        if file.endswith(".urdf"):
            # Links that are fixed to another are merged with it, which would lose the tool's.
            morph = gs.morphs.URDF(file=file, fixed=True, links_to_keep=(self.end_effector,))
        else:
            morph = gs.morphs.MJCF(file=file)
        entity = simulation.scene.add_entity(morph)
        where = f"{self.asset} of robot {shown(self.name)}"
        check_has(where, "joint", (*self.joints, *self.gripper_joints), [joint.name for joint in entity.joints])
        check_has(where, "link", [self.end_effector], [link.name for link in entity.links])
        return entity


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

    def set_gripper_gains(self, stiffness: float, damping: float) -> None:
        """Set the gains of the fingers' PD controllers in every row.

        Args:
            stiffness: N/m.
            damping: N·s/m.
        """
        genesis_api.set_gains(self.entity, stiffness, damping, self._gripper_dofs)

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
        self, masses: torch.Tensor, inertias: torch.Tensor, payload: torch.Tensor | None = None
    ) -> None:
        """Set the moving links' masses and inertias, in a scene made with `varied_physics`.

        Args:
            masses: kg `(rows, links)`.
            inertias: kg·m² `(rows, links, 3, 3)`.
            payload: Point mass at the centre of mass of the end-effector's link, where it adds no inertia of
                rotation, kg `(rows,)`.
        """
        if payload is not None:
            masses = masses.expand(-1, len(self._moving_links)).clone()
            masses[:, self._moving_links.index(self._end_effector.idx_local)] += payload
        genesis_api.set_link_inertia(self.entity, masses, inertias, self._moving_links)

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
