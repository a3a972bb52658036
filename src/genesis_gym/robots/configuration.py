"""The generalised positions of a robot: one number for a joint, seven for a free body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from genesis_gym.robots.description import JointEntry
from genesis_gym.robots.resolve import ResolvedRobot
from genesis_gym.robots.spec import Floating
from genesis_gym.runtime import genesis_api
from genesis_gym.world.component import Component

if TYPE_CHECKING:
    from genesis_gym.robots.robot import Robot

Point = tuple[float, float, float]


class Configuration(Component):
    """Where everything movable of a robot is: driven joints, their followers, and whatever else its file has.

    Attributes:
        default: Generalised positions in the pose that the robot was added in, Genesis's `qpos` `(n_qs,)`.
        base: Genesis's joint of a floating base; None for a fixed one.
    """

    def __init__(
        self, robot: Robot, resolved: ResolvedRobot, positions: Mapping[str, float], origin: Point
    ) -> None:
        """Place everything as the file has it, but for a floating base and the joints of a pose.

        Args:
            robot: The robot, whose entity is added already.
            resolved: Its declaration.
            positions: Joint → position, rad or metres, of the pose.
            origin: Where the robot was added, world frame, metres.
        """
        self._robot = robot
        file, joints = resolved.file, list(robot.entity.joints)
        entries = file.align([joint.name for joint in joints])
        floating = isinstance(resolved.spec.base, Floating)
        pairs: list[tuple[Any, JointEntry | None]] = list(zip(joints, entries, strict=True))
        bases = [joint for joint, entry in pairs if entry is resolved.base and genesis_api.is_free(joint)]
        self.base: Any = bases[0] if floating else None

        places = {id(entry): place for entry, place in zip(file.joints, file.start(positions), strict=True)}
        default = genesis_api.initial_positions(robot.entity)
        self._indices: dict[str, int] = {}
        self._single: list[int] = []
        self._single_dofs: list[int] = []
        references = []
        for joint, entry in pairs:
            indices, dofs = genesis_api.joint_places(joint)
            if joint is self.base and isinstance(resolved.spec.base, Floating):
                x, y, z = origin
                place: tuple[float, ...] = (x, y, z + resolved.spec.base.height, 1.0, 0.0, 0.0, 0.0)
            elif entry is None or (entry.kind == "floating" and file.path.suffix == ".urdf"):
                continue  # Genesis has added the place of the file
            else:
                place = places[id(entry)]
            if len(place) == 1 and entry is not None:
                self._indices[entry.name] = indices[0]
                self._single += indices
                self._single_dofs += dofs
                references.append(entry.reference)
            elif entry is not None and entry is not resolved.base and entry.kind == "floating":
                place = (*(here + there for here, there in zip(place[:3], origin, strict=True)), *place[3:])
            for index, value in zip(indices, place, strict=True):
                default[index] = value
        self.default = robot.world.tensor(default)
        self._references = robot.world.tensor(references)

        names = [entry.name for entry in resolved.joints]
        followers = [entry for entry in file.joints if entry.mimic is not None and entry.mimic.joint in names]
        self._followers = [(names.index(entry.mimic.joint), entry.mimic) for entry in followers if entry.mimic]  # type: ignore[arg-type]
        self.joint_indices = [self._indices[name] for name in names]
        self._set_by_joints = self.joint_indices + [self._indices[entry.name] for entry in followers]

    def go_to_default(self) -> None:
        """Place every environment at `default`, at rest."""
        self._robot.entity.set_qpos(self.default)
        self._robot.world.version += 1

    def set_joints(self, envs: torch.Tensor, position: torch.Tensor) -> None:
        """Put the driven joints somewhere, with those that follow them, the robot at rest.

        Args:
            envs: bool mask `(num_envs,)`.
            position: rad `(num_envs, joints)`.
        """
        self._set(envs, self._with_followers(position), self._set_by_joints)

    def place_base(self, envs: torch.Tensor, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Put a floating base somewhere, the robot at rest.

        Args:
            envs: bool mask `(num_envs,)`.
            position: Of its origin, world frame, metres `(num_envs, 3)`.
            orientation: w, x, y, z in the world frame `(num_envs, 4)`.
        """
        self._set(envs, torch.cat([position, orientation], dim=-1), genesis_api.joint_places(self.base)[0])

    def of_joints(self, position: torch.Tensor) -> torch.Tensor:
        """Generalised positions with the driven joints somewhere and the rest at `default`.

        Args:
            position: rad `(n, joints)`.

        Returns:
            `(n, n_qs)`.
        """
        full = self.default.expand(len(position), -1).clone()
        full[:, self._set_by_joints] = self._with_followers(position)
        return full

    def of_dofs(self, position: torch.Tensor) -> torch.Tensor:
        """Generalised positions with all degrees of freedom of joints somewhere, and free bodies at `default`.

        Args:
            position: rad or metres, in Genesis's order `(n, n_dofs)`.

        Returns:
            `(n, n_qs)`.
        """
        full = self.default.expand(len(position), -1).clone()
        full[:, self._single] = position[:, self._single_dofs] + self._references
        return full

    def _with_followers(self, position: torch.Tensor) -> torch.Tensor:
        if not self._followers:
            return position
        following = [mimic.position(position[:, leader]) for leader, mimic in self._followers]
        return torch.cat([position, torch.stack(following, dim=-1)], dim=-1)

    def _set(self, envs: torch.Tensor, position: torch.Tensor, indices: list[int]) -> None:
        world = self._robot.world
        genesis_api.set_positions(self._robot.entity, world.padded(position), indices, world.padded(envs))
        world.version += 1
