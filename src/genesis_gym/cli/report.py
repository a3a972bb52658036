"""`genesis-gym report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import Positional, arg


@dataclass
class Report:
    """Rewrite the report of a run folder, and its pictures, from its files."""

    folder: Annotated[Positional[Path], arg(name="run", help="Run folder.")]

    def run(self, console: Console) -> int:
        from genesis_gym.learning.report.page import draw_pictures, write_report

        draw_pictures(self.folder)
        print(write_report(self.folder))
        return 0
