"""Optional packages: which extra of `pip install 'genesis-gym[…]'` brings each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from genesis_gym.errors import MissingDependencyError

#: Module → the extra that brings it.
EXTRA_OF = {
    "jinja2": "sb3",
    "matplotlib": "sb3",
    "safetensors": "sb3",
    "stable_baselines3": "sb3",
    "tensorboard": "sb3",
    "yaml": "sb3",
    "rsl_rl": "rsl_rl",
    "tensordict": "rsl_rl",
    "sb3_contrib": "contrib",
    "av": "video",
    "imageio": "video",
    "PIL": "video",
    "optuna": "tune",
    "sqlalchemy": "tune",
    "wandb": "wandb",
    "h5py": "demos",
    "minari": "demos",
}


@contextmanager
def name_missing_extra() -> Iterator[None]:
    """Turn the import of a missing optional package within the block into one line that names its extra.

    Raises:
        MissingDependencyError: An optional package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_OF:
            raise
        raise MissingDependencyError(
            f"{module} is not installed; pip install 'genesis-gym[{EXTRA_OF[module]}]' brings it"
        ) from error
