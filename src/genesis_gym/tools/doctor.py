"""Checks of this machine that need no scene: can Genesis run here, and on what?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from genesis_gym.errors import GenesisGymError
from genesis_gym.runtime.backend import cached_kernels, kernel_cache_folder
from genesis_gym.runtime.system import (
    APT_COMMAND,
    has_display,
    missing_libraries,
    provide_home,
    require_assertions,
)

PACKAGES = ("genesis-world", "quadrants", "torch", "gymnasium", "stable-baselines3")

#: Those of them that an extra brings: package → extra.
OPTIONAL_PACKAGES = {"stable-baselines3": "sb3"}

#: Bytes of memory that a process with one scene of 256 environments takes (measured: 1.4 GB).
SCENE_BYTES = 1.5e9


@dataclass(frozen=True)
class Finding:
    """One result.

    Attributes:
        subject: What was checked.
        state: What was found.
        remedy: What to do about it if it is a fault, else None.
    """

    subject: str
    state: str
    remedy: str | None = None


class FaultError(GenesisGymError):
    """A check has found a fault; the message is the state found."""


def find(subject: str, look: Callable[[], str], remedy: str) -> Finding:
    """Make one check; whatever it raises is a finding.

    Args:
        subject: What is checked.
        look: Returns the state, or raises.
        remedy: What to do if it raises.

    Returns:
        The finding; it has the remedy only if `look` raised.
    """
    try:
        return Finding(subject, look())
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything, and that is the finding
        return Finding(subject, one_line(error), remedy)


def one_line(error: Exception) -> str:
    """The first line of an error.

    Args:
        error: The error.

    Returns:
        Its text, after the name of its type unless it is an error of this package.
    """
    text = (str(error).strip() or "no message").splitlines()[0]
    return text if isinstance(error, GenesisGymError) else f"{type(error).__name__}: {text}"


def examine() -> list[Finding]:
    """Check the machine without importing Genesis.

    Returns:
        The findings; those with a remedy are faults.
    """
    reinstall = "pip install --force-reinstall"
    return [
        find("Python", _python, "start Python without -O, and unset PYTHONOPTIMIZE"),
        Finding("System", _system()),
        find("Home folder", look_at_home, "export HOME=/some/folder that can be written to"),
        find("CPU", _cpu, f"{reinstall} py-cpuinfo"),
        find("Memory", _memory, "close other programs, or use a machine with more memory"),
        find("GPU", _gpu, "install the NVIDIA driver again; in a container, start that with --gpus all"),
        find("System libraries", _libraries, f"sudo {APT_COMMAND}"),
        *(find(name, partial(_package, name), f"pip install '{_requirement(name)}'") for name in PACKAGES),
        find(
            "Backend",
            _backend,
            "install the build of torch for this GPU and driver: https://pytorch.org/get-started/locally",
        ),
        find(
            "Kernel cache",
            _kernel_cache,
            "make it writable, or set QD_OFFLINE_CACHE_FILE_PATH to a folder that is",
        ),
        find("Video", _video, "pip install 'imageio>=2.36' 'av>=14'"),
        Finding("Display", "found" if has_display() else "none: render_mode='rgb_array' works without one"),
    ]


def _python() -> str:
    require_assertions()
    return f"{platform.python_version()}, {sys.executable}"


def look_at_home() -> str:
    """The user's home folder, and where it is taken from.

    Raises:
        MissingDependencyError: There is none.
    """
    source = "HOME" if "HOME" in os.environ else "the password database, since HOME is not set"
    provide_home()
    return f"{os.environ['HOME']}, from {source}"


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name}, {platform.release()}, {platform.machine()}"


def _cpu() -> str:
    import cpuinfo

    facts = cpuinfo.get_cpu_info()
    name = facts.get("brand_raw") or facts.get("hardware_raw") or platform.machine()
    cores = os.cpu_count()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    counted = f"{cores} cores" if usable == cores else f"{cores} cores, {usable} of them usable"
    return f"{name}, {counted}, load {os.getloadavg()[0]:.1f}"


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    state = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    if memory.available < SCENE_BYTES:
        raise FaultError(f"{state}; a scene takes about {SCENE_BYTES / 1e9:.1f} GB")
    return state


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA driver was found"
    return "; ".join(_nvidia_gpus())


def _nvidia_gpus() -> list[str]:
    """Name, driver and free memory of each GPU.

    Raises:
        FaultError: nvidia-smi is there, and its driver does not answer.
    """
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.free,memory.total", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode != 0:
        reason = (answer.stdout + answer.stderr).strip().splitlines() or ["nvidia-smi failed"]
        raise FaultError(f"the NVIDIA driver does not answer: {reason[0]}")
    gpus = [line.split(", ") for line in answer.stdout.strip().splitlines()]
    return [f"{name}, driver {driver}, {free} of {total} free" for name, driver, free, total in gpus]


def _libraries() -> str:
    missing = missing_libraries()
    if missing:
        raise FaultError(f"missing: {', '.join('lib' + name for name in missing)}")
    return "found"


def _package(name: str) -> str:
    from packaging.requirements import Requirement

    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        if name in OPTIONAL_PACKAGES:
            return _not_installed(OPTIONAL_PACKAGES[name])
        raise FaultError("not installed") from error
    specifier = Requirement(_requirement(name)).specifier
    if not specifier.contains(version, prereleases=True):
        raise FaultError(f"{version}, but genesis-gym needs {specifier}")
    return version


def _not_installed(extra: str) -> str:
    return f"not installed; pip install 'genesis-gym[{extra}]' brings it"


def _requirement(name: str) -> str:
    """Requirement on a package in genesis-gym's own metadata; the bare name where there is none."""
    try:
        lines = importlib.metadata.requires("genesis-gym") or []
    except importlib.metadata.PackageNotFoundError:  # it runs from a source folder and is not installed
        lines = []
    return next((line.partition(";")[0].strip() for line in lines if line.startswith(name)), name)


