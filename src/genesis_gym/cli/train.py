"""`genesis-gym train` and `genesis-gym demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from tyro.conf import arg

from genesis_gym.cli.options import DEFAULT_ENV, Device, Out, Quiet, Seed, parse_pairs, print_table
from genesis_gym.errors import check_choice

if TYPE_CHECKING:
    from genesis_gym.learning.config import TrainConfig


@dataclass
class Demo:
    """Train a Franka arm to reach, evaluate it and film it."""

    seed: Seed = 0
    out: Out = None
    device: Device = "auto"
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        """Do it."""
        from genesis_gym.learning.config import make_config

        config = make_config(seed=self.seed)
        return _train(config, console, out=self.out, stem="demo", device=self.device, video=True)


@dataclass
class Train:
    """Train an agent and leave a run folder."""

    env: Annotated[str, arg(help="Id of the environment.")] = DEFAULT_ENV
    algorithm: Annotated[str, arg(help="PPO, SAC or TD3.")] = "PPO"
    preset: Annotated[str, arg(help="default (tuned) or guide (the training guide's numbers).")] = "default"
    seed: Seed = 0
    num_envs: Annotated[int | None, arg(help="Rows of the scene. Default: the preset's.")] = None
    timesteps: Annotated[int | None, arg(help="Environment steps over all rows. Default: the preset's.")] = None
    set: Annotated[tuple[str, ...], arg(help="Hyperparameters, such as learning_rate=1e-3 net_arch=64,64.")] = ()
    out: Out = None
    device: Device = "auto"
    video: Annotated[bool, arg(help="Film the trained policy.")] = False
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        """Do it."""
        from genesis_gym.learning.config import make_config

        config = make_config(
            self.env,
            self.algorithm.upper(),
            preset=self.preset,
            seed=self.seed,
            num_envs=self.num_envs,
            timesteps=self.timesteps,
            hyperparameters=parse_pairs("--set", self.set),
        )
        stem = f"{self.env.rpartition('/')[2]}-{config.algorithm}".lower()
        return _train(config, console, out=self.out, stem=stem, device=self.device, video=self.video)


def _train(config: TrainConfig, console: Console, *, out: Path | None, stem: str, device: str, video: bool) -> int:
    from genesis_gym.learning.runs import new_run_folder
    from genesis_gym.runtime import BACKENDS

    check_choice("device", device, BACKENDS)
    folder = new_run_folder(out, stem)

    console.print("Importing Genesis and Stable-Baselines3 …")
    from genesis_gym.learning.evaluate import describe
    from genesis_gym.learning.pipeline import run_pipeline

    report = run_pipeline(config, folder, console, backend=device, video=video)
    print_table(
        {
            "device": report.device,
            **describe(report.evaluation),
            "wall clock": ", ".join(f"{phase} {value:.1f} s" for phase, value in report.seconds.items()),
            "start to evaluated": f"{report.solved_seconds:.1f} s",
            "run folder": f"{report.folder}: {', '.join(report.files)}",
        }
    )
    return 0
