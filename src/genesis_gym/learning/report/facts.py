"""The facts of a run beside its config: where, when and on what it ran, and the command that repeats it."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from genesis_gym.core import Core
from genesis_gym.learning.config.presets import find_preset
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.runtime import describe_device

#: Packages whose versions decide the results of a run.
PACKAGES = ("genesis-gym", "genesis-world", "torch", "stable-baselines3", "rsl-rl-lib", "gymnasium", "numpy")

Name = Annotated[str, Field(max_length=200)]


class RunFacts(BaseModel):
    """Where, when and on what a run ran; `run.json` of its folder.

    Attributes:
        started: When, ISO 8601, UTC.
        device: The device in words.
        system: The operating system in words.
        versions: Package → version.
        max_episode_steps: Control steps after which its episodes are truncated, if any.
        init_from: Run folder whose policy it began with, if any.
        imports: Modules that registered its environment, if any had to be named.
        seconds: Phase → wall-clock seconds, in order; empty until the run has ended.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    started: str
    device: str
    system: str
    versions: dict[str, str]
    max_episode_steps: Annotated[int, Field(ge=1, le=10**9)] | None
    init_from: str | None = None
    imports: list[Name] = []
    seconds: dict[str, NonNegativeFloat] = {}


def describe_run(env: Core, init_from: Path | None = None, imports: Sequence[str] = ()) -> RunFacts:
    """Gather the facts of a run that begins now.

    Args:
        env: What it trains on.
        init_from: Run folder whose policy it begins with, if any.
        imports: Modules that the user named to register environments.

    Returns:
        The facts, without the times.
    """
    return RunFacts(
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        device=describe_device(),
        system=platform.platform(),
        versions={"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        max_episode_steps=env.max_episode_steps,
        init_from=None if init_from is None else str(init_from),
        imports=list(imports),
    )


def command_of(config: TrainConfig, facts: RunFacts | None = None) -> str:
    """Write the command line that trains what a config describes.

    Options that the preset or a default gives anyway are left out, except those that name the run.

    Args:
        config: The config.
        facts: Of the run, if they are known.

    Returns:
        One line for a POSIX shell.
    """
    preset = find_preset(config.env, config.algorithm, config.preset)
    words = ["genesis-gym", "train"]
    for name, field in TrainConfig.model_fields.items():
        value = getattr(config, name)
        usual = getattr(preset, name, field.get_default(call_default_factory=True))
        option = f"--{name.replace('_', '-')}"
        if name == "version" or value is None or value == usual:
            continue
        if name == "hyperparameters":
            option = "--set"
        if value is True:  # a flag
            words.append(option)
            continue
        if isinstance(value, BaseModel):
            value = changes(value, usual or type(value)())
        if isinstance(value, Mapping):
            words += [option, *(f"{key}={word(entry)}" for key, entry in value.items())]
        else:
            words += [option, word(value)]
    if facts is not None and facts.init_from is not None:
        words += ["--init-from", facts.init_from]
    for module in facts.imports if facts is not None else ():
        words += ["--import", module]
    return shlex.join(words)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def changes(model: BaseModel, usual: Any) -> dict[str, Any]:
    """Fields whose values differ from those of another model, if it is one."""
    return {name: value for name, value in model if getattr(usual, name, None) != value}


def word(value: Any) -> str:
    """Write a value as the command line reads it: `true`, `3e-4`, `64,64`; a list of one ends with a comma."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(word, value)) + ("," if len(value) == 1 else "")
    return str(value)
