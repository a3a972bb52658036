"""A checker for any `gymnasium.vector.VectorEnv`: does it keep Gymnasium's contract?

Gymnasium has `gymnasium.utils.env_checker.check_env` for single environments and nothing for vectors of them. This
module needs numpy and Gymnasium alone. It runs the environment a few times with the same seed and compares; every
thing that it asks for is a rule of `RULES`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space, spaces
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from genesis_gym.errors import ArgumentError, GenesisGymError, check_choice, check_positive_int

#: Rule → what it asks for.
RULES = {
    "spaces": "the batched spaces are `batch_space` of the single ones",
    "autoreset_mode": "`metadata['autoreset_mode']` is an `AutoresetMode`",
    "returns": "`reset` returns observations and infos, `step` these two and rewards, terminations, truncations",
    "observation_shape": "observations have the structure and shapes of `observation_space`",
    "observation_dtype": "observations have the dtypes of `observation_space`",
    "observation_contained": "observations lie in `observation_space`",
    "rewards": "rewards are a finite real array of shape `(num_envs,)`",
    "flags": "terminations and truncations are bool arrays of shape `(num_envs,)`",
    "info_masks": "an info has an entry for each row, or is a dict of such; its mask `_key` is bool `(num_envs,)`",
    "results_kept": "what `reset` and `step` returned never changes afterwards",
    "actions_kept": "`step` does not change the actions given",
    "seed": "the same seed and actions give the same episodes, also those after the first",
    "reset": "`reset` begins anew in every row, also in one that has just ended",
    "next_step": "NEXT_STEP: the step after an end has reward 0 and ends nothing in that row",
    "next_step_action": "NEXT_STEP: the step after an end ignores that row's action",
    "final_obs": "SAME_STEP: `final_obs` has an observation of each row that ended, `_final_obs` says which",
    "final_obs_is_last": "SAME_STEP: `final_obs` is the last observation of an episode, not the first of the next",
    "final_info": "SAME_STEP: `final_info` is a dict, `_final_info` says which rows ended",
    "disabled": "DISABLED: a row that ended shows its last observation and waits for the user's reset",
    "reset_mask": "`reset(options={'reset_mask': mask})` resets those rows and leaves the others alone",
    "new_episode": "the observation that follows an end is the one that `reset` would have given",
    "row_seeding": "an int seeds row i with `seed + i`, a list each row, None lets a row's random sequence go on",
    "batch_size_invariance": "a row's episodes do not depend on the number of rows",
    "close": "`close` may be called twice and sets `closed`",
    "closed_raises": "`reset` and `step` of a closed environment raise `ClosedEnvironmentError`",
}

#: Rules that Gymnasium leaves to each environment: they are checked where the caller promises them. `reset_mask`
#: needs no promise in DISABLED mode. `row_seeding` means that each row has a random sequence of its own, as
#: `SyncVectorEnv` gives it; `new_episode` and `disabled` can be checked with it only.
PROMISES = ("row_seeding", "reset_mask", "batch_size_invariance", "closed_raises")

#: Absolute and relative difference up to which two runs count as the same, that of Gymnasium's `check_env`.
TOLERANCE = 1e-5

#: How many results are watched for changes: buffers that take turns are found too.
WATCHED = 4

_OF_MODE = {
    AutoresetMode.NEXT_STEP: ("next_step", "next_step_action"),
    AutoresetMode.SAME_STEP: ("final_obs", "final_obs_is_last", "final_info"),
    AutoresetMode.DISABLED: ("disabled",),
}
_NEEDS_AN_END = (*(rule for rules in _OF_MODE.values() for rule in rules), "reset", "new_episode")

Array = NDArray[Any]
Actions = Sequence[Sequence[Any]]


class ContractError(GenesisGymError, AssertionError):
    """A vector environment breaks a rule.

    Attributes:
        rule: Its name in `RULES`.
    """

    def __init__(self, rule: str, message: str) -> None:
        one_line = " ".join(message.split())  # arrays and spaces are written over many
        super().__init__(f"{rule}: {one_line} (the rule: {RULES[rule]})")
        self.rule = rule


@dataclass(frozen=True)
class Report:
    """What was checked; each rule of `RULES` is in one of the two.

    Attributes:
        checked: Rules that were put to the test and kept.
        not_reached: Rule → why nothing was seen of it.
    """

    checked: tuple[str, ...]
    not_reached: dict[str, str]

    def __str__(self) -> str:
        lines = [f"checked      {rule}" for rule in self.checked]
        lines += [f"not reached  {rule}: {reason}" for rule, reason in self.not_reached.items()]
        return "\n".join(lines)


def check_vector_env(
    make: Callable[[int], VectorEnv[Any, Any, Any]] | VectorEnv[Any, Any, Any],
    *,
    num_envs: int = 3,
    steps: int = 100,
    seed: int = 0,
    promises: Collection[str] = (),
) -> Report:
    """Check that a vector environment keeps Gymnasium's contract.

    Actions are drawn at random, so episodes should be so short that some end within `steps`.

    Args:
        make: Makes an environment of so many rows; what it made is closed. Or an environment, which is left
            open, wherever it then stands: `close` and `batch_size_invariance` are not reached.
        num_envs: Rows to make; at least 2 to see one row leave another alone.
        steps: Steps of each run. There are about ten runs.
        seed: Seed of the environment and of the actions.
        promises: Names in `PROMISES`: what this environment keeps beyond what every environment must.

    Returns:
        The rules that were checked, and those that could not be, with the reason.

    Raises:
        ContractError: A rule is broken.
        ArgumentError: An argument has a value that is not allowed.
    """
    for promise in promises:
        check_choice("promises", promise, PROMISES)
    check_positive_int("num_envs", num_envs)
    check_positive_int("steps", steps)
    ledger = _Ledger()
    if isinstance(make, VectorEnv):
        _check_open(make, ledger, make.num_envs, steps, seed, promises)
        for rule in ("batch_size_invariance", "close", "closed_raises"):
            ledger.miss(rule, "an environment was given; give a function that makes one")
        return ledger.report()

    env = make(num_envs)
    if not isinstance(env, VectorEnv):
        raise ArgumentError(f"make({num_envs}) gave a {type(env).__name__}; it must be a gymnasium VectorEnv")
    try:
        base = _check_open(env, ledger, num_envs, steps, seed, promises)
        if base is None:
            ledger.miss("batch_size_invariance", "the environment's spec says that it is nondeterministic")
        elif "batch_size_invariance" in promises:
            _check_batch_size_invariance(make, ledger, base, seed)
    except BaseException:
        env.close()
        raise
    _check_close(env, ledger, seed, promises)
    return ledger.report()


class _Ledger:
    """Which rules were put to the test."""

    def __init__(self) -> None:
        self._checked: set[str] = set()
        self._missed: dict[str, str] = {}

    def require(self, rule: str, kept: Any, message: str) -> None:
        self._checked.add(rule)
        if not kept:
            raise ContractError(rule, message)

    def miss(self, rule: str, reason: str) -> None:
        self._missed.setdefault(rule, reason)

    def report(self) -> Report:
        for rule in PROMISES:
            self.miss(rule, "not promised")
        missed = [rule for rule in RULES if rule not in self._checked]
        return Report(
            tuple(rule for rule in RULES if rule in self._checked),
            {rule: self._missed.get(rule, "nothing like it occurred") for rule in missed},
        )


class _Outcome(NamedTuple):
    """What `reset` or `step` gave, copied; after `reset`, rewards are 0 and no row has ended.

    `start` is what the rows act on next: in DISABLED mode, after an end, what the reset that followed gave.
    """

    rows: list[Any]
    reward: Array
    terminated: Array
    truncated: Array
    infos: dict[str, Any]
    start: list[Any]

    @property
    def ended(self) -> NDArray[np.bool_]:
        ended: NDArray[np.bool_] = self.terminated | self.truncated
        return ended


class _Run(NamedTuple):
    """A run that others are compared with, the reset first, and the actions that it took."""

    actions: Actions
    outcomes: list[_Outcome]

    def ends(self) -> list[tuple[int, int]]:
        """Step and row of each end that another step followed, in order."""
        return [
            (step, row) for step, o in enumerate(self.outcomes[:-1]) for row in np.flatnonzero(o.ended).tolist()
        ]


class _Probe:
    """Drives the environment and checks all that it returns, whatever it was asked for."""

    def __init__(self, env: VectorEnv[Any, Any, Any], ledger: _Ledger) -> None:
        self.env = env
        self.ledger = ledger
        self.mode: AutoresetMode = env.metadata["autoreset_mode"]
        self.num_envs = env.num_envs
        self._watched: deque[tuple[str, Any, Any]] = deque(maxlen=WATCHED)

    def sample(self, steps: int, seed: int) -> Actions:
        """Draw an action for each step and row, from a copy of the space: the user's own is left alone."""
        space = deepcopy(self.env.single_action_space)
        space.seed(seed)
        return [[space.sample() for _ in range(self.num_envs)] for _ in range(steps)]

    def reset(self, seed: int | Sequence[int | None] | None = None, mask: Array | None = None) -> _Outcome:
        options = None if mask is None else {"reset_mask": mask.copy()}
        result = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # typed narrower than it is
        self.ledger.require("returns", _is_tuple(result, 2), f"reset() returned {_describe(result)}")
        self._watch("reset()", result)
        nothing = np.zeros(self.num_envs, np.bool_)
        return self._outcome("reset()", result[0], np.zeros(self.num_envs), nothing, nothing, result[1])

    def step(self, actions: Sequence[Any]) -> _Outcome:
        space = self.env.single_action_space
        empty: Any = create_empty_array(space, n=self.num_envs)
        batch: Any = concatenate(space, actions, empty)
        given = deepcopy(batch)
        result = self.env.step(batch)
        self.ledger.require("actions_kept", _same(batch, given), "the actions given to step() have changed")
        self.ledger.require("returns", _is_tuple(result, 5), f"step() returned {_describe(result)}")
        self._watch("step()", result)
        return self._outcome("step()", *result)

    def run(
        self, actions: Actions, seed: int | Sequence[int | None], ignored: Actions | None = None
    ) -> list[_Outcome]:
        """Reset and take these actions; rows that have just ended take those of `ignored`, if given."""
        return self.go_on(self.reset(seed), actions, ignored)

    def go_on(self, outcome: _Outcome, actions: Actions, ignored: Actions | None = None) -> list[_Outcome]:
        """Take these actions. In DISABLED mode, rows that ended are reset before the next step."""
        outcomes = [outcome]
        for number, action in enumerate(actions):
            ended = outcomes[-1].ended
            if ended.any() and self.mode is AutoresetMode.DISABLED:
                outcomes[-1] = outcomes[-1]._replace(start=self.reset_some(ended, outcomes[-1]).rows)
            if ignored is not None:
                action = [ignored[number][row] if ended[row] else own for row, own in enumerate(action)]
            outcomes.append(self.step(action))
        return outcomes

    def reset_some(self, mask: Array, before: _Outcome) -> _Outcome:
        """Reset the rows of the mask; the others must show what they showed before."""
        with _naming("reset_mask", f"reset(options={{'reset_mask': {mask}}})"):
            after = self.reset(mask=mask)
        for row in np.flatnonzero(~mask):
            kept = _same(after.rows[row], before.rows[row], TOLERANCE)
            self.ledger.require("reset_mask", kept, f"row {row} shows another observation after others were reset")
        return after

    def _outcome(
        self, what: str, observations: Any, reward: Any, terminated: Any, truncated: Any, infos: Any
    ) -> _Outcome:
        self._check_observations(what, observations)
        self._check_rewards(reward)
        for name, flags in (("terminations", terminated), ("truncations", truncated)):
            self.ledger.require(
                "flags",
                self._is_mask(flags),
                f"{name} are {_describe(flags)}; they must be bool ({self.num_envs},)",
            )
        self.ledger.require(
            "returns", isinstance(infos, dict), f"infos of {what} are {_describe(infos)}, not a dict"
        )
        self._check_infos(infos, "infos")
        rows = list(iterate(self.env.observation_space, deepcopy(observations)))
        return _Outcome(rows, *deepcopy((reward, terminated, truncated, infos)), start=rows)

    def _check_observations(self, what: str, observations: Any) -> None:
        for name, space, value in _leaves(self.env.observation_space, observations, f"observations of {what}"):
            holds_parts = isinstance(space, (spaces.Dict, spaces.Tuple))
            wanted = f"have the parts of {space}" if holds_parts else f"be {space.dtype} {space.shape}"
            given = f"{name} are {_describe(value)}; they must {wanted}"
            fits = not holds_parts and (space.shape is None or np.shape(value) == space.shape)
            self.ledger.require("observation_shape", fits, given)
            if isinstance(space, (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)):
                fits = isinstance(value, np.ndarray) and value.dtype == space.dtype
                self.ledger.require("observation_dtype", fits, given)
            fits = value in space
            given = "" if fits else f"{name} are not in {space}: {value}"  # images are slow to write
            self.ledger.require("observation_contained", fits, given)

    def _check_rewards(self, reward: Any) -> None:
        fits = isinstance(reward, np.ndarray) and reward.dtype.kind in "iuf" and reward.shape == (self.num_envs,)
        wanted = f"they must be real numbers, ({self.num_envs},)"
        self.ledger.require("rewards", fits, f"rewards are {_describe(reward)}; {wanted}")
        self.ledger.require("rewards", np.isfinite(reward).all(), f"rewards are {reward}; they must be finite")

    def _check_infos(self, infos: dict[str, Any], path: str) -> None:
        """Read infos as Gymnasium's `DictInfoToList` does: without a mask, every row has the info."""
        for key, value in infos.items():
            name = f"{path}[{key!r}]"
            if isinstance(value, dict):
                self._check_infos(value, name)
            elif key.startswith("_") and key[1:] in infos:
                wanted = f"it must be bool ({self.num_envs},)"
                self.ledger.require("info_masks", self._is_mask(value), f"{name} is {_describe(value)}; {wanted}")
            elif not key.startswith("_"):
                fits = isinstance(value, np.ndarray) and np.shape(value)[:1] == (self.num_envs,)
                wanted = f"it must be an array with {self.num_envs} entries, or a dict of such"
                self.ledger.require("info_masks", fits, f"{name} is {_describe(value)}; {wanted}")
        if not infos:
            self.ledger.miss("info_masks", "no infos were returned")

    def _is_mask(self, value: Any) -> bool:
        return isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.shape == (self.num_envs,)

    def _watch(self, what: str, result: Any) -> None:
        for earlier, kept, copy in self._watched:
            unchanged = _same(kept, copy)
            self.ledger.require(
                "results_kept", unchanged, f"what {earlier} returned was changed by a later {what}"
            )
        self._watched.append((what, result, deepcopy(result)))


