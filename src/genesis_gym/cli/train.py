"""`genesis-gym train` and `genesis-gym demo`."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from tyro.conf import arg

from genesis_gym.cli.options import (
    DEFAULT_ENV,
    Device,
    Imports,
    Out,
    Pairs,
    Quiet,
    Seed,
    check_device,
    import_modules,
    parse_pairs,
    print_table,
)
from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.learning.agents.ranks import rank, take_own_gpu, world_size
from genesis_gym.registration import find_spec

if TYPE_CHECKING:
    from genesis_gym.learning.config.train_config import TrainConfig
    from genesis_gym.learning.pipeline.run import RunSummary


@dataclass
class Demo:
    """Train a Franka arm to reach, evaluate it and film it."""

    seed: Seed = 0
    out: Out = None
    device: Device = "auto"
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        from genesis_gym.learning.config.train_config import make_config
        from genesis_gym.learning.runs.folder import new_run_folder

        config = make_config(seed=self.seed)
        check_device(self.device)
        return _train(config, new_run_folder(self.out, "demo"), console, device=self.device, video=True)


@dataclass
class Train:
    """Train an agent and write a run folder."""

    env: Annotated[str | None, arg(help=f"Id of the environment. Default: {DEFAULT_ENV}.")] = None
    algorithm: Annotated[str | None, arg(help="PPO (the default), SAC, TQC or TD3.")] = None
    library: Annotated[str | None, arg(help="Library that learns: sb3 (the default) or rsl_rl (PPO only).")] = None
    preset: Annotated[
        str | None, arg(help="default (tuned), guide (the training guide's) or her (hindsight).")
    ] = None
    seed: Annotated[int | None, arg(help="Seed of the training. Default: 0.")] = None
    num_envs: Annotated[int | None, arg(help="Number of environments. Default: the preset's.")] = None
    num_workers: Annotated[
        int | None, arg(help="Processes that share the environments, on the CPU. Default: 1.")
    ] = None
    timesteps: Annotated[int | None, arg(help="Steps, summed over environments. Default: the preset's.")] = None
    control_mode: Annotated[str | None, arg(help="Meaning of an action, such as ee_delta_position.")] = None
    decimation: Annotated[int | None, arg(help="Physics steps per action. Default: the task's.")] = None
    reward: Annotated[str | None, arg(help="dense (the default) or sparse: -1 until success.")] = None
    goal: Annotated[bool, arg(help="Observe the goal separately; SAC, TQC and TD3 then use hindsight replay.")] = (
        False
    )
    set: Annotated[Pairs, arg(help="Hyperparameters, such as learning_rate=1e-3 net_arch=64,64.")] = ()
    reward_weights: Annotated[Pairs, arg(help="Weights of reward terms, such as distance=-2 action=-0.001.")] = ()
    randomization: Annotated[
        Pairs, arg(help="Ranges of domain randomisation, such as payload=0,0.5 wind=0,2.")
    ] = ()
    curriculum: Annotated[Pairs | None, arg(help="Start easy; each environment gets harder as it succeeds.")] = (
        None
    )
    observation_parts: Annotated[Pairs, arg(help="Parts of the observation and their sizes, in order.")] = ()
    evaluate_every: Annotated[int | None, arg(help="Steps between evaluations; the best policy is kept.")] = None
    stop_at_success: Annotated[float | None, arg(help="Stop training at this success rate of an evaluation.")] = (
        None
    )
    stop_at_reward: Annotated[float | None, arg(help="Stop training at this mean return of an evaluation.")] = None
    config: Annotated[Path | None, arg(help="Config file to train; the options above override it.")] = None
    init_from: Annotated[
        Path | None, arg(help="Run to take the initial policy, optimiser and normaliser from.")
    ] = None
    stages: Annotated[Path | None, arg(help="YAML file of stages to train in sequence.")] = None
    resume: Annotated[Path | None, arg(help="Run folder, of one run or of stages, to resume.")] = None
    out: Out = None
    device: Device = "auto"
    video: Annotated[bool, arg(help="Record a video of the trained policy.")] = False
    imports: Imports = ()
    wandb: Annotated[str | None, arg(help="Also log to this project of Weights & Biases.")] = None
    dump_faults: Annotated[bool, arg(help="Save the steps before a fault for replay; slower.")] = False
    quiet: Quiet = False

    def run(self, console: Console) -> int:
        from genesis_gym.learning.runs.files import check_folder
        from genesis_gym.learning.runs.folder import PLAN_FILE, new_run_folder, read_config

        self._refuse_contradictions()
        check_device(self.device)
        import_modules(self.imports, self.env)
        if self.resume is not None:
            check_folder(self.resume)
        options: dict[str, Any] = {
            "device": self.device,
            "video": self.video,
            "wandb_project": self.wandb,
            "dump_faults": self.dump_faults,
            "imports": self.imports,
        }
        if self.stages is not None or (self.resume is not None and (self.resume / PLAN_FILE).is_file()):
            return self._train_stages(console, options)
        config = self._config() if self.resume is None else read_config(self.resume)
        find_spec(config.env)
        if self.resume is not None:
            return _train(config, self.resume, console, **options)
        stem = f"{config.env.rpartition('/')[2]}-{config.algorithm}".lower()
        # Only the first rank has a run folder.
        folder = new_run_folder(self.out, stem) if rank() == 0 else (self.out or Path("runs")) / f"rank{rank()}"
        return _train(config, folder, console, init_from=self.init_from, **options)

    def _train_stages(self, console: Console, options: dict[str, Any]) -> int:
        from genesis_gym.learning.pipeline.stages import read_plan, run_stages
        from genesis_gym.learning.runs.folder import PLAN_FILE, new_run_folder

        if world_size() > 1:
            raise ArgumentError("stages train in one process: train each stage separately, with --init-from")
        plan = read_plan(self.stages or self.resume / PLAN_FILE)  # type: ignore[operator]
        folder = self.resume or new_run_folder(self.out, "stages")
        with _resumable(folder, console):
            for report in run_stages(plan, folder, console, **options):
                _print_report(report)
        return 0

    def _config(self) -> TrainConfig:
        from genesis_gym.learning.config.presets import LIBRARIES
        from genesis_gym.learning.config.train_config import change_config, make_config
        from genesis_gym.learning.runs.folder import read_config_file

        given: dict[str, Any] = {
            "seed": self.seed,
            "num_envs": self.num_envs,
            "num_workers": self.num_workers,
            "timesteps": self.timesteps,
            "control_mode": self.control_mode,
            "decimation": self.decimation,
            "reward": self.reward,
            "goal": self.goal or None,
            "hyperparameters": parse_pairs("--set", self.set),
            "reward_weights": parse_pairs("--reward-weights", self.reward_weights),
            "randomization": parse_pairs("--randomization", self.randomization),
            "curriculum": None if self.curriculum is None else parse_pairs("--curriculum", self.curriculum),
            "observation_parts": parse_pairs("--observation-parts", self.observation_parts) or None,
            "evaluate_every": self.evaluate_every,
            "stop_at_success": self.stop_at_success,
            "stop_at_reward": self.stop_at_reward,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if self.config is not None:
            return change_config(read_config_file(self.config), **given)
        algorithm = (self.algorithm or "PPO").upper()
        if self.library is not None:
            check_choice("library", self.library, LIBRARIES)
            check_choice(f"library {self.library}: algorithm", algorithm, LIBRARIES[self.library])
            algorithm = LIBRARIES[self.library][algorithm]
        return make_config(self.env or DEFAULT_ENV, algorithm, preset=self.preset or "default", **given)

    def _refuse_contradictions(self) -> None:
        """Refuse options that another one leaves without effect."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        given = {name for name, default in defaults.items() if getattr(self, name) != default}
        everywhere = {"device", "video", "wandb", "dump_faults", "quiet", "imports"}
        for option, idle in (
            ("resume", given - everywhere - {"resume"}),
            ("stages", given - everywhere - {"stages", "out"}),
            ("config", given & {"env", "library", "algorithm", "preset"}),
        ):
            if option in given and idle:
                names = ", ".join(f"--{name.replace('_', '-')}" for name in defaults if name in idle)
                raise ArgumentError(f"--{option} cannot be combined with {names}")


