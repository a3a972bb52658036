"""`genesis-gym warmup`."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from rich.console import Console

from genesis_gym.cli.options import Device, Quiet, print_table
from genesis_gym.errors import check_choice


@dataclass
class Warmup:
    """Compile the kernels of every kind of scene in advance, so that the first run starts at once."""

    device: Device = "auto"
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        from genesis_gym.runtime.backend import DEVICES, kernel_cache_folder

        check_choice("device", self.device, DEVICES)
        # A terminated process would lose what it has compiled; an interrupted one keeps it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)

        console.print("Importing Genesis …")
        from genesis_gym.tools.warmup import warm_up

        done = warm_up(console, self.device)
        print_table(
            {
                "device": done.device,
                **{title: f"{seconds:.1f} s" for title, seconds in done.seconds.items()},
                "compiled": f"{done.compiled} kernels"
                if done.compiled
                else "nothing new: all kernels were cached",
                "kernel cache": f"{done.bytes_before / 1e6:.1f} → {done.bytes_after / 1e6:.1f} MB",
                "folder": kernel_cache_folder(),
            }
        )
        return 0
