"""Drives a vector environment, and checks all that it returns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from genesis_gym.testing.compare import TOLERANCE, describe, is_tuple, leaves, same, short
from genesis_gym.testing.rules import Ledger, blame

#: How many results are watched for later changes, so that buffers used in turn are found too.
WATCHED = 4

Array = NDArray[Any]

#: For each step, an action for each environment.
Actions = Sequence[Sequence[Any]]


class Outcome(NamedTuple):
    """What `reset` or `step` returned, copied; after `reset`, rewards are 0 and nothing has ended.

    Attributes:
        observations: One for each environment.
        reward: `(num_envs,)`.
        terminated: bool `(num_envs,)`.
        truncated: bool `(num_envs,)`.
        infos: The infos.
        start: The observations that the next actions respond to. They differ from `observations` in DISABLED mode
            after an end, where a reset follows.
    """

    observations: list[Any]
    reward: Array
    terminated: Array
    truncated: Array
    infos: dict[str, Any]
    start: list[Any]

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Mask of the environments whose episode has ended, `(num_envs,)`."""
        ended: NDArray[np.bool_] = self.terminated | self.truncated
        return ended


class Run(NamedTuple):
    """A run that others are compared with.

    Attributes:
        actions: The actions taken.
        outcomes: What they led to; the first is that of the reset.
    """

    actions: Actions
    outcomes: list[Outcome]

    def ends(self) -> list[tuple[int, int]]:
        """Step and environment of each end that another step followed, in order."""
        return [
            (step, env) for step, o in enumerate(self.outcomes[:-1]) for env in np.flatnonzero(o.ended).tolist()
        ]


