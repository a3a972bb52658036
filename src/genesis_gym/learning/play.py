"""Episodes of a policy, played to be watched: in Genesis's viewer here, into a file in `video`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from genesis_gym.core import BatchedEnv
from genesis_gym.core.env import StepResult
from genesis_gym.errors import ArgumentError, check_positive_int
from genesis_gym.learning.policy import Act, open_run
from genesis_gym.learning.progress import HEARTBEAT_SECONDS, announced
from genesis_gym.learning.runs import locate, read_config

Outcome = Literal["success", "failure", "time out", "fault"]

#: Seconds for which the first and the last state of an episode stand still, so that an eye can see them.
FIRST_STATE_SECONDS = 0.5
LAST_STATE_SECONDS = 1.5


class Episode(NamedTuple):
    """An episode, as far as it has been played.

    Attributes:
        number: From 1; it starts from the seed of the first plus `number - 1`.
        steps: Control steps taken.
        outcome: How it ended; None while it runs.
    """

    number: int
    steps: int = 0
    outcome: Outcome | None = None


class Moment(NamedTuple):
    """A round at one step: an episode in each row.

    Attributes:
        step: Control steps since the round began.
        episodes: Row → its episode.
    """

    step: int
    episodes: list[Episode]

    @property
    def live(self) -> list[int]:
        """Rows whose state is a new one of their episode, its last included."""
        return [row for row, episode in enumerate(self.episodes) if episode.steps == self.step]

    @property
    def ended(self) -> list[Episode]:
        """Episodes that end here."""
        return [self.episodes[row] for row in self.live if self.episodes[row].outcome]

    @property
    def last(self) -> bool:
        """Whether no episode goes on."""
        return all(episode.outcome for episode in self.episodes)


def play(env: BatchedEnv, act: Act, episodes: int, seed: int, rows: int) -> Iterator[Moment]:
    """Play the episodes that an evaluation with this seed has, side by side, in as many rounds as are needed.

    At each moment that is handed out the environment is in that state: nothing has been reset yet.

    Args:
        env: The environment; its episodes in progress are lost.
        act: The policy.
        episodes: How many, at least 1.
        seed: Seed of the first.
        rows: Episodes in a round, at most the environment's rows.

    Yields:
        The start of each round and the moment after each step.

    Raises:
        ArgumentError: `episodes` or `rows` is not allowed, or the environment's episodes have no end.
    """
    check_positive_int("episodes", episodes)
    check_positive_int("rows", rows)
    if rows > env.num_envs:
        raise ArgumentError(f"rows={rows} is not allowed; the environment has num_envs={env.num_envs}")
    if env.max_episode_steps is None:
        raise ArgumentError("max_episode_steps=None is not allowed here: an episode may never end")
    for first in range(0, episodes, rows):
        observation, _ = env.reset(seed=seed + first)
        moment = Moment(0, [Episode(k + 1) for k in range(first, min(first + rows, episodes))])
        yield moment
        while not moment.last:
            result = env.step(act(observation))
            observation = result.observation
            moment = _after(moment, result)
            yield moment


def narrated(moments: Iterator[Moment], env: BatchedEnv, episodes: int, console: Console) -> Iterator[Moment]:
    """Pass moments on and tell how the episodes end, with a bar on a terminal.

    Args:
        moments: Of `play`.
        env: What is played.
        episodes: How many episodes there will be.
        console: Where.

    Yields:
        The same moments.
    """
    columns = (TextColumn("Playing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[clock]}"))
    spoken = time.monotonic()
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("", total=episodes, clock="")
        for moment in moments:
            yield moment
            clock = f"at step {moment.step} of at most {env.max_episode_steps}"
            progress.update(bar, advance=len(moment.ended), clock=clock)
            for episode in moment.ended:
                seconds = episode.steps * env.control_dt
                console.print(f"episode {episode.number}: {episode.outcome} after {seconds:.2f} s")
            if moment.ended:
                spoken = time.monotonic()
            elif not console.is_terminal and time.monotonic() - spoken > HEARTBEAT_SECONDS:
                spoken = time.monotonic()
                console.print(f"  {clock}")


def watch_run(
    run: Path,
    episodes: int,
    seed: int,
    console: Console,
    backend: str = "auto",
    *,
    best: bool = False,
    trust: bool = False,
) -> list[Episode]:
    """Show the policy of a run in Genesis's viewer, in real time, one episode after the other.

    It ends with the last episode, when the window is closed, or at Ctrl-C.

    Args:
        run: The run folder, or with `trust` an archive of SB3 in it.
        episodes: How many, at least 1.
        seed: Seed of the first.
        console: Where progress is shown.
        backend: One of `genesis_gym.runtime.DEVICES`.
        best: Take the best policy of the evaluations during training instead of the last.
        trust: Unpickle an archive, which runs any code that it holds.

    Returns:
        The episodes that were played to their end.

    Raises:
        RunFolderError: It is no run folder, or its files cannot be read.
        ArgumentError: `episodes`, `seed` or `backend` is not allowed.
        MissingDependencyError: There is no display.
    """
    check_positive_int("episodes", episodes)
    env_id = read_config(locate(run, trust=trust)[0]).env
    with announced(console, f"Opening the viewer on {env_id}"):
        _, env, act = open_run(run, 1, backend=backend, show_viewer=True, best=best, trust=trust)
    ended: list[Episode] = []
    try:
        with env.simulation.until_viewer_closes(), contextlib.suppress(KeyboardInterrupt):
            # The viewer itself keeps the steps to real time.
            for moment in narrated(play(env, act, episodes, seed, rows=1), env, episodes, console):
                ended += moment.ended
                if moment.step == 0:
                    time.sleep(FIRST_STATE_SECONDS)
                elif moment.last:
                    time.sleep(LAST_STATE_SECONDS)
    finally:
        env.close()
    return ended


def _after(moment: Moment, result: StepResult) -> Moment:
    """The moment after a step: episodes that had ended stay as they were."""
    flags = zip(
        result.terminated.tolist(),
        result.truncated.tolist(),
        result.metrics["is_success"].tolist(),
        result.metrics["fault"].tolist(),
        strict=True,
    )
    step = moment.step + 1
    return Moment(
        step,
        [
            episode if episode.outcome else Episode(episode.number, step, _outcome(*row))
            for episode, row in zip(moment.episodes, flags, strict=False)
        ],
    )


def _outcome(terminated: bool, truncated: bool, success: bool, fault: bool) -> Outcome | None:
    if terminated:
        return "success" if success else "failure"
    if truncated:
        return "fault" if fault else "time out"
    return None
