"""What Genesis and Quadrants keep of a closed scene, let go (Genesis 1.4.5, Quadrants 1.3.3).

Left alone, each scene that is built and closed leaves 20 to 40 MB behind, in four places. All but the kernels are
caches that a scene which is still open fills again when it needs to, so that no other scene can be harmed.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("genesis_gym")

#: Static configurations of all scenes built so far, those that are equal once.
_configs: set[Any] = set()


def share_kernels(scene: Any) -> None:
    """Let later scenes of the same kind use the kernels of this one, instead of each loading its own.

    Quadrants finds the kernels of a scene by weak references to its static configurations, compared by value. When
    these die with the scene, nothing equals them any more, yet the kernels stay.

    Args:
        scene: A built Genesis scene.
    """

    def keep_configs() -> None:
        collider = scene.rigid_solver.collider
        solvers = [solver for solver in scene.sim.active_solvers if hasattr(solver, "rigid_config")]
        _configs.update(
            (collider.collider_config, collider.gjk.gjk_config, *(solver.rigid_config for solver in solvers))
        )

    _where_known(keep_configs)


def let_go(scene: Any) -> None:
    """Drop what would keep the memory of a scene in use after it is destroyed.

    Args:
        scene: A built Genesis scene, to be destroyed next.
    """
    _where_known(lambda: vars(scene.rigid_solver).pop("substep", None))  # launches.py: it refers back
    _where_known(lambda: _forget_arguments(scene.rigid_solver.dyn_state))
    _where_known(_forget_views)
    _where_known(_forget_textures)


def return_freed_memory() -> None:
    """Give memory that was freed back to the system, where the C library (glibc) would keep it: some 200 MB."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _where_known(action: Callable[[], None]) -> None:
    """Where Genesis has renamed what is private, a scene is made and closed all the same, and its memory stays."""
    try:
        action()
    except (AttributeError, ImportError) as error:
        logger.warning("this version of Genesis keeps memory of closed scenes: %s", error)


def _forget_arguments(dyn_state: Any) -> None:
    """The constraint solver's choice among its variants is remembered by its arguments, arrays of the scene."""
    from genesis.engine.solvers.rigid.constraint.solver import func_solve_body

    for table in vars(func_solve_body).values():
        if isinstance(table, (dict, set)):
            for arguments in [key for key in table if isinstance(key, tuple) and key[0] is dyn_state]:
                table.pop(arguments) if isinstance(table, dict) else table.remove(arguments)
    latest = func_solve_body._cached_args
    if latest is not None and latest[0] is dyn_state:
        func_solve_body._cached_args = func_solve_body._cached_kwargs = func_solve_body._cached_impl = None


def _forget_views() -> None:
    """An array keeps torch and numpy views of itself, and each of them, through C++, keeps the array."""
    from quadrants.lang import impl

    for array in impl.get_runtime().ndarrays:
        for name in ("_tc", "_T_tc", "_np", "_T_np"):
            vars(array).pop(name, None)


def _forget_textures() -> None:
    """Colours merged with opacities are remembered by the identity of both."""
    from genesis.options.surfaces import _RGBA_CACHE

    _RGBA_CACHE.clear()
