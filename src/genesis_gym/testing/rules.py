"""The rules of the contract, and the record of which ones a run has put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gymnasium.vector import AutoresetMode

from genesis_gym.errors import GenesisGymError

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
    "info_masks": "an info has an entry for each environment, or is a dict of such; its mask `_key` is bool",
    "results_kept": "what `reset` and `step` returned never changes afterwards",
    "actions_kept": "`step` does not change the actions given",
    "seed": "the same seed and actions give the same episodes, also those after the first",
    "reset": "`reset` begins a new episode in every environment, also in one that has just ended",
    "next_step": "NEXT_STEP: the step after an end has reward 0 and ends nothing in that environment",
    "next_step_action": "NEXT_STEP: the step after an end ignores that environment's action",
    "final_obs": "SAME_STEP: `final_obs` has an observation of each that ended; `_final_obs` is the mask",
    "final_obs_is_last": "SAME_STEP: `final_obs` is the last observation of an episode, not the first of the next",
    "final_info": "SAME_STEP: `final_info` is a dict; `_final_info` is the mask of the environments that ended",
    "disabled": "DISABLED: an environment that ended shows its last observation and waits for the user's reset",
    "reset_mask": "`reset(options={'reset_mask': mask})` resets those environments and leaves the others alone",
    "new_episode": "the observation that follows an end is the one that `reset` would have returned",
    "env_seeding": "an int seeds environment i with `seed + i`, a list each; None continues its random sequence",
    "batch_size_invariance": "an environment's episodes do not depend on the number of environments",
    "close": "`close` may be called twice and sets `closed`",
    "closed_raises": "`reset` and `step` of a closed environment raise `ClosedEnvironmentError`",
}

#: Rules that Gymnasium leaves to each environment: they are checked where the caller promises them. `reset_mask`
#: needs no promise in DISABLED mode. `env_seeding` means that each environment has a random sequence of its own,
#: as in `SyncVectorEnv`; without it `new_episode` and `disabled` cannot be checked.
PROMISES = ("env_seeding", "reset_mask", "batch_size_invariance", "closed_raises")

#: Rules of one autoreset mode each.
RULES_OF_MODE = {
    AutoresetMode.NEXT_STEP: ("next_step", "next_step_action"),
    AutoresetMode.SAME_STEP: ("final_obs", "final_obs_is_last", "final_info"),
    AutoresetMode.DISABLED: ("disabled",),
}

#: Rules of which nothing is seen unless an episode ends.
RULES_OF_ENDS = (*(rule for rules in RULES_OF_MODE.values() for rule in rules), "reset", "new_episode")

#: Rules that compare two runs, and so need an environment that is deterministic.
RULES_OF_TWO_RUNS = ("seed", "reset", "next_step_action", "disabled", "reset_mask", "new_episode", "env_seeding")


class ContractError(GenesisGymError, AssertionError):
    """A vector environment breaks a rule.

    Attributes:
        rule: Its name in `RULES`.
    """

    def __init__(self, rule: str, message: str) -> None:
        one_line = " ".join(message.split())  # the repr of an array or a space spans several lines
        super().__init__(f"{rule}: {one_line} (the rule: {RULES[rule]})")
        self.rule = rule


@dataclass(frozen=True)
class Report:
    """What was checked; each rule of `RULES` is in one of the two.

    Attributes:
        checked: Rules that were put to the test and kept.
        not_reached: Rule → why it was not put to the test.
    """

    checked: tuple[str, ...]
    not_reached: dict[str, str]

    def __str__(self) -> str:
        lines = [f"checked      {rule}" for rule in self.checked]
        lines += [f"not reached  {rule}: {reason}" for rule, reason in self.not_reached.items()]
        return "\n".join(lines)


class Ledger:
    """Records which rules were put to the test, and why the others were not."""

    def __init__(self) -> None:
        self._checked: set[str] = set()
        self._missed: dict[str, str] = {}

    def require(self, rule: str, kept: object, message: str) -> None:
        """Record a test of a rule.

        Args:
            rule: A name in `RULES`.
            kept: Whether the rule was kept; anything with a truth value.
            message: What was seen, if it was not.

        Raises:
            ContractError: The rule was not kept.
        """
        self._checked.add(rule)
        if not kept:
            raise ContractError(rule, message)

    def miss(self, rule: str, reason: str) -> None:
        """Record why a rule was not put to the test; the first reason counts."""
        self._missed.setdefault(rule, reason)

    def report(self) -> Report:
        """Summarise what was recorded."""
        for rule in PROMISES:
            self.miss(rule, "not promised")
        missed = [rule for rule in RULES if rule not in self._checked]
        return Report(
            tuple(rule for rule in RULES if rule in self._checked),
            {rule: self._missed.get(rule, "nothing like it occurred") for rule in missed},
        )


@contextmanager
def blame(rule: str, call: str) -> Iterator[None]:
    """Turn an exception that the environment raises within the block into a broken rule.

    Args:
        rule: A name in `RULES`.
        call: What is called in the block, for the message.

    Raises:
        ContractError: The block raised.
    """
    try:
        yield
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(rule, f"{call} raised {type(error).__name__}: {error}") from error
