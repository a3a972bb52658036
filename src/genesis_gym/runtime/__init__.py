"""How Genesis is started, patched, stepped and stopped. Nothing here knows of tasks or learners."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genesis_gym.runtime.backend import DEVICES, describe_device, start

if TYPE_CHECKING:
    from genesis_gym.runtime.random import RowRandom
    from genesis_gym.runtime.simulation import Simulation

__all__ = ["DEVICES", "RowRandom", "Simulation", "describe_device", "start"]

_HOMES = {"RowRandom": "genesis_gym.runtime.random", "Simulation": "genesis_gym.runtime.simulation"}


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use, so that the doctor can examine a machine whose torch is broken."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
