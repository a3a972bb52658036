"""What the operating system and Python must provide before Genesis can be imported."""

from __future__ import annotations

import ctypes.util
import os
import sys
from pathlib import Path

from genesis_gym.errors import MissingDependencyError

#: Library (as the linker names it) → the Debian/Ubuntu package that holds it. Genesis 1.4.5 fails on import
#: without the first two and cannot build any scene, rendered or not, without the last.
LIBRARIES = {"GL": "libgl1", "Xrender": "libxrender1", "EGL": "libegl1"}

APT_COMMAND = "apt-get install -y --no-install-recommends " + " ".join(LIBRARIES.values())


def missing_libraries() -> list[str]:
    """Names of the system libraries that Genesis needs and this machine lacks.

    Returns:
        Linker names such as `"EGL"`; empty when nothing is missing, or on a system other than Linux.
    """
    if not sys.platform.startswith("linux"):
        return []
    found = {name: ctypes.util.find_library(name) is not None for name in (*LIBRARIES, "OSMesa")}
    found["EGL"] = found["EGL"] or found["OSMesa"]  # Genesis takes either for its offscreen context
    return [name for name in LIBRARIES if not found[name]]


def require_libraries() -> None:
    """Stop with the one command to type when a system library is missing.

    Raises:
        MissingDependencyError: A library is missing.
    """
    missing = missing_libraries()
    if missing:
        raise MissingDependencyError(
            f"Genesis needs system libraries that are not installed: {', '.join('lib' + m for m in missing)}; "
            f"install them with: sudo {APT_COMMAND}"
        )


def provide_home() -> None:
    """Set the environment variable HOME where it is missing, as in cron jobs and systemd units.

    Without it a library of Genesis's aborts the process, when it is imported and later. The value is the home
    folder of the user's entry in the password database.

    Raises:
        MissingDependencyError: HOME is missing and the user has no such entry, as in some containers.
    """
    if "HOME" in os.environ:
        return
    try:
        os.environ["HOME"] = str(Path.home())
    except RuntimeError as error:
        raise MissingDependencyError(
            "Genesis needs a home folder, HOME is not set and the user has no entry in the password database: set "
            "HOME to a folder that can be written to"
        ) from error


def require_assertions() -> None:
    """Refuse to run where assert statements are off: Genesis sets its graphics context up within some.

    Raises:
        MissingDependencyError: Python was started with -O or PYTHONOPTIMIZE.
    """
    if sys.flags.optimize:
        raise MissingDependencyError(
            "Genesis needs Python's assert statements, and they are off: start Python without -O, or unset "
            "PYTHONOPTIMIZE"
        )


def require_display() -> None:
    """Stop when no display is there for Genesis's viewer.

    Raises:
        MissingDependencyError: Neither DISPLAY nor WAYLAND_DISPLAY is set on Linux.
    """
    if not has_display():
        raise MissingDependencyError(
            "the viewer (show_viewer=True or render_mode='human') needs a display, and neither DISPLAY nor "
            "WAYLAND_DISPLAY is set; use render_mode='rgb_array' to render without one"
        )


def has_display() -> bool:
    """Whether a window can be opened.

    Returns:
        True where DISPLAY or WAYLAND_DISPLAY is set, and on systems other than Linux.
    """
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
