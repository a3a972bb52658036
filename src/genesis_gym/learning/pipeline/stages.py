"""Multi-stage training: each stage begins with the policy, optimiser and normaliser of the one before.

A plan is a YAML file. Entries at its top hold for every stage, entries of a stage for that stage:

    algorithm: PPO
    observation_parts: {joint_position: 7, joint_velocity: 7, joint_error: 7, target: 3, to_target: 3}
    stages:
      - env: Genesis/FrankaMotor-v0
        timesteps: 100_000
      - env: Genesis/FrankaReach-v0
        stop_at_success: 0.95
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError, RunFolderError
from genesis_gym.learning.agents.checkpoint import check_match, observation_sizes
from genesis_gym.learning.config.train_config import TrainConfig, make_config
from genesis_gym.learning.pipeline.run import RunOptions, RunSummary, run_pipeline
from genesis_gym.learning.runs.files import check_folder, read_yaml
from genesis_gym.learning.runs.folder import CHECKPOINT_FILE, PLAN_FILE, REPORT_FILE, write_whole
from genesis_gym.registration import find_spec
from genesis_gym.tasks import make_task

if TYPE_CHECKING:
    from typing_extensions import Unpack


#: Hyperparameters that say how large the networks are.
NETWORK = ("net_arch", "hidden_dims")

MAX_STAGES = 100

Plan = list[TrainConfig]


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Args:
        path: The YAML file.

    Returns:
        The config of each stage.

    Raises:
        ArgumentError: It cannot be read, or an entry is not allowed; the stage is named.
    """
    try:
        return parse_plan(read_yaml(path), str(path))
    except RunFolderError as error:
        raise ArgumentError(str(error)) from error


def parse_plan(data: Any, source: str = "plan") -> Plan:
    """Validate a plan.

    Args:
        data: What the YAML file holds: a mapping with a list `stages`.
        source: Where it comes from, for errors.

    Returns:
        The config of each stage.

    Raises:
        ArgumentError: An entry is not allowed; the stage is named.
    """
    stages = data.get("stages") if isinstance(data, dict) else None
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise ArgumentError(f"{source} is no plan; it must be a mapping with a list 'stages' of mappings")
    if len(stages) > MAX_STAGES:
        raise ArgumentError(f"{source} has {len(stages)} stages; at most {MAX_STAGES} are allowed")
    common = {name: value for name, value in data.items() if name != "stages"}
    plan = []
    for number, stage in enumerate(stages, start=1):
        try:
            plan.append(make_config(**{**common, **stage}))
        except (ArgumentError, TypeError) as error:
            raise ArgumentError(f"{source}: stage {number}: {error}") from error
    algorithms = sorted({config.algorithm for config in plan})
    if len(algorithms) > 1:
        raise ArgumentError(f"{source}: the stages have algorithms {', '.join(algorithms)}; they must share one")
    return plan


def run_stages(plan: Plan, folder: Path, console: Console, **options: Unpack[RunOptions]) -> Iterator[RunSummary]:
    """Train the stages that are not finished yet, each in a run folder of its own below `folder`.

    Args:
        plan: The config of each stage.
        folder: A new, empty folder, or one where the same plan was interrupted.
        console: Where progress is shown.
        **options: As `RunOptions` lists them.

    Yields:
        The outcome of each stage as it finishes.

    Raises:
        RunFolderError: A stage does not fit the one before it; the difference is spelled out.
    """
    check_folder(folder)
    _keep_plan(plan, folder)
    _check_match(plan, options.get("device", "auto"))
    before: Path | None = None
    for number, config in enumerate(plan, start=1):
        stage = stage_folder(folder, number, config)
        check_folder(stage)
        if (stage / REPORT_FILE).is_file():
            console.print(f"Stage {number} of {len(plan)}, {config.env}: finished already")
        else:
            console.print(f"Stage {number} of {len(plan)}, {config.env}")
            if stage.is_dir() and not (stage / CHECKPOINT_FILE).is_file():
                shutil.rmtree(stage)  # it was interrupted before its first checkpoint
            stage.mkdir(exist_ok=True)
            yield run_pipeline(
                config,
                stage,
                console,
                init_from=before,
                since=None if before is None else time.monotonic(),
                **options,
            )
        before = stage


def stage_folder(folder: Path, number: int, config: TrainConfig) -> Path:
    """The run folder of a stage.

    Args:
        folder: Folder of all stages.
        number: From 1.
        config: The stage's config.

    Returns:
        Such as `folder/2-frankareach-v0`.
    """
    return folder / f"{number}-{config.env.rpartition('/')[2].lower()}"


def _check_match(plan: Plan, device: str) -> None:
    """Refuse stages that do not match before the first is trained rather than after."""
    _check_shared(plan)
    first = plan[0]
    declared = first.observation_parts is not None and not first.goal
    if all(
        (config.goal, config.observation_parts) == (first.goal, first.observation_parts)
        and (declared or config.env == first.env)
        for config in plan
    ):
        return
    layouts = []
    for config in plan:
        env = make_core(config.env, 1, device=device, **config.evaluation_env())
        layouts.append(observation_sizes(env))
        env.close()
    for number, (before, after) in enumerate(pairwise(layouts), start=1):
        check_match(f"stage {number}", before, f"stage {number + 1}", after)


def _check_shared(plan: Plan) -> None:
    """Refuse stages whose actions or networks differ, as the defaults of two environments may."""
    for number, (config, following) in enumerate(pairwise(plan), start=1):
        here, there = f"stage {number}", f"stage {number + 1}"
        one, other = _actions(config), _actions(following)
        if one != other:
            raise RunFolderError(
                f"{here} acts by {one} and {there} by {other}: write one control_mode at the top of the plan, for "
                "tasks that drive the same joints"
            )
        for name in NETWORK:
            one, other = (str(list(getattr(each.hyperparameters, name, ()))) for each in (config, following))
            if one != other:
                raise RunFolderError(
                    f"{here} has {name}={one} and {there} has {name}={other}: write one {name} into the "
                    "hyperparameters at the top of the plan"
                )


def _actions(config: TrainConfig) -> str:
    """The action space of a stage, in words."""
    task: Any = make_task(find_spec(config.env).kwargs["task"], {})
    mode = str(config.control_mode or getattr(task, "control_mode", type(task).__name__))
    return f"{mode} and a gripper" if getattr(task, "gripper", None) == "driven" else mode


def _keep_plan(plan: Plan, folder: Path) -> None:
    """Write the plan; refuse a folder that holds another."""
    path = folder / PLAN_FILE
    if path.is_file():
        if read_plan(path) != plan:
            raise RunFolderError(f"{folder} holds another plan than this; resume it, or name another folder")
        return
    stages = [config.model_dump(mode="json", exclude={"version"}) for config in plan]
    text = yaml.safe_dump({"stages": stages}, sort_keys=False)
    write_whole(path, lambda file: file.write_text(text))
