"""The trials of a study: run until enough of them count, by however many processes.

A process may be killed at any moment. Its trial is then declared failed and made up for by another, as one that
was interrupted is.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from genesis_gym.learning.tuning.study import CONFIG_ATTRIBUTE, FAILURE_ATTRIBUTE, GRACE_SECONDS


class TrialFailedError(Exception):
    """A trial's training broke down; the message is the reason."""


class _NotMineError(Exception):
    """Another process was quicker with the last trial, or has declared this one dead."""


def is_counted(trial: FrozenTrial) -> bool:
    """Whether a trial uses up one of a study's trials: complete, pruned, or failed for a reason of its own.

    A trial that was interrupted, or whose process was killed, is made up for by another.
    """
    failed = trial.state is TrialState.FAIL and FAILURE_ATTRIBUTE in trial.user_attrs
    return failed or trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def run_trials(
    study: optuna.Study,
    objective: Callable[[optuna.Trial], float],
    total: int,
    on_trial: Callable[[FrozenTrial], None] = lambda trial: None,
    on_wait: Callable[[int], None] = lambda running: None,
) -> None:
    """Run trials until a study has so many that count, whichever processes run them.

    Args:
        study: From `open_study`; other processes may run trials of it at the same time.
        objective: Runs a trial and returns its value, or raises `TrialFailedError` or `optuna.TrialPruned`.
            Any other error ends the study.
        total: How many trials.
        on_trial: Called after each trial that was run here.
        on_wait: Called, every second, when all that is left is run by other processes, with their number.
    """
    given_up = False

    def run(trial: optuna.Trial) -> float:
        nonlocal given_up
        earlier = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number]
        if sum(is_counted(t) or t.state is TrialState.RUNNING for t in earlier) >= total:
            raise _NotMineError
        try:
            value = objective(trial)
        except TrialFailedError as error:
            trial.set_user_attr(FAILURE_ATTRIBUTE, str(error))
            raise
        finally:
            given_up = study.get_trials(deepcopy=False)[trial.number].state.is_finished()
        if given_up:
            raise _NotMineError
        return value

    while True:
        fail_dead_trials(study)
        trials = study.get_trials(deepcopy=False)
        counted = sum(map(is_counted, trials))
        running = sum(trial.state is TrialState.RUNNING for trial in trials)
        if counted >= total:
            return
        if counted + running >= total:
            on_wait(running)
            time.sleep(1.0)
            continue
        try:
            study.optimize(
                run,
                n_trials=1,
                catch=(TrialFailedError, _NotMineError),
                callbacks=[lambda _, trial: on_trial(trial)],
            )
        except ValueError:
            # Optuna lets nobody tell a finished trial's value. This process gave no sign of life for so long that
            # another one has declared its trial dead; it takes a new one.
            if not given_up:
                raise


def fail_dead_trials(study: optuna.Study) -> None:
    """Declare the running trials failed whose process is dead.

    Args:
        study: From `open_study`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # Killed within milliseconds of its creation, before its first sign of life: Optuna never misses it.
        age = datetime.now() - (trial.datetime_start or datetime.now())
        if CONFIG_ATTRIBUTE not in trial.user_attrs and age > timedelta(seconds=GRACE_SECONDS):
            with contextlib.suppress(UpdateFinishedTrialError):  # another process was quicker
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