def _check_open(
    env: VectorEnv[Any, Any, Any], ledger: _Ledger, num_envs: int, steps: int, seed: int, promises: Collection[str]
) -> _Run | None:
    """Check all but closing; give the run that others may be compared with, None where runs cannot be compared."""
    _check_spaces(env, ledger, num_envs)
    mode = env.metadata.get("autoreset_mode")
    given = f"metadata['autoreset_mode'] is {mode!r}"
    ledger.require("autoreset_mode", isinstance(mode, AutoresetMode), f"{given}; it must be an AutoresetMode")
    probe = _Probe(env, ledger)
    actions = probe.sample(steps, seed)
    base = _Run(actions, probe.run(actions, seed))
    for other, rules in _OF_MODE.items():
        for rule in rules:
            if other is not probe.mode:
                ledger.miss(rule, f"the autoreset mode is {probe.mode.name}")
    if not base.ends():
        for rule in _NEEDS_AN_END:
            ledger.miss(rule, f"no episode ended before step {steps}, the last one")
    if probe.mode is AutoresetMode.NEXT_STEP:
        _check_next_step(probe, base)
    elif probe.mode is AutoresetMode.SAME_STEP:
        _check_same_step(probe, base)
    if env.spec is not None and env.spec.nondeterministic:
        for rule in ("seed", "reset", "next_step_action", "disabled", "reset_mask", "new_episode", "row_seeding"):
            ledger.miss(rule, "the environment's spec says that it is nondeterministic")
        return None

    _check_seed(probe, base, seed)
    _check_reset(probe, base, seed)
    if probe.mode is AutoresetMode.NEXT_STEP:
        _check_next_step_action(probe, base, seed)
    if probe.mode is AutoresetMode.DISABLED or "reset_mask" in promises:
        _check_reset_mask(probe, base, seed, rows_are_independent="row_seeding" in promises)
    if "row_seeding" in promises:
        _check_row_seeding(probe, base, seed)
        _check_new_episode(probe, base, seed)
        if probe.mode is AutoresetMode.DISABLED:
            _check_disabled(probe, base, seed)
    else:
        for rule in ("new_episode", "disabled"):
            ledger.miss(rule, "it needs the promise row_seeding")
    return base


