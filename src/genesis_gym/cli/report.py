"""`genesis-gym report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import Positional, arg


@dataclass
class Report:
    """Write the report of a run folder anew, and its pictures, from the files that are there."""

    folder: Annotated[Positional[Path], arg(name="run", help="The run folder.")]

    def run(self, console: Console) -> int:
        from genesis_gym.learning.report.page import draw_pictures, write_report

        draw_pictures(self.folder)
        print(write_report(self.folder))
        return 0
