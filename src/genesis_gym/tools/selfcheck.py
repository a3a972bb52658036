"""The checks of the doctor that build a scene: can it be rendered, and how fast does it step?"""

from __future__ import annotations

import time
from contextlib import closing

from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.tools.doctor import FaultError, Finding, find

#: The environment that is rendered and stepped, how many of it are stepped, and for how many seconds.
ENV_ID = next(iter(ENVIRONMENTS))
NUM_ENVS = 256
SECONDS = 5.0

#: Random actions, drawn before the clock starts and repeated, as in `benchmarks/step_rate.py`.
ACTIONS = 100


def examine_scenes() -> list[Finding]:
    """Build scenes, draw a frame and step for some seconds.

    Returns:
        The findings; those with a remedy are faults.
    """
    return [
        find(
            "Rendering",
            _draw,
            "fix what is marked above; sudo apt-get install -y libegl1 libgl1-mesa-dri brings software rendering",
        ),
        find(
            "Throughput",
            _step,
            "fix what is marked above; if nothing is, report this with the output of genesis-gym doctor --json",
        ),
    ]


# torch, and modules that need it, are imported within the checks, so that a broken installation is a finding too.


def _draw() -> str:
    from genesis_gym.core.make import make_core

    with closing(make_core(ENV_ID, 2, camera_envs=[0])) as env:
        env.reset(seed=0)
        begin = time.perf_counter()
        frame = env.render()[0]
        seconds = time.perf_counter() - begin
    height, width, _ = frame.shape
    if frame.min() == frame.max():
        raise FaultError(f"a frame of {width} by {height} was drawn, but it is blank")
    return f"offscreen, first frame of {width} by {height} in {seconds:.1f} s"


def _step() -> str:
    import torch
    from gymnasium.vector import AutoresetMode

    from genesis_gym.adapters.autoreset import Autoreset
    from genesis_gym.core.make import make_core
    from genesis_gym.runtime import describe_device

    with closing(make_core(ENV_ID, NUM_ENVS)) as env:
        autoreset = Autoreset(env, AutoresetMode.SAME_STEP)
        generator = torch.Generator().manual_seed(0)
        actions = torch.rand(ACTIONS, NUM_ENVS, env.action_dim, generator=generator).to(env.device) * 2 - 1
        autoreset.reset(seed=0)
        for action in actions[:5]:  # first calls compile what is not in the kernel cache
            autoreset.step(action)
        steps, begin = 0, time.perf_counter()
        while (seconds := time.perf_counter() - begin) < SECONDS:
            autoreset.step(actions[steps % ACTIONS])
            steps += 1
    rate = f"{steps * NUM_ENVS / seconds:,.0f} env steps/s with {NUM_ENVS} environments on {describe_device()}"
    return f"{rate}; docs/performance.md has 74,000 on an idle 2-core CPU"
