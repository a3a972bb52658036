"""Objects: the ground, furniture, and what is handled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from genesis_gym.world.part import Part
from genesis_gym.world.world import World

Point = tuple[float, float, float]
Color = tuple[float, float, float]

ORANGE: Color = (0.9, 0.5, 0.1)
GREEN: Color = (0.1, 0.9, 0.3)
WOOD: Color = (0.62, 0.45, 0.3)
GREY: Color = (0.5, 0.52, 0.55)

#: Table top, metres: size along x, y and z, and the middle of its upper face. The arm is mounted on it.
TABLE_SIZE = (1.3, 1.6, 0.05)
TABLE_MIDDLE = (0.35, 0.0, 0.0)
#: How far the floor is below the table top, metres.
TABLE_HEIGHT = 0.75

#: Walls of the bin, metres: inner corners (x, y), around where cubes and their targets lie, height and thickness.
BIN_LOW, BIN_HIGH = (0.25, -0.25), (0.75, 0.25)
BIN_HEIGHT = 0.06
BIN_THICKNESS = 0.02


class Object(Part):
    """A rigid body. Subclasses make its Genesis entity.

    Attributes:
        entity: The Genesis entity.
    """

    entity: Any

    @property
    def position(self) -> torch.Tensor:
        """Origin of the body, world frame, metres `(num_envs, 3)`."""
        return self._read("position", self.entity.get_pos)

    @property
    def orientation(self) -> torch.Tensor:
        """Orientation, w, x, y, z in the world frame `(num_envs, 4)`."""
        return self._read("orientation", self.entity.get_quat)

    @property
    def linear_velocity(self) -> torch.Tensor:
        """Velocity of the origin, world frame, m/s `(num_envs, 3)`."""
        return self._read("linear_velocity", self.entity.get_vel)

    @property
    def angular_velocity(self) -> torch.Tensor:
        """Angular velocity, world frame, rad/s `(num_envs, 3)`."""
        return self._read("angular_velocity", self.entity.get_ang)

    def place(self, envs: torch.Tensor, position: torch.Tensor, orientation: torch.Tensor | None = None) -> None:
        """Put the body somewhere, at rest, in some environments.

        Args:
            envs: bool mask `(num_envs,)`.
            position: World frame, metres `(num_envs, 3)`.
            orientation: w, x, y, z in the world frame `(num_envs, 4)`; None to leave it.
        """
        scene_envs = self._world.padded(envs)
        self.entity.set_pos(self._world.padded(position), envs_idx=scene_envs)
        if orientation is not None:
            self.entity.set_quat(self._world.padded(orientation), envs_idx=scene_envs)
        self._world.version += 1

    def set_friction(self, coefficient: float) -> None:
        """Set the friction coefficient of its geometry; two in contact have the higher one.

        Args:
            coefficient: Coulomb's, 0.01 to 5. Genesis builds scenes with 1.
        """
        self.entity.set_friction(coefficient)


class Box(Object):
    """A box."""

    def __init__(
        self, size: Point, *, density: float = 1000.0, fixed: bool = False, color: Color = ORANGE
    ) -> None:
        """Declare it.

        Args:
            size: Edges along x, y and z, metres.
            density: kg/m³.
            fixed: Whether nothing moves it.
            color: Red, green and blue, 0 to 1.
        """
        self.size = size
        self.density = density
        self.fixed = fixed
        self.color = color

    def add_to(self, world: World, name: str, *, position: Point | None = None) -> Box:
        """Add it; its middle is at `position`, or it stands on the origin."""
        import genesis as gs

        self.attach(world, name)
        self.entity = world.add_entity(
            gs.morphs.Box(size=self.size, pos=position or (0.0, 0.0, self.size[2] / 2), fixed=self.fixed),
            surface=gs.surfaces.Default(color=self.color),
            **({} if self.fixed else {"material": gs.materials.Rigid(rho=self.density)}),
        )
        return self


class Cylinder(Object):
    """An upright cylinder that nothing moves."""

    def __init__(self, radius: float, height: float, *, color: Color = (0.75, 0.3, 0.25)) -> None:
        """Declare it: metres, and red, green and blue, 0 to 1."""
        self.radius = radius
        self.height = height
        self.color = color

    def add_to(self, world: World, name: str, *, position: Point | None = None) -> Cylinder:
        """Add it; its middle is at `position`, or it stands on the origin."""
        import genesis as gs

        self.attach(world, name)
        middle = position or (0.0, 0.0, self.height / 2)
        self.entity = world.add_entity(
            gs.morphs.Cylinder(radius=self.radius, height=self.height, pos=middle, fixed=True),
            surface=gs.surfaces.Default(color=self.color),
        )
        return self


class Marker(Part):
    """A sphere or a flat disc that nothing collides with; it exists only where the scene is drawn."""

    def __init__(self, radius: float, *, disc: bool = False, color: Color = GREEN) -> None:
        """Declare it.

        Args:
            radius: Metres.
            disc: A disc of 2 mm instead of a sphere.
            color: Red, green and blue, 0 to 1.
        """
        self.radius = radius
        self.disc = disc
        self.color = color

    def add_to(self, world: World, name: str) -> Marker:
        """Add it."""
        self.attach(world, name)
        if world.visual:
            import genesis as gs

            shape = (
                gs.morphs.Cylinder(radius=self.radius, height=0.002, fixed=True, collision=False)
                if self.disc
                else gs.morphs.Sphere(radius=self.radius, fixed=True, collision=False)
            )
            self._entity: Any = world.add_entity(
                shape, material=gs.materials.Kinematic(), surface=gs.surfaces.Default(color=self.color)
            )
        return self

    def show_at(self, position: torch.Tensor) -> None:
        """Move it.

        Args:
            position: World frame, metres `(num_envs, 3)`.
        """
        if self._world.visual:
            self._entity.set_pos(self._world.padded(position))


class Articulation(Object):
    """A mechanism without motors from a URDF file, fixed to the ground, such as a cabinet with a drawer."""

    def __init__(self, file: str | Path) -> None:
        """Declare it.

        Args:
            file: The URDF file.
        """
        self.file = str(file)

    def add_to(self, world: World, name: str, *, position: Point = (0.0, 0.0, 0.0)) -> Articulation:
        """Add it with its base at `position`; environments may have it in different places."""
        import genesis as gs

        self.attach(world, name)
        self.entity = world.add_entity(
            gs.morphs.URDF(
                file=self.file,
                pos=position,
                fixed=True,
                batch_fixed_verts=True,
                default_armature=None,  # no motor drives it
            )
        )
        return self

    @property
    def joint_position(self) -> torch.Tensor:
        """Its joints, rad or metres `(num_envs, joints)`."""
        return self._read("joint_position", self.entity.get_dofs_position)

    @property
    def joint_velocity(self) -> torch.Tensor:
        """Its joints, rad/s or m/s `(num_envs, joints)`."""
        return self._read("joint_velocity", self.entity.get_dofs_velocity)

    def link_position(self, link: str) -> torch.Tensor:
        """Origin of a link, world frame, metres `(num_envs, 3)`."""
        return self._read(f"{link} position", self.entity.get_link(link).get_pos)


class Ground(Part):
    """A plane at z = 0."""

    height = 0.0

    def add_to(self, world: World, name: str) -> Ground:
        """Add it."""
        import genesis as gs

        self.attach(world, name)
        morph = gs.morphs.Plane(pos=(0.0, 0.0, -self.height)) if self.height else gs.morphs.Plane()
        self.entity: Any = world.add_entity(morph)
        return self


class Table(Ground):
    """A table whose top is at z = 0, and the floor below: what is pushed over the edge falls."""

    height = TABLE_HEIGHT

    def add_to(self, world: World, name: str) -> Table:
        """Add it."""
        super().add_to(world, name)
        x, y, top = TABLE_MIDDLE
        world.add(
            Box(TABLE_SIZE, fixed=True, color=WOOD), name="table_top", position=(x, y, top - TABLE_SIZE[2] / 2)
        )
        return self


class Bin(Table):
    """A table and, on it, four walls around the workspace, which nothing slides out of."""

    def add_to(self, world: World, name: str) -> Bin:
        """Add it."""
        super().add_to(world, name)
        (x_low, y_low), (x_high, y_high) = BIN_LOW, BIN_HIGH
        x, y, z = (x_low + x_high) / 2, (y_low + y_high) / 2, BIN_HEIGHT / 2
        outer = y_high - y_low + 2 * BIN_THICKNESS
        for wall_x in (x_low - BIN_THICKNESS / 2, x_high + BIN_THICKNESS / 2):
            wall = Box((BIN_THICKNESS, outer, BIN_HEIGHT), fixed=True, color=GREY)
            world.add(wall, position=(wall_x, y, z))
        for wall_y in (y_low - BIN_THICKNESS / 2, y_high + BIN_THICKNESS / 2):
            wall = Box((x_high - x_low, BIN_THICKNESS, BIN_HEIGHT), fixed=True, color=GREY)
            world.add(wall, position=(x, wall_y, z))
        return self
