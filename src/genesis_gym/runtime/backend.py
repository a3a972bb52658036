"""The only place that imports and initialises Genesis."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_gym.errors import ArgumentError, ClosedError, ForkError, check_choice
from genesis_gym.runtime import genesis_api
from genesis_gym.runtime.startup_patches import quick_cpu_name, quick_introspection
from genesis_gym.runtime.system import provide_home, require_assertions, require_libraries

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("genesis_gym")

#: `auto`: a GPU where there is one. `gpu`: the same, with one warning when there is none. `cpu`: the CPU.
DEVICES = ("auto", "cpu", "gpu")

_fallback_logged = False
_forked = False


def start(device: str = "auto") -> torch.device:
    """Import and initialise Genesis, once in each process.

    Later calls reuse the running one. `gs.init` never gets a seed: a new seed recompiles every kernel.

    Args:
        device: One of `DEVICES`.

    Returns:
        The device on which states, actions and observations live.

    Raises:
        ArgumentError: `device` is unknown, or Genesis already runs on another one in this process, or with another
            precision.
        ForkError: Genesis ran in the process that this one was forked from.
        MissingDependencyError: A system library that Genesis needs is missing, or the home folder, or Python's
            assert statements are off.
    """
    check_choice("device", device, DEVICES)
    if _forked:
        raise ForkError(
            "this process was forked from one in which Genesis runs, and would hang: start it by 'spawn' (in "
            "AsyncVectorEnv context='spawn'), or make many environments in one process by gymnasium.make_vec"
        )
    require_assertions()
    gs = _import_genesis()
    if not genesis_api.is_initialized(gs):
        _initialise(gs, device)
    if not genesis_api.is_single_precision(gs):
        raise ArgumentError(
            "Genesis already runs with precision='64' in this process, and environments need precision='32': call "
            "gs.init() without it, or not at all"
        )
    on_cpu = gs.backend == gs.cpu
    if device == "cpu" and not on_cpu:
        raise ArgumentError("device='cpu' is not possible: Genesis already runs on the GPU in this process")
    if device == "gpu" and on_cpu:
        _log_fallback()
    torch_device: torch.device = gs.device
    return torch_device


def stop() -> None:
    """Destroy Genesis and every scene of this process, and write the kernels compiled so far to the kernel cache.

    Genesis does this by itself when a process exits normally, but not when it is killed.
    """
    import genesis as gs

    gs.destroy()


def running_genesis() -> object:
    """Identity of the Genesis that `start` has initialised, for `is_running`.

    Returns:
        An object of Genesis's; `gs.destroy()` drops it, and another `gs.init()` makes a new one.
    """
    import genesis as gs

    return genesis_api.identity(gs)


def is_running(genesis: object) -> bool:
    """Whether Genesis was not destroyed since `running_genesis` was called; it takes 0.1 µs.

    Args:
        genesis: What `running_genesis` returned.
    """
    return genesis_api.identity(sys.modules["genesis"]) is genesis


def require_running(genesis: object) -> None:
    """Refuse to use a scene whose Genesis was destroyed, which is a segmentation fault; it takes 0.1 µs.

    Args:
        genesis: What `running_genesis` returned when the scene was made.

    Raises:
        ClosedError: `gs.destroy()` was called since.
    """
    if not is_running(genesis):
        raise ClosedError("gs.destroy() has destroyed the scene of this environment: make the environment again")


def describe_device() -> str:
    """What Genesis runs on, in words; `start` was called before.

    Returns:
        Such as `"CPU, 2 cores"` or `"GPU, NVIDIA H100"`.
    """
    import genesis as gs
    import torch

    if gs.device.type == "cuda":
        return f"GPU, {torch.cuda.get_device_name(gs.device)}"
    return f"{gs.device.type.upper()}, {os.cpu_count()} cores"


def kernel_cache_folder() -> Path:
    """Where compiled kernels are kept between processes.

    Returns:
        `QD_OFFLINE_CACHE_FILE_PATH`, or its default below the user's cache folder.
    """
    default = Path.home() / ".cache" / "quadrants" / "qdcache"
    return Path(os.environ.get("QD_OFFLINE_CACHE_FILE_PATH") or default)


def cached_kernels() -> list[Path]:
    """Files of compiled kernels in the kernel cache; a killed process leaves files of other kinds there.

    Returns:
        One path for each kernel; empty if the cache is missing.
    """
    return sorted(kernel_cache_folder().rglob("*.qdc"))


def kernel_cache_is_cold() -> bool:
    """Whether the next scene will have to compile its kernels, a minute or more of work.

    Returns:
        True if the kernel cache is missing or empty.
    """
    folder = kernel_cache_folder()
    return not folder.is_dir() or not any(path.is_file() for path in folder.rglob("*"))


def _import_genesis() -> Any:
    """Import Genesis without its side effects.

    triton crashes the process when it is imported after Genesis (SB3 imports it through torch._dynamo), so it is
    imported first. On import, Genesis replaces `sys.excepthook` by one that prints to standard output.
    """
    if "genesis" in sys.modules:
        return sys.modules["genesis"]
    require_libraries()
    provide_home()
    if importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton")
    excepthook = sys.excepthook
    try:
        with quick_introspection():
            import genesis as gs
    finally:
        sys.excepthook = excepthook
    warn_of_release(gs)
    return gs


def warn_of_release(gs: Any) -> None:
    """Warn of a release of Genesis that this package is not tested with.

    Args:
        gs: The module `genesis`.
    """
    if not genesis_api.is_tested(gs):
        tested = ", ".join(f"{release}.x" for release in genesis_api.TESTED_RELEASES)
        logger.warning("Genesis %s is not a release that genesis-gym is tested with (%s)", gs.__version__, tested)


def _initialise(gs: Any, device: str) -> None:
    wanted = gs.cpu if device == "cpu" else gs.gpu  # gs.gpu falls back to the CPU by itself
    with quick_cpu_name():
        gs.init(backend=wanted, logging_level="error")


def _note_fork() -> None:
    """A fork has none of Genesis's worker threads, so its first new kernel would wait for them forever."""
    global _forked
    gs = sys.modules.get("genesis")
    _forked = gs is not None and genesis_api.is_initialized(gs)


os.register_at_fork(after_in_child=_note_fork)


def _log_fallback() -> None:
    global _fallback_logged
    if not _fallback_logged:
        logger.warning("no GPU that Genesis can use was found: running on the CPU")
        _fallback_logged = True
