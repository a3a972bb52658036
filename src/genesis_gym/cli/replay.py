"""`genesis-gym replay`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import Positional, arg

from genesis_gym.cli.options import Device, Imports, check_device, import_modules, print_table


@dataclass
class Replay:
    """Repeat the steps that led to a fault; exit status 1 if the fault does not recur."""

    file: Annotated[Positional[Path], arg(help="File written by train --dump-faults.")]
    device: Device = "auto"
    imports: Imports = ()

    def run(self, console: Console) -> int:
        """Run the command; the exit status is 1 if the fault does not recur."""
        check_device(self.device)
        import_modules(self.imports)
        console.print("Importing Genesis …")
        from genesis_gym.learning.evaluation.faults import list_envs, read_fault, replay_fault

        fault = read_fault(self.file)
        replay = replay_fault(fault, self.device)
        there = fault.faulty.nonzero().flatten().tolist()
        causes = [f"environment {env}: {cause}" for env, cause in list(replay.causes.items())[:10]]
        led = (
            "bit for bit"
            if replay.undisturbed
            else "no: the state was changed from outside, or on another machine"
        )
        print_table(
            {
                "environment": f"{fault.config.env}, {fault.config.num_envs} environments",
                "steps": len(fault.actions),
                "steps lead to the last state": led,
                "faulty": "\n".join(causes) or "no environment",
                "as on file": "yes" if replay.reproduced else f"no, there environment {list_envs(there)}",
            }
        )
        return 0 if replay.reproduced else 1
