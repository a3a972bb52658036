"""The `genesis-gym` command."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from typing import Annotated

import tyro
from rich.console import Console
from rich.logging import RichHandler

from genesis_gym.cli.demos import Demos
from genesis_gym.cli.doctor import Doctor
from genesis_gym.cli.evaluate import Evaluate
from genesis_gym.cli.play import Play
from genesis_gym.cli.replay import Replay
from genesis_gym.cli.report import Report
from genesis_gym.cli.train import Demo, Train
from genesis_gym.cli.tune import Tune
from genesis_gym.cli.warmup import Warmup
from genesis_gym.errors import ArgumentError, GenesisGymError
from genesis_gym.extras import name_missing_extra
from genesis_gym.learning.agents.ranks import rank, world_size

Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Tune, tyro.conf.subcommand("tune")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Play, tyro.conf.subcommand("play")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Replay, tyro.conf.subcommand("replay")]
    | Annotated[Demos, tyro.conf.subcommand("demos")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Warmup, tyro.conf.subcommand("warmup")]
)

#: What the system says of a disk or a folder that cannot be written to.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)

#: A flag has no second name `--no-…`: each is off unless it is given.
OPTIONS = (tyro.conf.FlagCreatePairsOff,)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; None for those of the process.

    Returns:
        The exit status: 0, 1 when the doctor finds a fault or a replay does not, 2 for a user's mistake, 130 when
        interrupted.
    """
    _prepare_process()
    command = tyro.cli(
        Command, prog="genesis-gym", description="Train robots in Genesis.", args=arguments, config=OPTIONS
    )
    quiet = getattr(command, "quiet", False) or rank() > 0
    console = Console(stderr=True, highlight=False, markup=False, quiet=quiet)
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        if world_size() > 1 and not isinstance(command, Train):
            raise ArgumentError("torchrun can start several processes of train only, not of another command")
        with name_missing_extra():
            return int(command.run(console))
    except GenesisGymError as error:
        print(f"genesis-gym: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, or a place that may not be written to
        if error.errno not in DISK_ERRORS:
            raise
        print(f"genesis-gym: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genesis-gym: interrupted", file=sys.stderr)
        return 130


def _prepare_process() -> None:
    """Settle what the process as a whole is given, before it imports torch.

    - What a terminal cannot show, such as an arrow in an ASCII locale, is replaced instead of ending the command.
    - torch gets one thread unless OMP_NUM_THREADS says otherwise: the small networks and tensors of robot learning
      are slower with more (docs/performance.md).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


if __name__ == "__main__":
    sys.exit(main())
