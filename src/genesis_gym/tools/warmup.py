"""Compile the kernels of every kind of scene ahead of time, so that the first run on a machine starts warm."""

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
from genesis_gym.tasks.arm import ArmTask

#: Variants of one environment that need kernels of their own: suffix of the title → arguments of `make_core`.
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    ", with a camera": {"camera_envs": [0]},
    ", randomised": {"randomization": {"payload": (0.0, 0.5), "wind": (0.0, 1.0), "friction_scale": (0.9, 1.0)}},
}

#: Every kind of scene: title → arguments of `make_core`. Kernels are the same for any number of environments.
SCENE_KINDS: dict[str, dict[str, Any]] = {
    env_id + words: {"env_id": env_id, "num_envs": 2, **arguments}
    for env_id in ENVIRONMENTS
    for words, arguments in VARIANTS.items()
}

#: Control steps: Genesis looks for faulty environments at every tenth physics step.
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


def warm_up(console: Console, device: str = "auto") -> WarmUp:
    """Build and use every kind of scene once, and write the kernels to the kernel cache.

    Genesis is stopped afterwards, and every scene of this process with it. When interrupted, the kernels compiled
    so far are kept.

    Args:
        console: Where progress is shown.
        device: One of `genesis_gym.runtime.DEVICES`.

    Returns:
        What was done.
    """
    start(device)
    described = describe_device()
    before = {path: path.stat().st_size for path in cached_kernels()}
    seconds = {}
    try:
        for title, arguments in SCENE_KINDS.items():
            begin = time.perf_counter()
            with status(console, title):
                _use(device=device, **arguments)
            seconds[title] = time.perf_counter() - begin
    finally:
        stop()
    after = {path: path.stat().st_size for path in cached_kernels()}
    return WarmUp(
        device=described,
        seconds=seconds,
        compiled=len(after.keys() - before.keys()),
        bytes_before=sum(before.values()),
        bytes_after=sum(after.values()),
    )


def _use(**arguments: Any) -> None:
    """Call every method of an environment that launches kernels."""
    with closing(make_core(**arguments)) as env:
        env.reset(seed=0)
        for _ in range(STEPS):
            env.step(torch.zeros(env.num_envs, env.action_dim, device=env.device))
        first = torch.arange(env.num_envs, device=env.device) == 0
        env.reset(first)
        if isinstance(env.task, ArmTask):
            env.task.arm.forward_kinematics(env.task.arm.default[None])
        if arguments.get("camera_envs"):
            env.render()