def _backend() -> str:
    """What device `auto` will be, decided as `gs.init(backend=gs.gpu)` does (Genesis 1.4.5)."""
    import torch

    usable = {
        "CUDA": torch.version.cuda is not None and torch.cuda.is_available(),
        "AMDGPU": torch.version.hip is not None and torch.cuda.is_available(),
        "METAL": sys.platform == "darwin" and torch.backends.mps.is_available(),
    }
    for name, there in usable.items():
        switch = f"QD_ENABLE_{name}"
        if there and os.environ.get(switch) == "0":
            return f"CPU: {switch}=0 is set"
        if there:
            return f"GPU: torch {torch.__version__} can use {name}"
    if sys.platform == "darwin":
        return "CPU: torch cannot use Metal"
    if shutil.which("nvidia-smi") is None:
        return "CPU: no NVIDIA driver was found"
    try:
        _nvidia_gpus()
    except FaultError:
        return "CPU: the NVIDIA driver does not answer"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CPU: CUDA_VISIBLE_DEVICES hides every GPU"
    if torch.version.cuda is None:
        raise FaultError(f"CPU: torch {torch.__version__} was built without CUDA, and there is a GPU")
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        raise FaultError(f"CPU: torch cannot use the GPU: {one_line(error)}") from error
    raise FaultError(f"CPU: torch {torch.__version__} reports no GPU, and no reason")


def _kernel_cache() -> str:
    folder = kernel_cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):  # Genesis fails at its end if it cannot write there
        pass
    kernels = cached_kernels()
    if not kernels:
        return f"{folder}, cold: the first scene compiles for a minute; genesis-gym warmup does that ahead"
    size = sum(path.stat().st_size for path in kernels)
    return f"{folder}, warm: {len(kernels)} kernels, {size / 1e6:.1f} MB"


def _video() -> str:
    """Encode some frames as `genesis_gym.learning.report.video` does, and read them back."""
    import numpy as np

    if importlib.util.find_spec("imageio") is None:
        return _not_installed("video")
    import imageio.v3 as iio

    frames = np.zeros((10, 64, 64, 3), dtype=np.uint8)
    video = iio.imwrite("<bytes>", frames, extension=".mp4", fps=50, codec="h264", plugin="pyav")
    read = iio.imread(video, extension=".mp4", plugin="pyav")
    if read.shape != frames.shape:
        raise FaultError(f"of frames {frames.shape} an MP4 kept {read.shape}")
    return f"H.264 in MP4, by imageio {importlib.metadata.version('imageio')}"
