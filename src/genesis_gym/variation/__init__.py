"""What differs between environments and episodes: randomisation, curriculum, commands and pushes.

Settings are checked before torch is imported, so what needs it is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genesis_gym.variation.curriculum import Curriculum
from genesis_gym.variation.ranges import Ranges, check_ranges

if TYPE_CHECKING:
    from genesis_gym.variation.commands import UniformCommand
    from genesis_gym.variation.promotion import CurriculumState
    from genesis_gym.variation.pushes import RandomPush
    from genesis_gym.variation.randomization import Randomization

_HOMES = {
    "CurriculumState": "promotion",
    "RandomPush": "pushes",
    "Randomization": "randomization",
    "UniformCommand": "commands",
}

__all__ = [
    "Curriculum",
    "CurriculumState",
    "RandomPush",
    "Randomization",
    "Ranges",
    "UniformCommand",
    "check_ranges",
]


def __getattr__(name: str) -> Any:
    """Import the components on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
