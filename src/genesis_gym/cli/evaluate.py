"""`genesis-gym evaluate`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import Positional, arg

from genesis_gym.cli.options import Device, print_table


@dataclass
class Evaluate:
    """Evaluate the policy of a run folder on fresh deterministic episodes."""

    folder: Annotated[Positional[Path], arg(name="run", help="The run folder.")]
    episodes: Annotated[int, arg(help="How many episodes.")] = 100
    seed: Annotated[int | None, arg(help="Seed of the first episode. Default: as after training.")] = None
    device: Device = "auto"
    json: Annotated[bool, arg(help="Print one JSON object on standard output and nothing else there.")] = False

    def run(self, console: Console) -> int:
        """Do it."""
        from genesis_gym.learning.evaluate import EVALUATION_SEED, evaluate_run

        seed = EVALUATION_SEED if self.seed is None else self.seed
        figures = dataclasses.asdict(evaluate_run(self.folder, self.episodes, seed, self.device))
        if self.json:
            print(json.dumps(figures))
        else:
            print_table(figures)
        return 0