class Probe:
    """Drives the environment and checks what every `reset` and `step` returns.

    Attributes:
        env: The environment.
        ledger: Where the checks are recorded.
        mode: Its autoreset mode.
        num_envs: How many environments it holds.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], ledger: Ledger) -> None:
        self.env = env
        self.ledger = ledger
        self.mode: AutoresetMode = env.metadata["autoreset_mode"]
        self.num_envs = env.num_envs
        self._watched: deque[tuple[str, Any, Any]] = deque(maxlen=WATCHED)

    def sample(self, steps: int, seed: int) -> Actions:
        """Draw an action for each step and environment, from a copy of the space: the user's own is left alone."""
        space = deepcopy(self.env.single_action_space)
        space.seed(seed)
        return [[space.sample() for _ in range(self.num_envs)] for _ in range(steps)]

    def reset(self, seed: int | Sequence[int | None] | None = None, mask: Array | None = None) -> Outcome:
        """Reset all environments, or those of a mask `(num_envs,)`, and check the result."""
        options = None if mask is None else {"reset_mask": mask.copy()}
        result = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # typed narrower than it is
        self.ledger.require("returns", is_tuple(result, 2), f"reset() returned {describe(result)}")
        self._watch("reset()", result)
        nothing = np.zeros(self.num_envs, np.bool_)
        return self._outcome("reset()", result[0], np.zeros(self.num_envs), nothing, nothing, result[1])

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Take one action in each environment, and check the result."""
        space = self.env.single_action_space
        empty: Any = create_empty_array(space, n=self.num_envs)
        batch: Any = concatenate(space, actions, empty)
        given = deepcopy(batch)
        result = self.env.step(batch)
        self.ledger.require("actions_kept", same(batch, given), "the actions given to step() have changed")
        self.ledger.require("returns", is_tuple(result, 5), f"step() returned {describe(result)}")
        self._watch("step()", result)
        return self._outcome("step()", *result)

    def run(
        self, actions: Actions, seed: int | Sequence[int | None], ignored: Actions | None = None
    ) -> list[Outcome]:
        """Reset and take these actions; environments that have just ended take those of `ignored`, if given."""
        return self.resume(self.reset(seed), actions, ignored)

    def resume(self, outcome: Outcome, actions: Actions, ignored: Actions | None = None) -> list[Outcome]:
        """Take these actions after `outcome`. In DISABLED mode, what has ended is reset before the next step."""
        outcomes = [outcome]
        for number, action in enumerate(actions):
            ended = outcomes[-1].ended
            if ended.any() and self.mode is AutoresetMode.DISABLED:
                start = self.reset_some(ended, outcomes[-1]).observations
                outcomes[-1] = outcomes[-1]._replace(start=start)
            if ignored is not None:
                action = [ignored[number][env] if ended[env] else own for env, own in enumerate(action)]
            outcomes.append(self.step(action))
        return outcomes

    def reset_some(self, mask: Array, before: Outcome) -> Outcome:
        """Reset the environments of the mask; the others must show the observations they showed before."""
        with blame("reset_mask", f"reset(options={{'reset_mask': {mask}}})"):
            after = self.reset(mask=mask)
        for env in np.flatnonzero(~mask):
            kept = same(after.observations[env], before.observations[env], TOLERANCE)
            given = f"environment {env} shows another observation after others were reset"
            self.ledger.require("reset_mask", kept, given)
        return after

    def _outcome(
        self, call: str, observations: Any, reward: Any, terminated: Any, truncated: Any, infos: Any
    ) -> Outcome:
        self._check_observations(call, observations)
        self._check_rewards(reward)
        for name, flags in (("terminations", terminated), ("truncations", truncated)):
            given = f"{name} are {describe(flags)}; they must be bool ({self.num_envs},)"
            self.ledger.require("flags", self._is_mask(flags), given)
        given = f"infos of {call} are {describe(infos)}, not a dict"
        self.ledger.require("returns", isinstance(infos, dict), given)
        self._check_infos(infos, "infos")
        each = list(iterate(self.env.observation_space, deepcopy(observations)))
        return Outcome(each, *deepcopy((reward, terminated, truncated, infos)), start=each)

    def _check_observations(self, call: str, observations: Any) -> None:
        for name, space, value in leaves(self.env.observation_space, observations, f"observations of {call}"):
            holds_parts = isinstance(space, (spaces.Dict, spaces.Tuple))
            wanted = f"have the parts of {space}" if holds_parts else f"be {space.dtype} {space.shape}"
            given = f"{name} are {describe(value)}; they must {wanted}"
            fits = not holds_parts and (space.shape is None or np.shape(value) == space.shape)
            self.ledger.require("observation_shape", fits, given)
            if isinstance(space, (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)):
                fits = isinstance(value, np.ndarray) and value.dtype == space.dtype
                self.ledger.require("observation_dtype", fits, given)
            fits = value in space
            given = "" if fits else f"{name} are not in {space}: {short(value)}"
            self.ledger.require("observation_contained", fits, given)

    def _check_rewards(self, reward: Any) -> None:
        fits = isinstance(reward, np.ndarray) and reward.dtype.kind in "iuf" and reward.shape == (self.num_envs,)
        wanted = f"they must be real numbers, ({self.num_envs},)"
        self.ledger.require("rewards", fits, f"rewards are {describe(reward)}; {wanted}")
        self.ledger.require("rewards", np.isfinite(reward).all(), f"rewards are {reward}; they must be finite")

    def _check_infos(self, infos: dict[str, Any], path: str) -> None:
        """Read infos as Gymnasium's `DictInfoToList` does: without a mask, every environment has the info."""
        for key, value in infos.items():
            name = f"{path}[{key!r}]"
            if isinstance(value, dict):
                self._check_infos(value, name)
            elif key.startswith("_") and key[1:] in infos:
                wanted = f"it must be bool ({self.num_envs},)"
                self.ledger.require("info_masks", self._is_mask(value), f"{name} is {describe(value)}; {wanted}")
            elif not key.startswith("_"):
                fits = isinstance(value, np.ndarray) and np.shape(value)[:1] == (self.num_envs,)
                wanted = f"it must be an array with {self.num_envs} entries, or a dict of such"
                self.ledger.require("info_masks", fits, f"{name} is {describe(value)}; {wanted}")
        if not infos:
            self.ledger.miss("info_masks", "no infos were returned")

    def _is_mask(self, value: Any) -> bool:
        return isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.shape == (self.num_envs,)

    def _watch(self, call: str, result: Any) -> None:
        for earlier, kept, copy in self._watched:
            given = f"what {earlier} returned was changed by a later {call}"
            self.ledger.require("results_kept", same(kept, copy), given)
        self._watched.append((call, result, deepcopy(result)))


def difference(
    ours: Iterable[Outcome], theirs: Iterable[Outcome], envs: Sequence[tuple[int, int]] | None = None
) -> str:
    """Where two runs first differ.

    Args:
        ours: One run.
        theirs: The other; what is longer is cut off.
        envs: Pairs of environments to compare, ours and theirs; None for all, each with its like.

    Returns:
        Such as "the reward of environment 1 after 3 steps: 1.0 and 2.0"; empty if they do not differ.
    """
    for step, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        for i, j in envs if envs is not None else [(env, env) for env in range(len(a.observations))]:
            for name, x, y in (
                ("observation", a.observations[i], b.observations[j]),
                ("reward", a.reward[i], b.reward[j]),
                ("termination", a.terminated[i], b.terminated[j]),
                ("truncation", a.truncated[i], b.truncated[j]),
            ):
                if not same(x, y, TOLERANCE):
                    return f"the {name} of environment {i} after {step} steps: {short(x)} and {short(y)}"
    return ""
