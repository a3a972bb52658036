"""Surroundings that any task can be set in."""

from __future__ import annotations

from collections.abc import Callable

from genesis_gym.runtime import Simulation


def add_ground(simulation: Simulation) -> None:
    """Add a ground plane at z = 0.

    Args:
        simulation: Owner of a scene that is not built yet.
    """
    import genesis as gs

    simulation.scene.add_entity(gs.morphs.Plane())


#: What `scene_type` may be.
SCENES: dict[str, Callable[[Simulation], None]] = {"empty": add_ground}
