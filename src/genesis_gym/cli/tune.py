"""`genesis-gym tune`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import arg

from genesis_gym.cli.options import DEFAULT_ENV, Device, Imports, Quiet, check_device, import_modules, print_table
from genesis_gym.errors import check_positive_int


@dataclass
class Tune:
    """Search hyperparameters by many short training runs in one scene.

    The same command with the same --out resumes a study that ended or was killed. Several processes of it that run
    at the same time share the study.
    """

    env: Annotated[str, arg(help="Id of the environment.")] = DEFAULT_ENV
    algorithm: Annotated[str, arg(help="PPO, SAC or TD3.")] = "PPO"
    preset: Annotated[str, arg(help="Source of the hyperparameters that are not searched: guide or default.")] = (
        "guide"
    )
    space: Annotated[
        Path | None,
        arg(help="YAML file, NAME: {type: float|int|categorical, low, high, log, step, choices} for each."),
    ] = None
    objective: Annotated[str, arg(help="Maximise reward (mean return) or success (success rate).")] = "reward"
    trials: Annotated[int, arg(help="Number of trials, summed over processes.")] = 50
    timesteps: Annotated[int, arg(help="Steps of a trial, summed over environments.")] = 50_000
    episodes: Annotated[int, arg(help="Episodes per evaluation.")] = 10
    num_envs: Annotated[int, arg(help="Number of environments. A PPO rollout has n_steps * num_envs steps.")] = 8
    seed: Annotated[int, arg(help="Seed of every trial, and of the search.")] = 0
    storage: Annotated[
        str | None,
        arg(help="URL of an SQL database, such as postgresql://host/name, to share the study between machines."),
    ] = None
    out: Annotated[
        Path | None,
        arg(help="Study folder; an existing one with the same settings is resumed. Default: a new one in runs/."),
    ] = None
    device: Device = "auto"
    imports: Imports = ()
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        """Run the command; the exit status is 1 if no trial was completed."""
        from genesis_gym.learning.tuning.search_space import read_space
        from genesis_gym.learning.tuning.study import make_tune_config, study_folder

        check_device(self.device)
        import_modules(self.imports, self.env)
        algorithm = self.algorithm.upper()
        config = make_tune_config(
            self.env,
            algorithm,
            preset=self.preset,
            objective=self.objective,
            timesteps=self.timesteps,
            num_envs=self.num_envs,
            episodes=self.episodes,
            seed=self.seed,
            space=None if self.space is None else read_space(self.space, algorithm),
        )
        check_positive_int("trials", self.trials)
        folder = study_folder(self.out, f"tune-{self.env.rpartition('/')[2]}-{algorithm}".lower())

        console.print("Importing Genesis, Stable-Baselines3 and Optuna …")
        from genesis_gym.learning.tuning.tune import BEST_FILE, tune

        try:
            result = tune(
                config,
                folder,
                trials=self.trials,
                storage=self.storage,
                device=self.device,
                console=console,
            )
        except KeyboardInterrupt:
            console.print(f"Finished trials are kept: resume with the same command and --out {folder}")
            raise
        best = "none: no trial was completed"
        if result.best_value is not None:
            best = f"{result.best_value:.4g} (trial {result.best_trial})"
        failures = "".join(f"\ntrial {number}: {reason}" for number, reason in result.failures.items())
        interrupted = {"interrupted": f"{result.interrupted}, repeated"} if result.interrupted else {}
        print_table(
            {
                f"best {result.objective}": best,
                **{f"  {name}": value for name, value in result.best.items()},
                "complete": result.complete,
                "pruned": result.pruned,
                "failed": f"{result.failed}{failures}",
                **interrupted,
                "study folder": f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}",
            }
        )
        if result.best_value is None:
            return 1
        print(f"Train with it: genesis-gym train --config {shlex.quote(str(folder / BEST_FILE))}")
        return 0
