"""Surroundings that any task can be set in; what stands on the ground stands at z = 0 in each of them."""

from __future__ import annotations

from collections.abc import Callable

from genesis_gym.runtime import Simulation

#: Table top, metres: size along x, y and z, and the middle of its upper face. The arm is mounted on it.
TABLE_SIZE = (1.3, 1.6, 0.05)
TABLE_MIDDLE = (0.35, 0.0, 0.0)
#: How far the floor is below the table top, metres.
TABLE_HEIGHT = 0.75

#: Walls of the bin, metres: inner corners (x, y), around where cubes and their targets lie, height and thickness.
BIN_LOW, BIN_HIGH = (0.25, -0.25), (0.75, 0.25)
BIN_HEIGHT = 0.06
BIN_THICKNESS = 0.02

WOOD, GREY = (0.62, 0.45, 0.3), (0.5, 0.52, 0.55)


def add_ground(simulation: Simulation) -> None:
    """Add a ground plane at z = 0.

    Args:
        simulation: Owner of a scene that is not built yet.
    """
    import genesis as gs

    simulation.scene.add_entity(gs.morphs.Plane())


def add_table(simulation: Simulation) -> None:
    """Add a table whose top is at z = 0, and the floor below: what is pushed over the edge falls.

    Args:
        simulation: Owner of a scene that is not built yet.
    """
    import genesis as gs

    simulation.scene.add_entity(gs.morphs.Plane(pos=(0.0, 0.0, -TABLE_HEIGHT)))
    x, y, top = TABLE_MIDDLE
    _add_block(simulation, TABLE_SIZE, (x, y, top - TABLE_SIZE[2] / 2), WOOD)


def add_bin(simulation: Simulation) -> None:
    """Add a table and, on it, four walls around the workspace, which nothing slides out of.

    Args:
        simulation: Owner of a scene that is not built yet.
    """
    add_table(simulation)
    (x_low, y_low), (x_high, y_high) = BIN_LOW, BIN_HIGH
    x, y, z = (x_low + x_high) / 2, (y_low + y_high) / 2, BIN_HEIGHT / 2
    outer = y_high - y_low + 2 * BIN_THICKNESS
    for wall in (x_low - BIN_THICKNESS / 2, x_high + BIN_THICKNESS / 2):
        _add_block(simulation, (BIN_THICKNESS, outer, BIN_HEIGHT), (wall, y, z), GREY)
    for wall in (y_low - BIN_THICKNESS / 2, y_high + BIN_THICKNESS / 2):
        _add_block(simulation, (x_high - x_low, BIN_THICKNESS, BIN_HEIGHT), (x, wall, z), GREY)


def _add_block(
    simulation: Simulation,
    size: tuple[float, float, float],
    middle: tuple[float, float, float],
    color: tuple[float, float, float],
) -> None:
    """Add a box that does not move."""
    import genesis as gs

    simulation.scene.add_entity(
        gs.morphs.Box(size=size, pos=middle, fixed=True), surface=gs.surfaces.Default(color=color)
    )


#: What `scene_type` may be.
SCENES: dict[str, Callable[[Simulation], None]] = {"empty": add_ground, "table": add_table, "bin": add_bin}
