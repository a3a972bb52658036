"""Compiling the kernels of every kind of scene ahead, so that the first run on a machine starts warm."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console

from genesis_gym.core.make import make_core
from genesis_gym.learning.console import status
from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.runtime.backend import cached_kernels, describe_device, start, stop

#: How scenes of one environment differ in the kernels that they need: words → arguments of `make_core`.
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    ", with a camera": {"camera_rows": [0]},
    ", randomised": {"randomization": {"payload": (0.0, 0.5), "wind": (0.0, 1.0), "friction_scale": (0.9, 1.0)}},
}

#: Every kind of scene: title → arguments of `make_core`. Any number of rows from 2 on runs the same kernels.
SCENE_KINDS: dict[str, dict[str, Any]] = {
    env_id + words: {"env_id": env_id, "num_envs": 2, **arguments}
    for env_id in ENVIRONMENTS
    for words, arguments in VARIANTS.items()
}

#: Genesis looks for faulty rows at every tenth physics step.
STEPS = 10


@dataclass(frozen=True)
class WarmUp:
    """What a warm-up did.

    Attributes:
        device: What the kernels are for, in words.
        seconds: Title of each kind of scene → wall-clock seconds.
        compiled: Kernels that were not in the cache before.
        bytes_before: Size of the cached kernels before.
        bytes_after: The same afterwards.
    """

    device: str
    seconds: dict[str, float]
    compiled: int
    bytes_before: int
    bytes_after: int


def warm_up(console: Console, backend: str = "auto") -> WarmUp:
    """Build and use every kind of scene once, and leave the kernels in the kernel cache.

    Genesis is stopped afterwards, and every scene of this process with it. If this is interrupted, what was
    compiled until then is kept.

    Args:
        console: Where progress is shown.
        backend: One of `genesis_gym.runtime.DEVICES`.

    Returns:
        What was done.
    """
    start(backend)
    device = describe_device()
    before = {path: path.stat().st_size for path in cached_kernels()}
    seconds = {}
    try:
        for title, arguments in SCENE_KINDS.items():
            begin = time.perf_counter()
            with status(console, title):
                _use(backend=backend, **arguments)
            seconds[title] = time.perf_counter() - begin
    finally:
        stop()
    after = {path: path.stat().st_size for path in cached_kernels()}
    return WarmUp(
        device=device,
        seconds=seconds,
        compiled=len(after.keys() - before.keys()),
        bytes_before=sum(before.values()),
        bytes_after=sum(after.values()),
    )


def _use(**arguments: Any) -> None:
    """Call everything of a scene that launches kernels."""
    with closing(make_core(**arguments)) as env:
        env.reset(seed=0)
        for _ in range(STEPS):
            env.step(torch.zeros(env.num_envs, env.action_dim, device=env.device))
        first = torch.arange(env.num_envs, device=env.device) == 0
        env.reset(first)
        env.robot.forward_kinematics(env.robot.home[None])
        if arguments.get("camera_rows"):
            env.render()
