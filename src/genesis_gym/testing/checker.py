"""`check_vector_env`: which checks a vector environment goes through, and in which order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv

from genesis_gym.errors import ArgumentError, check_choice, check_positive_int
from genesis_gym.testing import checks
from genesis_gym.testing.probe import Probe, Run
from genesis_gym.testing.rules import PROMISES, RULES_OF_ENDS, RULES_OF_MODE, RULES_OF_TWO_RUNS, Ledger, Report

AnyVectorEnv = VectorEnv[Any, Any, Any]


def check_vector_env(
    make: Callable[[int], AnyVectorEnv] | AnyVectorEnv,
    *,
    num_envs: int = 3,
    steps: int = 100,
    seed: int = 0,
    promises: Collection[str] = (),
) -> Report:
    """Check that a vector environment keeps Gymnasium's contract.

    Observations may be of any space: vectors, images, and dicts and tuples of them. Actions are drawn at random,
    so episodes should be so short that some end within `steps`.

    Args:
        make: A function that takes a number and makes a vector environment of so many environments; it is closed
            afterwards. Or a vector environment: it is left open, in whatever state it then is, and `close` and
            `batch_size_invariance` are not checked.
        num_envs: Environments to make; at least 2 to see that one leaves another alone.
        steps: Steps of each run. There are about ten runs.
        seed: Seed of the environment and of the actions.
        promises: Names in `PROMISES`: rules that this environment keeps beyond those that every environment must.

    Returns:
        The rules that were checked, and those that could not be, with the reason.

    Raises:
        ContractError: A rule is broken.
        ArgumentError: An argument has a value that is not allowed, or `make` does not make what it should.
    """
    for promise in promises:
        check_choice("promises", promise, PROMISES)
    check_positive_int("num_envs", num_envs)
    check_positive_int("steps", steps)
    ledger = Ledger()
    if isinstance(make, VectorEnv):
        _check_open(make, ledger, steps, seed, promises)
        for rule in ("batch_size_invariance", "close", "closed_raises"):
            ledger.miss(rule, "an environment was given; give a function that makes one")
        return ledger.report()

    _check_maker(make)
    env = _make(make, num_envs)
    try:
        base = _check_open(env, ledger, steps, seed, promises)
        if base is None:
            ledger.miss("batch_size_invariance", "the environment's spec says that it is nondeterministic")
        elif "batch_size_invariance" in promises:
            other = _make(make, 1 if num_envs > 1 else 2)
            try:
                checks.check_spaces(other, ledger)
                checks.check_batch_size_invariance(Probe(other, ledger), base, seed)
            finally:
                other.close()
    except BaseException:
        env.close()
        raise
    checks.check_close(env, ledger, seed, promises)
    return ledger.report()


def _check_maker(make: object) -> None:
    """Refuse what cannot be called with a number of environments."""
    wanted = "give a function that takes a number and makes a VectorEnv of so many environments, or a VectorEnv"
    if isinstance(make, gymnasium.Env):
        raise ArgumentError(f"make is a {type(make).__name__}, which is a single environment; {wanted}")
    if not callable(make):
        raise ArgumentError(f"make is a {type(make).__name__}; {wanted}")
    try:
        inspect.signature(make).bind(1)
    except TypeError as error:
        raise ArgumentError(f"make must take one argument, the number of environments: {error}") from error
    except ValueError:  # a callable written in C may have no signature
        return


def _make(make: Callable[[int], AnyVectorEnv], num_envs: int) -> AnyVectorEnv:
    """Make a vector environment and see that it is one, of so many environments."""
    env: object = make(num_envs)
    if isinstance(env, VectorEnv) and env.num_envs == num_envs:
        return env
    if isinstance(env, (VectorEnv, gymnasium.Env)):
        env.close()
    call = f"make({num_envs}) returned"
    if isinstance(env, VectorEnv):
        raise ArgumentError(
            f"{call} {env.num_envs} environments; it must make as many as its argument says: "
            "make=lambda num_envs: gymnasium.make_vec(env_id, num_envs=num_envs)"
        )
    kind = f"{call} a {type(env).__name__}"
    if isinstance(env, gymnasium.Env):
        raise ArgumentError(f"{kind}, which is a single environment; it must be a gymnasium VectorEnv (make_vec)")
    raise ArgumentError(f"{kind}; it must be a gymnasium VectorEnv")


def _check_open(env: AnyVectorEnv, ledger: Ledger, steps: int, seed: int, promises: Collection[str]) -> Run | None:
    """Check all but closing.

    Returns:
        The run that others may be compared with; None where two runs cannot be compared.
    """
    checks.check_spaces(env, ledger)
    mode = env.metadata.get("autoreset_mode")
    given = f"metadata['autoreset_mode'] is {mode!r}; it must be an AutoresetMode"
    ledger.require("autoreset_mode", isinstance(mode, AutoresetMode), given)
    probe = Probe(env, ledger)
    actions = probe.sample(steps, seed)
    base = Run(actions, probe.run(actions, seed))
    for other, rules in RULES_OF_MODE.items():
        for rule in rules:
            if other is not probe.mode:
                ledger.miss(rule, f"the autoreset mode is {probe.mode.name}")
    if not base.ends():
        for rule in RULES_OF_ENDS:
            ledger.miss(rule, f"no episode ended before step {steps}, the last one")
    if probe.mode is AutoresetMode.NEXT_STEP:
        checks.check_next_step(probe, base)
    elif probe.mode is AutoresetMode.SAME_STEP:
        checks.check_same_step(probe, base)
    if env.spec is not None and env.spec.nondeterministic:
        for rule in RULES_OF_TWO_RUNS:
            ledger.miss(rule, "the environment's spec says that it is nondeterministic")
        return None
    _compare_runs(probe, base, seed, promises)
    return base


def _compare_runs(probe: Probe, base: Run, seed: int, promises: Collection[str]) -> None:
    """Make further runs and compare them with the first."""
    checks.check_seed(probe, base, seed)
    checks.check_reset(probe, base, seed)
    if probe.mode is AutoresetMode.NEXT_STEP:
        checks.check_next_step_action(probe, base, seed)
    if probe.mode is AutoresetMode.DISABLED or "reset_mask" in promises:
        checks.check_reset_mask(probe, base, seed, independent="env_seeding" in promises)
    if "env_seeding" in promises:
        checks.check_env_seeding(probe, base, seed)
        checks.check_new_episode(probe, base, seed)
        if probe.mode is AutoresetMode.DISABLED:
            checks.check_disabled(probe, base, seed)
    else:
        for rule in ("new_episode", "disabled"):
            probe.ledger.miss(rule, "it needs the promise env_seeding")
