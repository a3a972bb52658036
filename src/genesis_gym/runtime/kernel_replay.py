"""Record the kernel launches of a physics step once and replay them (Genesis 1.4.5, Quadrants 1.3.3, CPU only).

A physics step launches six kernels, with the same arguments each time. Before each launch Quadrants looks its
arguments up in Python: 20 µs, where the kernel itself takes 4 µs for two environments. Of a step of 148 µs, 22 µs
are physics. A replay runs the same machine code with the same arguments: the results are equal bit for bit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("genesis_gym")

#: Held while recording, which replaces a method of a class: one thread at a time.
_recording = threading.Lock()

#: A compiled kernel and the arguments that it is launched with; both are objects of Quadrants.
Launch = tuple[Any, Any]


def replay_substeps(scene: Any) -> None:
    """Make the rigid solver of a scene replay its kernel launches from its second step on.

    Nothing changes on a GPU, or where Genesis has renamed the private attributes used here.

    Args:
        scene: A built Genesis scene.
    """
    import genesis as gs

    if gs.backend != gs.cpu:
        return
    try:
        scene.rigid_solver.substep = _Substep(scene.rigid_solver)
    except (AttributeError, ImportError) as error:
        logger.warning(
            "kernel replay does not know this version of Genesis, so physics steps are slower: %s", error
        )


class _Substep:
    """Replaces the method `substep` of a rigid solver."""

    def __init__(self, solver: Any) -> None:
        from quadrants.lang import impl

        self._solver = solver
        self._original = solver.substep
        self._caches = (solver.collider._contact_data_cache, solver.constraint_solver._eq_const_info_cache)
        self._program = impl.get_runtime().prog
        self._launches: dict[tuple[bool, bool], list[Launch]] = {}
        _flags(solver), self._program.launch_kernel  # a name that is missing raises here, not in a step

    def __call__(self, substep: int) -> None:
        solver = self._solver
        flags = _flags(solver)
        launches = self._launches.get(flags)
        if launches is None:
            with _recorded(self._program) as launches:
                self._original(substep)
            if launches and _flags(solver) == (True, True):
                self._launches[flags] = launches
            return
        for cache in self._caches:
            cache.clear()
        launch = self._program.launch_kernel
        for kernel, arguments in launches:
            launch(kernel, arguments)
        solver._is_forward_pos_updated = solver._is_forward_vel_updated = True


def _flags(solver: Any) -> tuple[bool, bool]:
    """Whether link poses and link velocities are up to date with the joints; the launches depend on both."""
    return solver._is_forward_pos_updated, solver._is_forward_vel_updated


@contextmanager
def _recorded(program: Any) -> Iterator[list[Launch]]:
    """Collect the kernel launches of this thread within the block."""
    launches: list[Launch] = []
    kind, thread = type(program), threading.get_ident()

    with _recording:
        original = kind.launch_kernel

        def launch_kernel(self: Any, kernel: Any, arguments: Any) -> Any:
            if threading.get_ident() == thread:
                launches.append((kernel, arguments))
            return original(self, kernel, arguments)

        kind.launch_kernel = launch_kernel
        try:
            yield launches
        finally:
            kind.launch_kernel = original
