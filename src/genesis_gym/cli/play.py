"""`genesis-gym play`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import arg

from genesis_gym.cli.options import (
    Best,
    Device,
    Imports,
    Quiet,
    Run,
    Trust,
    check_device,
    check_run,
    import_modules,
)


@dataclass
class Play:
    """Watch the policy of a run: in Genesis's viewer if there is a display, in a video otherwise."""

    source: Run
    out: Annotated[
        Path | None,
        arg(help="MP4 or GIF to write, even if there is a display. Default: play.mp4 in the run folder."),
    ] = None
    envs: Annotated[int, arg(help="Environments side by side in a video; the viewer shows one at a time.")] = 9
    episodes: Annotated[int | None, arg(help="Number of episodes. Default: one for each environment.")] = None
    seed: Annotated[int | None, arg(help="Seed of the first episode. Default: as after training.")] = None
    best: Best = False
    trust: Trust = False
    device: Device = "auto"
    imports: Imports = ()
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        check_device(self.device)
        check_run(self.source, trust=self.trust)

        from genesis_gym.learning.config.seeds import EVALUATION_SEED
        from genesis_gym.learning.evaluation.play import watch_run
        from genesis_gym.learning.runs.folder import locate
        from genesis_gym.runtime.system import has_display

        import_modules(self.imports)
        episodes = self.envs if self.episodes is None else self.episodes
        seed = EVALUATION_SEED if self.seed is None else self.seed
        which = {"best": self.best, "trust": self.trust}
        path = None
        if self.out is None and has_display():
            played = watch_run(self.source, episodes, seed, console, self.device, **which)
        else:
            from genesis_gym.learning.report.video import record_run

            path = self.out or _fresh(locate(self.source, trust=self.trust)[0] / "play.mp4")
            played = record_run(self.source, path, episodes, seed, self.envs, console, self.device, **which)
        print(f"episodes   {len(played)}")
        print(f"successes  {sum(episode.outcome == 'success' for episode in played)}")
        if path is not None:
            print(f"file       {path}")
        return 0


def _fresh(path: Path) -> Path:
    """The path, or the first of its kind that does not exist: play.mp4, play-2.mp4, play-3.mp4."""
    number, fresh = 1, path
    while fresh.exists() or fresh.is_symlink():
        number += 1
        fresh = path.with_stem(f"{path.stem}-{number}")
    return fresh
