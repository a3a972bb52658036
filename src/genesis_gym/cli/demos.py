"""`genesis-gym demos`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from tyro.conf import arg

from genesis_gym.cli.options import Best, Device, Imports, Quiet, import_modules, print_table
from genesis_gym.errors import ArgumentError
from genesis_gym.registration import find_spec


@dataclass
class Demos:
    """Record successful episodes as a Minari dataset, for learning from demonstrations."""

    env: Annotated[str | None, arg(help="Environment, solved by its scripted policy.")] = None
    run_folder: Annotated[
        Path | None, arg(name="run", help="Run folder of a trained policy, instead of --env.")
    ] = None
    episodes: Annotated[int, arg(help="Number of successful episodes.")] = 100
    num_envs: Annotated[int, arg(help="Number of environments.")] = 64
    seed: Annotated[int, arg(help="Seed of the first episode tried.")] = 0
    dataset: Annotated[str | None, arg(help="Id of the dataset. Default: genesis-gym/ENVIRONMENT/POLICY-v0.")] = (
        None
    )
    best: Best = False
    device: Device = "auto"
    imports: Imports = ()
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        if (self.env is None) == (self.run_folder is None):
            raise ArgumentError("demos needs --env, for its scripted policy, or --run, for a trained one")
        import_modules(self.imports, self.env)

        from genesis_gym.core.make import make_core
        from genesis_gym.learning.agents.load import open_run
        from genesis_gym.learning.agents.policy import Act
        from genesis_gym.learning.evaluation.demonstrations import collect
        from genesis_gym.learning.evaluation.minari import check_dataset, recoverable_spec, write_minari
        from genesis_gym.learning.evaluation.scripted import grasp_and_carry
        from genesis_gym.learning.runs.folder import read_config

        env_id = self.env or read_config(self.run_folder).env  # type: ignore[arg-type]
        policy = "scripted" if self.run_folder is None else "trained"
        name = find_spec(env_id).id.rpartition("/")[2].rpartition("-v")[0]
        dataset = self.dataset or f"genesis-gym/{name}/{policy}-v0"
        check_dataset(dataset)
        console.print("Importing Genesis …")
        settings: dict[str, Any] = {}
        if self.run_folder is not None:
            config = read_config(self.run_folder)
            changed = config.model_dump(mode="json", include=set(config.evaluation_env()), exclude_defaults=True)
            settings = {key: value for key, value in changed.items() if value is not None}
        spec = recoverable_spec(env_id, settings, self.imports)  # refused before a scene is built
        if self.run_folder is None:
            env = make_core(env_id, self.num_envs, device=self.device)
            act: Act = partial(grasp_and_carry, env)
        else:
            config, env, act = open_run(self.run_folder, self.num_envs, best=self.best, device=self.device)
            policy = f"{policy}: {config.algorithm}, seed {config.seed}"
        try:
            found, tried = collect(env, act, self.episodes, self.seed)
            folder = write_minari(found, env, dataset, spec=spec, policy=policy)
        finally:
            env.close()
        lengths = [len(each.rewards) for each in found]
        print_table(
            {
                "dataset": dataset,
                "episodes": f"{len(found)}, of {tried} tried",
                "steps": f"{sum(lengths):,}, {min(lengths)} to {max(lengths)} in an episode",
                "folder": str(folder),
            }
        )
        return 0
