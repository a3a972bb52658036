"""`genesis-gym evaluate`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import arg

from genesis_gym.cli.options import (
    Best,
    Device,
    Imports,
    Run,
    Trust,
    check_device,
    check_run,
    import_modules,
    print_table,
)
from genesis_gym.errors import ArgumentError, check_choice, check_positive_int


@dataclass
class Evaluate:
    """Evaluate the policy of a run folder on new deterministic episodes."""

    source: Run
    episodes: Annotated[int, arg(help="Number of episodes.")] = 100
    seed: Annotated[int | None, arg(help="Seed of the first episode. Default: as after training.")] = None
    best: Best = False
    trust: Trust = False
    device: Device = "auto"
    imports: Imports = ()
    plot: Annotated[Path | None, arg(help="Plot the evaluation into this .png, .svg or .pdf.")] = None
    json: Annotated[bool, arg(help="Print the result as one JSON object.")] = False

    def run(self, console: Console) -> int:
        if self.plot is not None:
            check_choice("--plot: suffix", self.plot.suffix, (".png", ".svg", ".pdf"))
            if not self.plot.absolute().parent.is_dir():
                raise ArgumentError(f"--plot {self.plot} cannot be written: {self.plot.parent} is no folder")
        check_positive_int("episodes", self.episodes)
        check_device(self.device)
        check_run(self.source, trust=self.trust)

        from genesis_gym.learning.config.seeds import EVALUATION_SEED
        from genesis_gym.learning.evaluation.evaluate import evaluate_run
        from genesis_gym.learning.evaluation.result import describe

        import_modules(self.imports)
        seed = EVALUATION_SEED if self.seed is None else self.seed
        result = evaluate_run(self.source, self.episodes, seed, self.device, best=self.best, trust=self.trust)
        if self.plot is not None:
            from genesis_gym.learning.report.plots import evaluation_panels, save_picture
            from genesis_gym.learning.runs.folder import write_whole

            write_whole(self.plot, lambda path: save_picture(evaluation_panels(result), path, columns=2))
        if self.json:
            print(json.dumps(result.summary()))
        else:
            print_table({**describe(result)})
        return 0
