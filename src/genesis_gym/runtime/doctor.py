"""Facts about this machine that decide whether and how Genesis runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass

from genesis_gym.runtime.backend import kernel_cache_folder, kernel_cache_is_cold
from genesis_gym.runtime.system import APT_COMMAND, has_display, missing_libraries

PACKAGES = ("genesis-world", "quadrants", "torch", "gymnasium", "stable-baselines3")


@dataclass(frozen=True)
class Finding:
    """One fact.

    Attributes:
        subject: What it is about.
        state: What was found.
        remedy: What to do if it is a fault, else None.
    """

    subject: str
    state: str
    remedy: str | None = None


def examine() -> list[Finding]:
    """Look at the machine, without importing Genesis.

    Returns:
        The findings; those with a remedy keep Genesis from running.
    """
    missing = missing_libraries()
    cache = "empty: the first scene takes a minute" if kernel_cache_is_cold() else "filled"
    return [
        Finding("Python", platform.python_version()),
        Finding("System", f"{platform.platform()}, {os.cpu_count()} cores"),
        Finding(
            "System libraries",
            f"missing: {', '.join('lib' + name for name in missing)}" if missing else "all there",
            f"sudo {APT_COMMAND}" if missing else None,
        ),
        *(_package(name) for name in PACKAGES),
        Finding(
            "GPU", "NVIDIA driver found" if shutil.which("nvidia-smi") else "none found: Genesis runs on the CPU"
        ),
        Finding("Display", "found" if has_display() else "none: render_mode='rgb_array' works without one"),
        Finding("Kernel cache", f"{kernel_cache_folder()}, {cache}"),
    ]


def _package(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", f"pip install {name}")
