"""The `genesis-gym` command."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from tyro.conf import Positional, arg

from genesis_gym.errors import GenesisGymError, check_choice
from genesis_gym.registration import ENVIRONMENTS

DEFAULT_ENV = next(iter(ENVIRONMENTS))

Device = Annotated[str, arg(help="auto, cpu or gpu.")]
Out = Annotated[
    Path | None, arg(help="Run folder to create; it must not exist. Default: a fresh one below runs/.")
]
Seed = Annotated[int, arg(help="Seed of the policy and of row 0; row i has seed + i.")]


@dataclass
class Demo:
    """Train a Franka arm to reach, evaluate it and film it."""

    seed: Seed = 0
    out: Out = None
    device: Device = "auto"

    def run(self, console: Console) -> int:
        """Do it."""
        return _train(console, self.seed, self.out, self.device, stem="demo", video=True)


@dataclass
class Train:
    """Train an agent and leave a run folder."""

    env: Annotated[str, arg(help="Id of the environment.")] = DEFAULT_ENV
    algorithm: Annotated[str, arg(help="PPO, SAC or TD3.")] = "PPO"
    preset: Annotated[str, arg(help="default (tuned) or guide (the training guide's numbers).")] = "default"
    seed: Seed = 0
    num_envs: Annotated[int | None, arg(help="Rows of the scene. Default: the preset's.")] = None
    timesteps: Annotated[int | None, arg(help="Environment steps over all rows. Default: the preset's.")] = None
    out: Out = None
    device: Device = "auto"
    video: Annotated[bool, arg(help="Film the trained policy.")] = False

    def run(self, console: Console) -> int:
        """Do it."""
        return _train(
            console,
            self.seed,
            self.out,
            self.device,
            env=self.env,
            algorithm=self.algorithm,
            preset=self.preset,
            num_envs=self.num_envs,
            timesteps=self.timesteps,
            video=self.video,
        )


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
            _print_table(figures)
        return 0


@dataclass
class Doctor:
    """Tell whether this machine can run Genesis, and what is missing."""

    def run(self, console: Console) -> int:
        """Do it; 1 when something is missing."""
        from genesis_gym.runtime.doctor import examine

        findings = examine()
        for finding in findings:
            remedy = f"  →  {finding.remedy}" if finding.remedy else ""
            print(f"{finding.subject:18} {finding.state}{remedy}")
        return int(any(finding.remedy for finding in findings))


Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; None for those of the process.

    Returns:
        The exit status: 0, 1 when the doctor finds a fault, 2 for a user's mistake, 130 when interrupted.
    """
    console = Console(stderr=True, highlight=False)
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    command = tyro.cli(Command, prog="genesis-gym", description="Train robots in Genesis.", args=arguments)
    try:
        return int(command.run(console))
    except GenesisGymError as error:
        print(f"genesis-gym: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genesis-gym: interrupted", file=sys.stderr)
        return 130


def _train(
    console: Console,
    seed: int,
    out: Path | None,
    device: str,
    *,
    env: str = DEFAULT_ENV,
    algorithm: str = "PPO",
    preset: str = "default",
    num_envs: int | None = None,
    timesteps: int | None = None,
    stem: str | None = None,
    video: bool,
) -> int:
    from genesis_gym.learning.config import make_config
    from genesis_gym.learning.runs import new_run_folder
    from genesis_gym.runtime import BACKENDS

    config = make_config(env, algorithm.upper(), preset=preset, seed=seed, num_envs=num_envs, timesteps=timesteps)
    check_choice("device", device, BACKENDS)
    folder = new_run_folder(out, stem or f"{env.rpartition('/')[2]}-{config.algorithm}".lower())

    console.print("Importing Genesis and Stable-Baselines3 …")
    from genesis_gym.learning.pipeline import run_pipeline

    report = run_pipeline(config, folder, console, backend=device, video=video)
    _print_table(
        {
            "device": report.device,
            **dataclasses.asdict(report.evaluation),
            "wall clock": ", ".join(f"{phase} {value:.1f} s" for phase, value in report.seconds.items()),
            "start to evaluated": f"{report.solved_seconds:.1f} s",
            "run folder": f"{report.folder}: {', '.join(report.files)}",
        }
    )
    return 0


def _print_table(figures: dict[str, object]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