def _train(config: TrainConfig, folder: Path, console: Console, **options: Any) -> int:
    if options["device"] != "cpu":
        take_own_gpu()
    console.print("Importing Genesis and Stable-Baselines3 …")
    from genesis_gym.learning.pipeline.run import run_pipeline, take_part

    if rank() > 0:
        take_part(config, folder, device=options["device"], init_from=options.get("init_from"))
        return 0
    with _resumable(folder, console):
        _print_report(run_pipeline(config, folder, console, **options))
    return 0


@contextmanager
def _resumable(folder: Path, console: Console) -> Iterator[None]:
    """Print the command that resumes after an interruption."""
    try:
        yield
    except KeyboardInterrupt:
        if any(folder.rglob("checkpoint.pt")):
            command = "genesis-gym" if world_size() == 1 else "torchrun … -m genesis_gym"
            console.print(f"Resume with: {command} train --resume {shlex.quote(str(folder))}", soft_wrap=True)
        raise


def _print_report(report: RunSummary) -> None:
    from genesis_gym.learning.evaluation.result import describe

    print_table(
        {
            "device": report.device,
            **describe(report.evaluation),
            "wall clock": ", ".join(f"{phase} {value:.1f} s" for phase, value in report.seconds.items()),
            "start to evaluated": f"{report.solved_seconds:.1f} s",
            "run folder": f"{report.folder}: {', '.join(report.files)}",
        }
    )
