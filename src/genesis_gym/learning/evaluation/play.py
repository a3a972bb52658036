"""Watching a policy: the viewer here, and what `report/video.py` films."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from genesis_gym.core import BatchedEnv
from genesis_gym.errors import check_positive_int
from genesis_gym.learning.agents.load import open_run
from genesis_gym.learning.agents.policy import Act
from genesis_gym.learning.console import HEARTBEAT_SECONDS, status
from genesis_gym.learning.evaluation.episodes import PlayStep, episodes
from genesis_gym.learning.runs.folder import locate, read_config

Outcome = Literal["success", "failure", "time out", "fault"]

#: Seconds for which the first and the last state of an episode are shown.
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
    """A round at one step: one episode in each environment.

    Attributes:
        step: Control steps since the round began.
        episodes: Number of an environment → its episode.
    """

    step: int
    episodes: list[Episode]

    @property
    def live(self) -> list[int]:
        """Environments whose episode has reached this step, its last one included."""
        return [env for env, episode in enumerate(self.episodes) if episode.steps == self.step]

    @property
    def ended(self) -> list[Episode]:
        """Episodes that end here."""
        return [self.episodes[env] for env in self.live if self.episodes[env].outcome]

    @property
    def last(self) -> bool:
        """Whether no episode goes on."""
        return all(episode.outcome for episode in self.episodes)


def play(env: BatchedEnv, act: Act, count: int, seed: int, envs: int) -> Iterator[Moment]:
    """Play the episodes of an evaluation with this seed, step by step.

    At each moment that is handed out the environment is in that state: nothing has been reset yet.

    Args:
        env: The environment; its episodes in progress are lost.
        act: The policy.
        count: Episodes, at least 1.
        seed: Seed of the first.
        envs: Episodes in a round, at most the environment's `num_envs`.

    Yields:
        The start of each round and the moment after each step.

    Raises:
        ArgumentError: `count` or `envs` is not allowed, or the environment's episodes have no end.
    """
    now: list[Episode] = []
    for step in episodes(env, act, count, seed, envs=envs):
        if step.step == 0:
            now = [Episode(step.first + number + 1) for number in range(step.count)]
        else:
            now = [
                Episode(episode.number, step.step, _outcome(step, env_id) if ended else None)
                if running
                else episode
                for env_id, (episode, running, ended) in enumerate(
                    zip(now, step.running.tolist(), step.ended.tolist(), strict=True)
                )
            ]
        yield Moment(step.step, now)


def narrated(moments: Iterator[Moment], env: BatchedEnv, count: int, console: Console) -> Iterator[Moment]:
    """Pass moments on and print how the episodes end, with a progress bar on a terminal.

    Args:
        moments: Of `play`.
        env: What is played.
        count: Episodes that there will be.
        console: Where.

    Yields:
        The same moments.
    """
    columns = (TextColumn("Playing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[clock]}"))
    spoken = time.monotonic()
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("", total=count, clock="")
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
    count: int,
    seed: int,
    console: Console,
    device: str = "auto",
    *,
    best: bool = False,
    trust: bool = False,
) -> list[Episode]:
    """Show the policy of a run in Genesis's viewer, in real time, one episode after the other.

    It ends with the last episode, when the window is closed, or at Ctrl-C.

    Args:
        run: The run folder, or with `trust` an archive of SB3 in it.
        count: Episodes, at least 1.
        seed: Seed of the first.
        console: Where progress is shown.
        device: `"auto"`, `"cpu"` or `"gpu"`.
        best: Take the best policy of the evaluations during training instead of the last.
        trust: Unpickle an archive, which runs any code that it holds.

    Returns:
        The episodes that were played to their end.

    Raises:
        RunFolderError: It is no run folder, or its files cannot be read.
        ArgumentError: `count`, `seed` or `device` is not allowed.
        MissingDependencyError: There is no display.
    """
    check_positive_int("episodes", count)
    env_id = read_config(locate(run, trust=trust)[0]).env
    with status(console, f"Opening the viewer on {env_id}"):
        _, env, act = open_run(run, 1, device=device, show_viewer=True, best=best, trust=trust)
    ended: list[Episode] = []
    try:
        with env.world.until_viewer_closes(), contextlib.suppress(KeyboardInterrupt):
            # The viewer itself keeps the steps to real time.
            for moment in narrated(play(env, act, count, seed, envs=1), env, count, console):
                ended += moment.ended
                if moment.step == 0:
                    time.sleep(FIRST_STATE_SECONDS)
                elif moment.last:
                    time.sleep(LAST_STATE_SECONDS)
    finally:
        env.close()
    return ended


def _outcome(step: PlayStep, env_id: int) -> Outcome:
    """Why an episode ended, in words."""
    if bool(step.terminated[env_id]):
        return "success" if bool(step.metrics["is_success"][env_id]) else "failure"
    return "fault" if bool(step.metrics["fault"][env_id]) else "time out"
