"""Making an environment of another package from its id: the entry point that datasets name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import gymnasium


def make_registered(env_id: str, modules: Sequence[str], **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """Import the modules that register an environment, and make it.

    Args:
        env_id: Its id.
        modules: The modules.
        **kwargs: Arguments that differ from its registration.

    Returns:
        The environment.
    """
    for module in modules:
        import_module(module)
    return gymnasium.make(env_id, **kwargs)