def _check_spaces(env: VectorEnv[Any, Any, Any], ledger: _Ledger, num_envs: int) -> None:
    ledger.require("spaces", env.num_envs == num_envs, f"num_envs is {env.num_envs}; it was made with {num_envs}")
    for name in ("single_observation_space", "single_action_space", "observation_space", "action_space"):
        space = getattr(env, name, None)
        ledger.require("spaces", isinstance(space, Space), f"{name} is {_describe(space)}, not a Space")
    expected = batch_space(env.single_observation_space, num_envs)
    ledger.require(  # bounds may differ between rows: SyncVectorEnv(observation_mode="different")
        "spaces",
        _layout(env.observation_space) == _layout(expected),
        f"observation_space is {env.observation_space}; of single_observation_space follows {expected}",
    )
    expected = batch_space(env.single_action_space, num_envs)
    given = f"action_space is {env.action_space}; of single_action_space follows {expected}"
    ledger.require("spaces", env.action_space == expected, given)


def _check_seed(probe: _Probe, base: _Run, seed: int) -> None:
    difference = _difference(base.outcomes, probe.run(base.actions, seed))
    probe.ledger.require("seed", not difference, f"two runs with seed {seed} differ in {difference}")
    second = []
    for _ in range(2):
        probe.reset(seed)
        second.append([probe.reset()])
    difference = _difference(second[0], second[1])
    probe.ledger.require(
        "seed", not difference, f"reset(seed={seed}) and reset(), done twice, differ in {difference}"
    )


