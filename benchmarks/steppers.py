"""Processes whose steps are counted, for `peers.py` and `scaling.py`; each sleeps until it is asked.

Run with one argument, JSON: which of `KINDS` and its arguments. Peers run where their own packages are installed
and nothing of this package is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common import calls_per_second, claim_stdout, memory_mb, serve

EPISODE = 100

#: Facts to tell, and what measures steps/s for some seconds.
Stepper = tuple[dict[str, Any], Callable[..., float]]


def genesis(num_envs: int) -> Stepper:
    """FrankaReach of this package; its `form` is one of `step_rate.FORMS`."""
    from genesis_gym.runtime import describe_device
    from step_rate import make_forms

    vector, turn = make_forms(num_envs)

    def measure(seconds: float, form: str) -> float:
        return turn(form, seconds)

    return {"step_seconds": vector.core.control_dt, "device": describe_device()}, measure


def gymnasium(env_id: str, vectorised: str | None = None, num_envs: int = 1) -> Stepper:
    """An environment of this package, panda-gym or Gymnasium-Robotics with random actions.

    `vectorised` may be `"async"`, Gymnasium's `AsyncVectorEnv`, or `"subproc"`, SB3's `SubprocVecEnv`.
    """
    env = make_gymnasium(env_id)
    step_seconds = 1.0 / env.metadata["render_fps"]
    shape = env.action_space.shape or ()
    actions = np.random.default_rng(0).uniform(-1, 1, (EPISODE, num_envs, *shape)).astype(np.float32)
    step: Callable[[int], Any]
    reset: Callable[[], Any]
    if vectorised is None:
        reset = env.reset

        def step(i: int) -> None:
            _, _, terminated, truncated, _ = env.step(actions[i % EPISODE, 0])
            if terminated or truncated:
                env.reset()

    else:
        env.close()
        makers = [lambda: make_gymnasium(env_id)] * num_envs
        vector: Any
        if vectorised == "async":
            from gymnasium.vector import AsyncVectorEnv

            vector = AsyncVectorEnv(makers)
        else:
            from stable_baselines3.common.vec_env import SubprocVecEnv

            vector = SubprocVecEnv(makers, start_method="fork")
        reset, step = vector.reset, lambda i: vector.step(actions[i % EPISODE])

    def measure(seconds: float) -> float:
        reset()
        return calls_per_second(step, seconds) * num_envs

    measure(0.1)
    return {"step_seconds": step_seconds}, measure


def mujoco(threads: int, num_envs: int) -> Stepper:
    """`mujoco.rollout` of the model that Genesis reads, on a ground: physics alone, in whole episodes.

    The joints walk at random, as far in each control step as the actions of `joint_delta` let them.
    """
    import importlib.util

    import mujoco as mj
    from mujoco.rollout import Rollout

    from genesis_gym.actions.joints import SPEED_SHARE
    from genesis_gym.robots.franka import FRANKA
    from genesis_gym.tasks.reach.reach import Reach

    package = importlib.util.find_spec("genesis")
    assert package is not None and package.origin is not None
    spec = mj.MjSpec.from_file(str(Path(package.origin).parent / "assets" / FRANKA.asset))
    spec.worldbody.add_geom(type=mj.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    spec.option.timestep = Reach.physics.dt
    model = spec.compile()

    pose = FRANKA.pose(None, joints := [model.joint(i).name for i in range(model.njnt)])
    home = np.array([pose.get(joint, 0.0) for joint in joints])
    data = [mj.MjData(model) for _ in range(threads)]
    data[0].qpos[:] = home
    full = mj.mjtState.mjSTATE_FULLPHYSICS
    state = np.empty(mj.mj_stateSize(model, full))
    mj.mj_getState(model, data[0], state, full)

    step_seconds = Reach.physics.dt * Reach.decimation
    travel = np.array([*FRANKA.actuators[0].velocity, 0.0, 0.0]) * SPEED_SHARE * step_seconds
    moves = np.random.default_rng(0).uniform(-1, 1, (num_envs, EPISODE, model.nu)) * travel
    control = np.clip(home + moves.cumsum(axis=1), *model.actuator_ctrlrange.T).repeat(Reach.decimation, axis=1)
    states = np.tile(state, (num_envs, 1))
    pool = Rollout(nthread=threads if threads > 1 else 0)

    def measure(seconds: float) -> float:
        return calls_per_second(lambda i: pool.rollout(model, data, states, control), seconds) * num_envs * EPISODE

    measure(0.1)
    return {"step_seconds": step_seconds}, measure


def make_gymnasium(env_id: str) -> Any:
    """Make an environment of this package, panda-gym or Gymnasium-Robotics."""
    import gymnasium as gym

    if "Genesis" in env_id:
        import genesis_gym  # noqa: F401
    elif "Fetch" in env_id:
        import gymnasium_robotics

        gym.register_envs(gymnasium_robotics)
    else:
        import panda_gym  # noqa: F401
    return gym.make(env_id)


KINDS: dict[str, Callable[..., Stepper]] = {"genesis": genesis, "gymnasium": gymnasium, "mujoco": mujoco}


def command(python: str | Path, kind: str, **settings: Any) -> list[str]:
    """What `common.Worker` runs to have a stepper."""
    return [str(python), __file__, json.dumps({"kind": kind, **settings})]


def main() -> None:
    """Build what the argument names and answer requests: their fields go to the stepper's `measure`."""
    settings = json.loads(sys.argv[1])
    channel = claim_stdout()
    before = memory_mb()
    facts, measure = KINDS[settings.pop("kind")](**settings)
    serve(channel, {**facts, "memory_before": before, "memory": memory_mb()}, measure)


if __name__ == "__main__":
    main()
