"""Free the memory that Genesis and Quadrants keep of closed scenes (Genesis 1.4.5, Quadrants 1.3.3).

Without this, each scene that is built and closed leaves 20 to 40 MB behind, in four places. All but the kernels
are caches, which an open scene fills again when it needs them, so no other scene is affected.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("genesis_gym")

#: Static configurations of the scenes built so far, without duplicates.
_configs: set[Any] = set()


def share_kernels(scene: Any) -> None:
    """Let later scenes of the same kind use the kernels of this one, instead of loading their own.

    Quadrants finds a scene's kernels by weak references to its static configurations, compared by value. When
    these die with the scene, the kernels remain in memory and can no longer be found.

    Args:
        scene: A built Genesis scene.
    """

    def keep_configs() -> None:
        collider = scene.rigid_solver.collider
        solvers = [solver for solver in scene.sim.active_solvers if hasattr(solver, "rigid_config")]
        _configs.update(
            (collider.collider_config, collider.gjk.gjk_config, *(solver.rigid_config for solver in solvers))
        )

    _if_known(keep_configs)


def let_go(scene: Any) -> None:
    """Drop the references that would keep a scene's memory alive after it is destroyed.

    Args:
        scene: A built Genesis scene that is about to be destroyed.
    """
    _if_known(lambda: vars(scene.rigid_solver).pop("substep", None))  # kernel_replay: a reference cycle
    _if_known(lambda: _forget_arguments(scene.rigid_solver.dyn_state))
    _if_known(_forget_views)
    _if_known(_forget_textures)


def return_freed_memory() -> None:
    """Return freed memory to the system: the C library (glibc) would keep some 200 MB of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _if_known(action: Callable[[], None]) -> None:
    """Run a workaround; where Genesis has renamed private attributes, warn that memory is kept and go on."""
    try:
        action()
    except (AttributeError, ImportError) as error:
        logger.warning("this version of Genesis keeps memory of closed scenes: %s", error)


def _forget_arguments(dyn_state: Any) -> None:
    """The constraint solver remembers its choice of a variant by its arguments, which are arrays of the scene."""
    from genesis.engine.solvers.rigid.constraint.solver import func_solve_body

    for table in vars(func_solve_body).values():
        if isinstance(table, (dict, set)):
            for arguments in [key for key in table if isinstance(key, tuple) and key[0] is dyn_state]:
                table.pop(arguments) if isinstance(table, dict) else table.remove(arguments)
    latest = func_solve_body._cached_args
    if latest is not None and latest[0] is dyn_state:
        func_solve_body._cached_args = func_solve_body._cached_kwargs = func_solve_body._cached_impl = None


def _forget_views() -> None:
    """An array holds torch and numpy views of itself, each of which holds the array through C++."""
    from quadrants.lang import impl

    for array in impl.get_runtime().ndarrays:
        for name in ("_tc", "_T_tc", "_np", "_T_np"):
            vars(array).pop(name, None)


def _forget_textures() -> None:
    """Colours merged with opacities are cached by the identity of both."""
    from genesis.options.surfaces import _RGBA_CACHE

    _RGBA_CACHE.clear()