def _check_reset(probe: _Probe, base: _Run, seed: int) -> None:
    """Reset right after the first end, where an autoreset may still be waiting, and compare what follows."""
    for step, _ in base.ends()[:1]:
        probe.run(base.actions[:step], seed)
        difference = _difference(base.outcomes, probe.run(base.actions[: step + 1], seed))
        probe.ledger.require("reset", not difference, f"a run begun right after an end differs in {difference}")


def _check_next_step(probe: _Probe, base: _Run) -> None:
    for step, row in base.ends():
        after = base.outcomes[step + 1]
        where = f"row {row} ended at step {step}; at the next"
        reward = after.reward[row]
        probe.ledger.require("next_step", reward == 0, f"{where} its reward is {reward}, not 0")
        probe.ledger.require("next_step", not after.ended[row], f"{where} it is terminated or truncated again")


def _check_next_step_action(probe: _Probe, base: _Run, seed: int) -> None:
    if base.ends():
        ignored = probe.sample(len(base.actions), seed + 1)
        difference = _difference(base.outcomes, probe.run(base.actions, seed, ignored))
        given = f"with other actions right after the ends, the run differs in {difference}"
        probe.ledger.require("next_step_action", not difference, given)


def _check_same_step(probe: _Probe, base: _Run) -> None:
    require = probe.ledger.require
    space = probe.env.single_observation_space
    differ = []
    for step, outcome in enumerate(base.outcomes):
        if not outcome.ended.any():
            for key in ("final_obs", "final_info"):
                if np.any(outcome.infos.get(f"_{key}", False)):
                    require(key, False, f"no row ended at step {step}, but infos['_{key}'] has a True")
            continue
        for key in ("final_obs", "final_info"):
            where = f"at step {step}, where rows {np.flatnonzero(outcome.ended)} ended,"
            require(key, {key, f"_{key}"} <= outcome.infos.keys(), f"{where} infos lack {key!r} or its mask")
            mask = outcome.infos[f"_{key}"]
            require(key, _same(mask, outcome.ended), f"{where} infos['_{key}'] is {mask}")
        final_info = outcome.infos["final_info"]
        require("final_info", isinstance(final_info, dict), f"final_info is {_describe(final_info)}, not a dict")
        final_obs = outcome.infos["final_obs"]
        for row in np.flatnonzero(outcome.ended):
            given = f"final_obs[{row}] of step {step} is not in single_observation_space"
            require("final_obs", final_obs[row] in space, given)
            differ.append(not _same(final_obs[row], outcome.rows[row]))
    if differ and len(base.outcomes) > 1 and all(_same(o.rows, base.outcomes[0].rows) for o in base.outcomes[1:]):
        probe.ledger.miss("final_obs_is_last", "the observation never changed")
    elif differ:
        require("final_obs_is_last", any(differ), "final_obs is the observation that follows it, at every end")


