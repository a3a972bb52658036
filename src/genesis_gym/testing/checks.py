"""The checks, each of one rule or two: they run a vector environment and compare with the first run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from genesis_gym.testing.compare import TOLERANCE, describe, layout, same, short
from genesis_gym.testing.probe import Outcome, Probe, Run, difference
from genesis_gym.testing.rules import Ledger, blame

AnyVectorEnv = VectorEnv[Any, Any, Any]


def check_spaces(env: AnyVectorEnv, ledger: Ledger) -> None:
    """`spaces`."""
    for name in ("single_observation_space", "single_action_space", "observation_space", "action_space"):
        space = getattr(env, name, None)
        ledger.require("spaces", isinstance(space, Space), f"{name} is {describe(space)}, not a Space")
    expected = batch_space(env.single_observation_space, env.num_envs)
    ledger.require(  # bounds may differ between environments: SyncVectorEnv(observation_mode="different")
        "spaces",
        layout(env.observation_space) == layout(expected),
        f"observation_space is {env.observation_space}; from single_observation_space follows {expected}",
    )
    expected = batch_space(env.single_action_space, env.num_envs)
    given = f"action_space is {env.action_space}; from single_action_space follows {expected}"
    ledger.require("spaces", env.action_space == expected, given)


def check_seed(probe: Probe, base: Run, seed: int) -> None:
    """`seed`: a second run equals the first, and so do resets without a seed that follow a seeded one."""
    differs = difference(base.outcomes, probe.run(base.actions, seed))
    probe.ledger.require("seed", not differs, f"two runs with seed {seed} differ in {differs}")
    second = []
    for _ in range(2):
        probe.reset(seed)
        second.append([probe.reset()])
    differs = difference(second[0], second[1])
    given = f"reset(seed={seed}) and reset(), done twice, differ in {differs}"
    probe.ledger.require("seed", not differs, given)


def check_reset(probe: Probe, base: Run, seed: int) -> None:
    """`reset`: a reset right after the first end, where an autoreset may be pending, begins an ordinary run."""
    for step, _ in base.ends()[:1]:
        probe.run(base.actions[:step], seed)
        differs = difference(base.outcomes, probe.run(base.actions[: step + 1], seed))
        probe.ledger.require("reset", not differs, f"a run begun right after an end differs in {differs}")


def check_next_step(probe: Probe, base: Run) -> None:
    """`next_step`."""
    for step, env in base.ends():
        after = base.outcomes[step + 1]
        where = f"environment {env} ended at step {step}; at the next"
        reward = after.reward[env]
        probe.ledger.require("next_step", reward == 0, f"{where} its reward is {reward}, not 0")
        probe.ledger.require("next_step", not after.ended[env], f"{where} it is terminated or truncated again")


def check_next_step_action(probe: Probe, base: Run, seed: int) -> None:
    """`next_step_action`: a run with other actions right after the ends equals the first."""
    if base.ends():
        ignored = probe.sample(len(base.actions), seed + 1)
        differs = difference(base.outcomes, probe.run(base.actions, seed, ignored))
        given = f"with other actions right after the ends, the run differs in {differs}"
        probe.ledger.require("next_step_action", not differs, given)


def check_same_step(probe: Probe, base: Run) -> None:
    """`final_obs`, `final_obs_is_last` and `final_info`."""
    changed = []
    for step, outcome in enumerate(base.outcomes):
        if outcome.ended.any():
            changed += _check_final(probe, outcome, step)
            continue
        for key in ("final_obs", "final_info"):
            given = f"no environment ended at step {step}, but infos['_{key}'] has a True"
            if np.any(outcome.infos.get(f"_{key}", False)):
                probe.ledger.require(key, False, given)
    observations = [outcome.observations for outcome in base.outcomes]
    if changed and len(observations) > 1 and all(same(each, observations[0]) for each in observations[1:]):
        probe.ledger.miss("final_obs_is_last", "the observation never changed")
    elif changed:
        given = "final_obs is the observation that follows it, at every end"
        probe.ledger.require("final_obs_is_last", any(changed), given)


def _check_final(probe: Probe, outcome: Outcome, step: int) -> list[bool]:
    """Check what infos hold at an end.

    Returns:
        For each environment that ended, whether `final_obs` differs from the observation returned.
    """
    require = probe.ledger.require
    ended = np.flatnonzero(outcome.ended)
    for key in ("final_obs", "final_info"):
        where = f"at step {step}, where environments {ended} ended,"
        require(key, {key, f"_{key}"} <= outcome.infos.keys(), f"{where} infos lack {key!r} or its mask")
        mask = outcome.infos[f"_{key}"]
        require(key, same(mask, outcome.ended), f"{where} infos['_{key}'] is {mask}")
    final_info, final_obs = outcome.infos["final_info"], outcome.infos["final_obs"]
    require("final_info", isinstance(final_info, dict), f"final_info is {describe(final_info)}, not a dict")
    given = f"final_obs is {describe(final_obs)}; it must be an array with an entry for each environment"
    require("final_obs", np.shape(final_obs)[:1] == (probe.num_envs,), given)
    for env in ended:
        given = f"final_obs[{env}] of step {step} is not in single_observation_space"
        require("final_obs", final_obs[env] in probe.env.single_observation_space, given)
    return [not same(final_obs[env], outcome.observations[env]) for env in ended]


def check_reset_mask(probe: Probe, base: Run, seed: int, *, independent: bool) -> None:
    """`reset_mask`: reset environment 0 in the middle of its first episode.

    Args:
        probe: The environment.
        base: The first run.
        seed: Its seed.
        independent: Whether environments have random sequences of their own, so that the others must continue
            as if nothing had happened.
    """
    if probe.num_envs == 1:
        probe.ledger.miss("reset_mask", "there is one environment only")
        return
    ends = base.ends()
    middle = (ends[0][0] if ends else len(base.actions)) // 2
    before = probe.run(base.actions[:middle], seed)[-1]
    after = probe.reset_some(np.arange(probe.num_envs) == 0, before)
    if not independent:
        return
    others = [(env, env) for env in range(1, probe.num_envs)]
    continued = probe.resume(after, base.actions[middle:])
    differs = difference(base.outcomes[middle + 1 :], continued[1:], others)
    given = f"after a reset of environment 0, the run differs in {differs}"
    probe.ledger.require("reset_mask", not differs, given)
    probe.run(base.actions[:middle], seed)
    differs = difference([after], [probe.reset()], [(0, 0)])
    given = f"a reset of environment 0 and one of all environments differ in {differs}"
    probe.ledger.require("reset_mask", not differs, given)


def check_env_seeding(probe: Probe, base: Run, seed: int) -> None:
    """`env_seeding`: with the seeds in reverse order the environments change places; None seeds nothing anew."""
    envs = range(probe.num_envs)
    seeds: list[int | None] = [seed + env for env in envs]
    with blame("env_seeding", "reset() with a list of seeds"):
        reversed_run = probe.run([action[::-1] for action in base.actions], seeds[::-1])
        probe.reset(seed)
        partly = probe.reset([None, *seeds[1:]])
    differs = difference(base.outcomes, reversed_run, list(zip(envs, reversed(envs), strict=True)))
    given = f"reset(seed={seed}) and reset(seed={seeds[::-1]}) in reverse order differ in {differs}"
    probe.ledger.require("env_seeding", not differs, given)
    differs = difference(base.outcomes[:1], [partly], [(env, env) for env in envs[1:]])
    given = f"reset(seed={seed}) and reset(seed={[None, *seeds[1:]]}) differ in {differs}"
    probe.ledger.require("env_seeding", not differs, given)
    probe.reset(seed)
    differs = difference([probe.reset()], [partly], [(0, 0)])
    given = f"environment 0 reset with seed None, alone or with all others, differs in {differs}"
    probe.ledger.require("env_seeding", not differs, given)


def check_new_episode(probe: Probe, base: Run, seed: int) -> None:
    """`new_episode`: compare what follows the first end with what `reset` returns there."""
    for step, env in base.ends()[:1]:
        if probe.mode is AutoresetMode.SAME_STEP:
            expected = _second_episode(probe, base, seed, step, env)
            shown = base.outcomes[step].observations[env]
        else:
            probe.run(base.actions[:step], seed)
            expected = probe.reset().observations[env]
            next_step = probe.mode is AutoresetMode.NEXT_STEP
            shown = base.outcomes[step + 1].observations[env] if next_step else base.outcomes[step].start[env]
        if expected is None:
            reason = "the first episode has one step only, or its steps draw random numbers"
            probe.ledger.miss("new_episode", reason)
            return
        given = f"environment {env} ended at step {step} and then shows {short(shown)}"
        given = f"{given}; reset() would have returned {short(expected)}"
        probe.ledger.require("new_episode", same(shown, expected, TOLERANCE), given)


def check_disabled(probe: Probe, base: Run, seed: int) -> None:
    """`disabled`: an environment that reset itself shows the first observation of its second episode when it ends.

    A single one may happen to end where it begins, so the rule is broken only if all of them show it.
    """
    first_ends = {env: step for step, env in reversed(base.ends())}
    reset_itself = []
    for env, step in first_ends.items():
        expected = _second_episode(probe, base, seed, step, env)
        if expected is not None and not same(base.outcomes[step - 1].observations[env], expected, TOLERANCE):
            reset_itself.append(same(base.outcomes[step].observations[env], expected, TOLERANCE))
    if reset_itself:
        given = "environments that end show the first observation of their next episode"
        probe.ledger.require("disabled", not all(reset_itself), given)
    probe.ledger.miss("disabled", "the first episodes have one step only, or their steps draw random numbers")


def _second_episode(probe: Probe, base: Run, seed: int, step: int, env: int) -> Any | None:
    """The first observation of an environment's second episode, found without reaching the end at `step`.

    It is what a reset returns one step before the end, and two steps before. If these differ, steps draw random
    numbers and nothing can be said: None.
    """
    firsts = []
    for steps in (step - 2, step - 1):
        if steps < 0:
            return None
        probe.run(base.actions[:steps], seed)
        firsts.append(probe.reset().observations[env])
    return firsts[0] if same(firsts[0], firsts[1], TOLERANCE) else None


def check_batch_size_invariance(probe: Probe, base: Run, seed: int) -> None:
    """`batch_size_invariance`: environment 0 is the same beside another number of environments."""
    outcomes = probe.run([list(action[:1]) * probe.num_envs for action in base.actions], seed)
    differs = difference(base.outcomes, outcomes, [(0, 0)])
    given = f"with {probe.num_envs} environments, the run differs in {differs}"
    probe.ledger.require("batch_size_invariance", not differs, given)


def check_close(env: AnyVectorEnv, ledger: Ledger, seed: int, promises: Collection[str]) -> None:
    """`close` and, where promised, `closed_raises`."""
    with blame("close", "close(), called twice,"):
        env.close()
        env.close()
    ledger.require("close", env.closed is True, f"closed is {env.closed} after close()")
    if "closed_raises" not in promises:
        return
    actions = env.action_space.sample()
    for name, call in (("reset", lambda: env.reset(seed=seed)), ("step", lambda: env.step(actions))):
        with blame("closed_raises", f"{name}() of a closed environment"):
            try:
                call()
            except ClosedEnvironmentError:
                ledger.require("closed_raises", True, "")
                continue
        ledger.require("closed_raises", False, f"{name}() of a closed environment raised nothing")
