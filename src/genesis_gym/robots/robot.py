"""The live robot in a world."""

from __future__ import annotations

import math
from typing import Any

import torch

from genesis_gym import rotations
from genesis_gym.errors import ArgumentError, safe_repr
from genesis_gym.robots.attachments import Base, Gripper, LinkGroup, Tool
from genesis_gym.robots.configuration import Configuration
from genesis_gym.robots.description import JointEntry
from genesis_gym.robots.files import genesis_reads
from genesis_gym.robots.resolve import ResolvedRobot, resolve
from genesis_gym.robots.spec import BANDWIDTH, DAMPING_RATIO, PD, Fixed, Floating, Propellers, RobotSpec
from genesis_gym.runtime import genesis_api
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.world.component import Property
from genesis_gym.world.part import Part
from genesis_gym.world.world import World

#: A joint that can turn without end is kept within one turn to either side, rad.
ONE_TURN = 2.0 * math.pi

Point = tuple[float, float, float]


class Robot(Part):
    """A robot in a world. Every tensor is batched: its first dimension is the environment.

    Joints are those of the actuators, in their order; fingers belong to the gripper. Poses are there from
    the start, what is read of the simulator once the world is built, at most once while nothing moves.

    Attributes:
        spec: Its declaration.
        entity: The Genesis entity.
        joints: Names of the driven joints.
        dofs: These joints among the entity's degrees of freedom.
        joint_low: Lower joint limits, rad `(joints,)`.
        joint_high: Upper joint limits, rad `(joints,)`.
        velocity_limits: Speed limits, rad/s `(joints,)`.
        default: Joint positions in the pose that it was added in, rad `(joints,)`.
        base: Pose and velocity of the base.
        links: Name of a group of links → the group, as the declaration names them.
    """

    def __init__(
        self,
        spec: RobotSpec,
        world: World,
        name: str,
        *,
        position: Point | None = None,
        pose: str | None = None,
    ) -> None:
        """Add a robot to a scene that is not built yet.

        Args:
            spec: Its declaration.
            world: The world.
            name: What it is called.
            position: Of a fixed base, or of the ground below a floating one, world frame, metres; None for what
                the declaration says.
            pose: One of the declaration's poses; None for the default one.

        Raises:
            ArgumentError: The file lacks what is declared, or there is no such pose.
        """
        self.attach(world, name)
        self.spec = spec
        declared = spec.base.position if isinstance(spec.base, Fixed) else (0.0, 0.0, 0.0)
        self._origin: Point = declared if position is None else position
        resolved = resolve(spec)
        self.entity: Any = _add_entity(resolved, world, self._origin)
        self.joints = tuple(joint.name for joint in resolved.joints)
        self._drives = resolved.drives
        self.dofs = self._dofs(self.joints)
        self._configuration = Configuration(self, resolved, resolved.positions(pose), self._origin)
        self.default = self._configuration.default[self._configuration.joint_indices]
        self.velocity_limits = world.tensor(resolved.velocity_limits)
        self.base = Base(self, self._configuration.base)
        self.links = {group: LinkGroup(self, group, links) for group, links in resolved.groups.items()}
        self._tool = None if spec.tool is None else Tool(self, spec.tool)
        self._carrier: Any = self.base.link if self._tool is None else self._tool.link
        self._gripper = None if spec.gripper is None else Gripper(self, spec.gripper, resolved.fingers)

    @property
    def tool(self) -> Tool:
        """The tool.

        Raises:
            ArgumentError: It has none.
        """
        if self._tool is None:
            raise ArgumentError(f"robot {safe_repr(self.spec.name)} has no tool; declare one by tool=ToolSpec(…)")
        return self._tool

    @property
    def gripper(self) -> Gripper:
        """The gripper.

        Raises:
            ArgumentError: It has none.
        """
        if self._gripper is None:
            raise ArgumentError(
                f"robot {safe_repr(self.spec.name)} has no gripper; declare one by gripper=GripperSpec(…)"
            )
        return self._gripper

    @property
    def propellers(self) -> Propellers:
        """The declaration of its propellers.

        Raises:
            ArgumentError: It has none.
        """
        for actuator in self.spec.actuators:
            if isinstance(actuator, Propellers):
                return actuator
        raise ArgumentError(f"robot {safe_repr(self.spec.name)} has no propellers among its actuators")

    @property
    def joint_position(self) -> torch.Tensor:
        """Positions of the joints, rad `(num_envs, joints)`."""
        return self._read("joint_position", self._get_position)

    @property
    def joint_velocity(self) -> torch.Tensor:
        """Velocities of the joints, rad/s `(num_envs, joints)`."""
        return self._read("joint_velocity", self._get_velocity)

    @property
    def joint_effort(self) -> torch.Tensor:
        """What the joints' drives exert, N·m `(num_envs, joints)`."""
        return self._read("joint_effort", lambda: self.entity.get_dofs_control_force(self.dofs))

    @property
    def effort_limits(self) -> torch.Tensor:
        """The most that the joints' drives can exert, N·m `(joints,)`."""
        return genesis_api.force_limits(self.entity, self.dofs)

    def start(self) -> None:
        """Set limits and gains, and go to the default pose."""
        self._get_position, self._get_velocity = genesis_api.joint_readers(self.entity, self.dofs)
        low, high = genesis_api.joint_limits(self.entity, self.dofs)
        self.joint_low, self.joint_high = low.clamp(min=-ONE_TURN), high.clamp(max=ONE_TURN)
        self._moving_links = genesis_api.moving_links(self.entity)
        self._configuration.go_to_default()
        for drive, joints in self._drives:
            self._tune(drive, joints)
        if self._tool is not None:
            self._tool.find_workspace()
        self._masses, self._inertias = genesis_api.link_inertia(self.entity, self._moving_links)
        self._mass_scale, self._payload = self._world.ones(1), self._world.zeros()
        self._wind: torch.Tensor | None = None
        self._joint_offset: torch.Tensor | None = None

    def place(
        self,
        envs: torch.Tensor,
        position: torch.Tensor,
        *,
        yaw: torch.Tensor | None = None,
        orientation: torch.Tensor | None = None,
    ) -> None:
        """Put a floating base somewhere, at rest, in some environments.

        Args:
            envs: bool mask `(num_envs,)`.
            position: Of the ground below it, world frame, metres `(num_envs, 3)`.
            yaw: Heading, rad `(num_envs,)`.
            orientation: w, x, y, z in the world frame `(num_envs, 4)`, instead of `yaw`; None for upright.
        """
        if not isinstance(self.spec.base, Floating):
            raise ArgumentError(f"robot {safe_repr(self.spec.name)} has a fixed base, which cannot be placed")
        height = self._world.tensor([0.0, 0.0, self.spec.base.height])
        if orientation is None:
            heading = self._world.zeros() if yaw is None else yaw
            orientation = rotations.from_vector(torch.nn.functional.pad(heading[:, None], (2, 0)))
        self._configuration.place_base(envs, position + height, orientation)

    def set_joints(self, envs: torch.Tensor, position: torch.Tensor) -> None:
        """Put the joints somewhere, at rest, in some environments; a randomised `joint_offset` is added.

        Joints that follow one of them are placed with it.

        Args:
            envs: bool mask `(num_envs,)`.
            position: rad `(num_envs, joints)` or `(joints,)`.
        """
        if self._joint_offset is not None:
            position = torch.minimum(torch.maximum(position + self._joint_offset, self.joint_low), self.joint_high)
        self._configuration.set_joints(envs, position.expand(self._world.num_envs, -1))

    def command(self, position: torch.Tensor, velocity: torch.Tensor | None = None) -> None:
        """Set the targets of the joints' PD controllers.

        Args:
            position: Target position, rad `(num_envs, joints)`.
            velocity: Target velocity, rad/s `(num_envs, joints)`; None for rest.
        """
        if velocity is None:
            self.entity.control_dofs_position(self._world.padded(position), self.dofs)
            return
        padded = self._world.padded
        genesis_api.command_joints(self.entity, padded(position), padded(velocity), self.dofs)

    def command_velocity(self, velocity: torch.Tensor) -> None:
        """Set the targets of the joints' velocity servos, which hold no position.

        Args:
            velocity: Target velocity, rad/s `(num_envs, joints)`.
        """
        self.entity.control_dofs_velocity(self._world.padded(velocity), self.dofs)

    def command_effort(self, effort: torch.Tensor) -> None:
        """Set the torques of the joints' drives until the next command.

        Args:
            effort: N·m `(num_envs, joints)`.
        """
        self.entity.control_dofs_force(self._world.padded(effort), self.dofs)

    def command_propellers(self, rpm: torch.Tensor) -> None:
        """Set the speeds of a drone's propellers for the next physics step.

        Args:
            rpm: `(num_envs, propellers)`.
        """
        self.entity.set_propellers_rpm(self._world.padded(rpm))

    def set_gains(self, kp: torch.Tensor, kd: torch.Tensor) -> None:
        """Set the gains of the joints' PD controllers.

        Args:
            kp: N·m/rad `(joints,)`.
            kd: N·m·s/rad `(joints,)`.
        """
        genesis_api.set_dofs(self.entity, "kp", kp, self.dofs)
        genesis_api.set_dofs(self.entity, "kv", kd, self.dofs)

    def set_friction(self, coefficient: float) -> None:
        """Set the friction coefficient of every link; two things in contact have the higher one.

        Args:
            coefficient: Coulomb's, 0.01 to 5. Genesis builds scenes with 1.
        """
        self.entity.set_friction(coefficient)

    def add_velocity(self, envs: torch.Tensor, velocity: torch.Tensor) -> None:
        """Kick a floating base in some environments.

        Args:
            envs: bool mask `(num_envs,)`.
            velocity: What is added to its linear velocity, world frame, m/s `(num_envs, 3)`.
        """
        velocities = self.entity.get_dofs_velocity()
        first = self.base.first_dof
        velocities[:, first : first + 3] += self._world.padded(torch.where(envs[:, None], velocity, 0.0))
        self.entity.set_dofs_velocity(velocities)
        self._world.version += 1

    def forward_kinematics(self, joint_position: torch.Tensor) -> torch.Tensor:
        """Tool centre at given joint positions, by the simulator's own kinematics; no state changes.

        Args:
            joint_position: The driven joints, or all degrees of freedom of the entity in Genesis's order, rad or
                metres `(n, joints)`. Free bodies and a floating base are where they start.

        Returns:
            World-frame position, metres `(n, 3)`.
        """
        driven = joint_position.shape[-1] == len(self.joints)
        of = self._configuration.of_joints if driven else self._configuration.of_dofs
        return self.tool.centre(*self._world.link_poses(self.entity, of(joint_position)))

    def properties(self) -> dict[str, Property]:
        """Gains, masses and forces that may be randomised."""
        properties = {"mass_scale": Property(write=self._scale_mass, size=len(self._moving_links))}
        if self._carrier is not None:
            properties["payload"] = Property(write=self._add_payload, nominal=0.0)
            properties["wind"] = Property(write=self._set_wind, nominal=0.0)
        if self.joints:
            scales = {"kp_scale": "kp", "kv_scale": "kv", "damping_scale": "damping", "armature_scale": "armature"}
            properties |= {name: self._joint_scale(joint_property) for name, joint_property in scales.items()}
            properties["joint_offset"] = Property(write=self._offset_joints, nominal=0.0, size=len(self.joints))
        return properties

    def _joint_scale(self, name: str) -> Property:
        nominal = genesis_api.joint_property(self.entity, name, self.dofs)

        def write(scale: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
            values = self._world.padded(scale * nominal)
            genesis_api.set_joint_property(self.entity, name, values, self.dofs, self._world.padded(envs))

        return Property(write=write, size=len(self.joints))

    def _scale_mass(self, scale: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
        self._mass_scale = scale
        self._set_masses(envs)

    def _add_payload(self, payload: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
        self._payload = payload
        self._set_masses(envs)

    def _set_masses(self, envs: torch.Tensor) -> None:
        """Masses of the moving links, with a point mass at the centre of mass of the tool's link or the base."""
        masses = (self._mass_scale * self._masses).expand(-1, len(self._moving_links)).clone()
        if self._carrier is not None:
            masses[:, self._moving_links.index(self._carrier.idx_local)] += self._payload
        inertias = self._mass_scale[:, :, None, None] * self._inertias
        padded = self._world.padded
        genesis_api.set_link_inertia(
            self.entity, padded(masses), padded(inertias), self._moving_links, padded(envs)
        )

    def _offset_joints(self, offset: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
        """Begin episodes beside the default pose, or beside where the task puts the joints afterwards."""
        self._joint_offset = offset
        self.set_joints(envs, self.default)

    def _set_wind(self, strength: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
        """A constant horizontal force on the tool's link or the base, its heading uniform."""
        if self._wind is None:
            self._wind = self._world.zeros(3)
            self._world.call_before_step(self._blow)
        heading = rng.uniform(f"{self.name} wind heading", 0.0, 2.0 * math.pi)
        force = torch.stack([torch.cos(heading), torch.sin(heading), torch.zeros_like(heading)], dim=-1)
        self._wind = torch.where(envs[:, None], strength[:, None] * force, self._wind)

    def _blow(self) -> None:
        assert self._wind is not None and self._carrier is not None
        genesis_api.push_link(self.entity, self._carrier.idx_local, self._world.padded(self._wind))

    def _tune(self, drive: PD, joints: tuple[JointEntry, ...]) -> None:
        """Give joints the gains and limits that are declared, and gains of `BANDWIDTH` where nothing has any."""
        dofs = self._dofs(tuple(joint.name for joint in joints))
        declared = {"armature": drive.armature, "kp": drive.kp, "kv": drive.kd}
        for name, value in declared.items():
            if value is not None:
                genesis_api.set_dofs(self.entity, name, self._world.tensor(value), dofs)
        if drive.effort is not None:
            genesis_api.set_effort_limit(self.entity, self._world.tensor(drive.effort), dofs)
        bandwidth = drive.bandwidth
        if bandwidth is None and drive.kp is None and not all(joint.drive == "servo" for joint in joints):
            bandwidth = BANDWIDTH
        if bandwidth is not None:
            inertia = self._joint_inertia()[dofs]
            genesis_api.set_dofs(self.entity, "kp", inertia * bandwidth**2, dofs)
            genesis_api.set_dofs(self.entity, "kv", inertia * (2.0 * DAMPING_RATIO * bandwidth), dofs)

    def _joint_inertia(self) -> torch.Tensor:
        """Inertia that each joint moves in the default pose, kg·m² `(n_dofs,)`.

        Genesis knows that of the last step's posture, so the world takes a step, which is then undone.
        """
        record, _ = genesis_api.solver_record(self._world.scene)
        self._world.step()
        inertia = genesis_api.joint_inertia(self.entity)
        genesis_api.restore_record(self._world.scene, record)
        self._world.version += 1
        return inertia

    def _dofs(self, joints: tuple[str, ...]) -> slice | list[int]:
        """Indices of joints; Genesis reads a slice three times as fast as a list."""
        indices = genesis_api.dofs_of(self.entity, joints)
        first = indices[0] if indices else 0
        contiguous = indices == list(range(first, first + len(indices)))
        return slice(first, first + len(indices)) if contiguous else indices


def _add_entity(resolved: ResolvedRobot, world: World, origin: Point) -> Any:
    """Add a robot's entity to a scene.

    Raises:
        ArgumentError: Genesis cannot load the file.
    """
    import genesis as gs

    spec, path = resolved.spec, resolved.file.path
    # Genesis would move the frame of a single free body, such as a drone, to its principal axes.
    options: dict[str, Any] = {"file": str(path), "align": False}
    if origin != (0.0, 0.0, 0.0):
        options["pos"] = origin
    with genesis_reads(path):
        if any(isinstance(actuator, Propellers) for actuator in spec.actuators):
            return world.add_entity(gs.morphs.Drone(**options))
        if path.suffix != ".urdf":
            return world.add_entity(gs.morphs.MJCF(**options))
        # Links that are fixed to another are merged with it, which would lose the tool's and the feet.
        options["links_to_keep"] = tuple(resolved.named_links)
        fixed = not isinstance(spec.base, Floating) or resolved.base is not None
        return world.add_entity(gs.morphs.URDF(fixed=fixed, **options))