def _check_reset_mask(probe: _Probe, base: _Run, seed: int, *, rows_are_independent: bool) -> None:
    """Reset row 0 amid its first episode; if rows are independent, the others go on as if nothing was."""
    if probe.num_envs == 1:
        probe.ledger.miss("reset_mask", "there is one row only")
        return
    ends = base.ends()
    midst = (ends[0][0] if ends else len(base.actions)) // 2
    before = probe.run(base.actions[:midst], seed)[-1]
    after = probe.reset_some(np.arange(probe.num_envs) == 0, before)
    if not rows_are_independent:
        return
    others = [(row, row) for row in range(1, probe.num_envs)]
    played = probe.go_on(after, base.actions[midst:])
    difference = _difference(base.outcomes[midst + 1 :], played[1:], others)
    probe.ledger.require("reset_mask", not difference, f"after a reset of row 0, the run differs in {difference}")
    probe.run(base.actions[:midst], seed)
    difference = _difference([after], [probe.reset()], [(0, 0)])
    given = f"a reset of row 0 and one of all rows differ in {difference}"
    probe.ledger.require("reset_mask", not difference, given)


def _check_row_seeding(probe: _Probe, base: _Run, seed: int) -> None:
    rows = range(probe.num_envs)
    seeds: list[int | None] = [seed + row for row in rows]
    with _naming("row_seeding", "reset() with a list of seeds"):
        turned = probe.run([action[::-1] for action in base.actions], seeds[::-1])
        probe.reset(seed)
        partly = probe.reset([None, *seeds[1:]])
    difference = _difference(base.outcomes, turned, list(zip(rows, reversed(rows), strict=True)))
    given = f"reset(seed={seed}) and the rows of reset(seed={seeds[::-1]}), turned around, differ in {difference}"
    probe.ledger.require("row_seeding", not difference, given)
    difference = _difference(base.outcomes[:1], [partly], [(row, row) for row in rows[1:]])
    given = f"reset(seed={seed}) and reset(seed={[None, *seeds[1:]]}) differ in {difference}"
    probe.ledger.require("row_seeding", not difference, given)
    probe.reset(seed)
    difference = _difference([probe.reset()], [partly], [(0, 0)])
    given = f"row 0 reset with seed None, alone or with all others, differs in {difference}"
    probe.ledger.require("row_seeding", not difference, given)


def _check_new_episode(probe: _Probe, base: _Run, seed: int) -> None:
    for step, row in base.ends()[:1]:
        if probe.mode is AutoresetMode.SAME_STEP:
            expected = _second_episode(probe, base, seed, step, row)
            shown = base.outcomes[step].rows[row]
        else:
            probe.run(base.actions[:step], seed)
            expected = probe.reset().rows[row]
            next_step = probe.mode is AutoresetMode.NEXT_STEP
            shown = base.outcomes[step + 1].rows[row] if next_step else base.outcomes[step].start[row]
        if expected is None:
            probe.ledger.miss(
                "new_episode", "the first episode has one step only, or its steps draw random numbers"
            )
            return
        given = f"row {row} ended at step {step} and then shows {shown}; reset() would have given {expected}"
        probe.ledger.require("new_episode", _same(shown, expected, TOLERANCE), given)


def _check_disabled(probe: _Probe, base: _Run, seed: int) -> None:
    """A row that reset itself shows the first observation of its second episode already when it ends.

    One row may happen to end where it begins, so that all of them must show it.
    """
    first_ends = {row: step for step, row in reversed(base.ends())}
    reset_itself = []
    for row, step in first_ends.items():
        expected = _second_episode(probe, base, seed, step, row)
        if expected is not None and not _same(base.outcomes[step - 1].rows[row], expected, TOLERANCE):
            reset_itself.append(_same(base.outcomes[step].rows[row], expected, TOLERANCE))
    if reset_itself:
        given = "rows that end show the first observation of their next episode"
        probe.ledger.require("disabled", not all(reset_itself), given)
    probe.ledger.miss("disabled", "the first episodes have one step only, or their steps draw random numbers")


def _second_episode(probe: _Probe, base: _Run, seed: int, step: int, row: int) -> Any | None:
    """Tell the first observation of a row's second episode, without the end at `step`.

    It is what a reset gives a step before the end, and two steps before: if those differ, steps draw random
    numbers and nothing can be told, which gives None.
    """
    firsts = []
    for steps in (step - 2, step - 1):
        if steps < 0:
            return None
        probe.run(base.actions[:steps], seed)
        firsts.append(probe.reset().rows[row])
    return firsts[0] if _same(firsts[0], firsts[1], TOLERANCE) else None


def _check_batch_size_invariance(
    make: Callable[[int], VectorEnv[Any, Any, Any]], ledger: _Ledger, base: _Run, seed: int
) -> None:
    other = make(1 if len(base.outcomes[0].rows) > 1 else 2)
    try:
        _check_spaces(other, ledger, other.num_envs)
        probe = _Probe(other, ledger)
        outcomes = probe.run([list(action[:1]) * other.num_envs for action in base.actions], seed)
    finally:
        other.close()
    difference = _difference(base.outcomes, outcomes, [(0, 0)])
    given = f"with {other.num_envs} rows, the run differs in {difference}"
    ledger.require("batch_size_invariance", not difference, given)


def _check_close(env: VectorEnv[Any, Any, Any], ledger: _Ledger, seed: int, promises: Collection[str]) -> None:
    with _naming("close", "close(), called twice,"):
        env.close()
        env.close()
    ledger.require("close", env.closed is True, f"closed is {env.closed} after close()")
    if "closed_raises" in promises:
        actions = env.action_space.sample()
        for name, call in (("reset", lambda: env.reset(seed=seed)), ("step", lambda: env.step(actions))):
            with _naming("closed_raises", f"{name}() of a closed environment"):
                try:
                    call()
                except ClosedEnvironmentError:
                    ledger.require("closed_raises", True, "")
                    continue
            ledger.require("closed_raises", False, f"{name}() of a closed environment raised nothing")


@contextmanager
def _naming(rule: str, what: str) -> Iterator[None]:
    """Blame an exception of the environment on a rule."""
    try:
        yield
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(rule, f"{what} raised {type(error).__name__}: {error}") from error


def _difference(
    ours: Iterable[_Outcome], theirs: Iterable[_Outcome], rows: Sequence[tuple[int, int]] | None = None
) -> str:
    """Tell where two runs first differ in these pairs of rows; the empty string if they do not."""
    for step, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        for i, j in rows if rows is not None else [(row, row) for row in range(len(a.rows))]:
            for name, x, y in (
                ("observation", a.rows[i], b.rows[j]),
                ("reward", a.reward[i], b.reward[j]),
                ("termination", a.terminated[i], b.terminated[j]),
                ("truncation", a.truncated[i], b.truncated[j]),
            ):
                if not _same(x, y, TOLERANCE):
                    return f"the {name} of row {i} after {step} steps: {x} and {y}"
    return ""


def _same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Compare arrays, numbers, strings and what holds them; of other objects, which infos may hold, the type."""
    a, b = (value.item() if isinstance(value, np.generic) else value for value in (a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key], tolerance) for key in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(_same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype == object:
            return _same(a.ravel().tolist(), b.ravel().tolist(), tolerance)
    if isinstance(a, (float, complex)) or (isinstance(a, np.ndarray) and a.dtype.kind in "fc"):
        return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))
    if isinstance(a, (np.ndarray, int, str, bytes)):
        return bool(np.all(a == b))
    return True


def _leaves(space: Space[Any], value: Any, name: str) -> Iterator[tuple[str, Space[Any], Any]]:
    """Yield the parts of a space that hold no others; or a whole whose value has another structure."""
    if isinstance(space, spaces.Dict) and isinstance(value, dict) and value.keys() == space.spaces.keys():
        for key, part in space.items():
            yield from _leaves(part, value[key], f"{name}[{key!r}]")
    elif isinstance(space, spaces.Tuple) and isinstance(value, tuple) and len(value) == len(space):
        for number, part in enumerate(space):
            yield from _leaves(part, value[number], f"{name}[{number}]")
    else:
        yield name, space, value


def _layout(space: Space[Any]) -> Any:
    """Tell the kinds, dtypes and shapes of a space, without its bounds."""
    if isinstance(space, spaces.Dict):
        return {key: _layout(part) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return [_layout(part) for part in space]
    return type(space), space.dtype, space.shape


def _is_tuple(value: Any, length: int) -> bool:
    return isinstance(value, tuple) and len(value) == length


def _describe(value: Any) -> str:
    """Tell a value's kind in a few words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return (
        f"a {type(value).__name__} of {len(value)}"
        if isinstance(value, (tuple, list))
        else f"a {type(value).__name__}"
    )
