"""What happens beside learning: logs, periodic evaluation, checkpoints, stages."""

from __future__ import annotations

import csv
import json
import re
import signal
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from genesis_gym.core.make import make_core as make_core_of
from genesis_gym.errors import ArgumentError, RunFolderError
from genesis_gym.learning import callbacks, pipeline
from genesis_gym.learning.agents.checkpoint import carry_over, read_checkpoint, resume
from genesis_gym.learning.config.train_config import change_config, make_config
from genesis_gym.learning.evaluation.evaluate import evaluate_policy, evaluate_run
from genesis_gym.learning.agents.policy import ClippedReward, load_policy, make_model
from genesis_gym.learning.training.progress import TrainingProgress
from genesis_gym.learning.pipeline.stages import PLAN_FILE, parse_plan, read_plan, run_stages
from genesis_gym.learning.training.train import train
from genesis_gym.variation.curriculum import Curriculum
from genesis_gym.variation.levels import RowDifficulty
from genesis_gym.variation.randomization import Randomization

#: Hyperparameters that make a rollout of eight rows short.
SHORT = {
    "PPO": {"n_steps": 16, "batch_size": 64, "n_epochs": 2},
    "SAC": {"learning_starts": 64, "batch_size": 32, "buffer_size": 2_000},
    "TD3": {"learning_starts": 64, "batch_size": 32, "buffer_size": 2_000},
    "RSL_PPO": {
        "num_steps_per_env": 16,
        "num_mini_batches": 2,
        "num_learning_epochs": 2,
        "entropy_coef": 0.1,
        "final_entropy_coef": 0.0,
    },
}


def with_slow_td3(algorithms: Iterable[str]) -> list[Any]:
    """Parameters, of which TD3, whose loop is SAC's, is left to `make test-slow`."""
    return [pytest.param(name, marks=pytest.mark.slow if name == "TD3" else ()) for name in algorithms]


QUICK = Curriculum(initial=0.1, step=0.1, threshold=0.5, window=1)


def short_config(algorithm: str = "PPO", **kwargs):
    kwargs = {"num_envs": 8, "timesteps": 512, **kwargs}
    return make_config(algorithm=algorithm, hyperparameters=SHORT[algorithm], **kwargs)


@pytest.fixture
def easing(make_core):
    """Eight rows with a curriculum that starts over."""
    env = make_core(8, curriculum=QUICK)
    env._levels = RowDifficulty(QUICK, 8, env.device)
    return env


def rows_of(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row.get(name)]


@pytest.mark.parametrize("algorithm", SHORT)
def test_evaluation_during_training(tmp_path, easing, algorithm: str) -> None:
    """In the training's own scene; the best policy is kept; the figures are logged."""
    config = short_config(algorithm, evaluate_every=128, curriculum=QUICK)
    results = []
    train(config, easing, tmp_path, show_evaluation=results.append)
    rows = rows_of(tmp_path / "progress.csv")
    assert column(rows, "eval/success_rate") == [result.success_rate for result in results]
    assert len(results) == 3 and all(result.episodes == 100 for result in results)
    best = max(results, key=lambda result: (result.success_rate, result.mean_reward))
    again = evaluate_policy(easing, load_policy(tmp_path, config, easing, best=True), 100)
    assert again.success_rate == best.success_rate
    assert again.mean_reward == pytest.approx(best.mean_reward, rel=1e-5)


def test_an_evaluation_leaves_the_curriculum_and_the_random_sequences_alone(tmp_path, easing) -> None:
    config = short_config(evaluate_every=64, curriculum=QUICK)
    train(config, easing, tmp_path)
    assert (easing._random.seeds == torch.arange(8)).all(), "rows draw from the training's seeds again"
    assert (easing.difficulty > 0.1).all(), "and the curriculum went on"


def test_training_stops_at_a_threshold(tmp_path, core) -> None:
    config = short_config(timesteps=2_048, stop_at_reward=-1e9)
    assert config.evaluate_every == 204, "a threshold brings an evaluation with it"
    train(config, core, tmp_path)
    steps = column(rows_of(tmp_path / "progress.csv"), "time/total_timesteps")
    assert max(steps) < 512
    policy, best = (safetensors.torch.load_file(tmp_path / f"{name}policy.safetensors") for name in ("", "best_"))
    for name in policy:
        assert torch.equal(policy[name], best[name]), "what met the threshold is what is kept"


@pytest.mark.parametrize("algorithm", ["PPO", "RSL_PPO"])
def test_logs(tmp_path, easing, algorithm: str) -> None:
    train(short_config(algorithm, curriculum=QUICK), easing, tmp_path)
    rows = rows_of(tmp_path / "progress.csv")
    assert column(rows, "time/total_timesteps") == [128.0, 256.0, 384.0, 512.0]
    for name in ("reward/distance", "reward/success", "curriculum/difficulty", "memory/process_mb"):
        assert len(column(rows, name)) == 4, name
    assert 0.1 <= column(rows, "curriculum/difficulty")[0] <= column(rows, "curriculum/difficulty")[-1] <= 1
    assert column(rows, "memory/process_mb")[0] > 300
    header, *episodes = (tmp_path / "0.monitor.csv").read_text().splitlines()[1:]
    assert header == "r,l,t,is_success" and len(episodes) > 4


def test_wandb_is_optional_and_gets_the_log(tmp_path, core, monkeypatch) -> None:
    """Against the real package, offline; without it, one line says what to install."""
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    sent = []
    init = wandb.init

    def spying_init(**kwargs):
        run = init(**kwargs)
        log = run.log
        monkeypatch.setattr(run, "log", lambda data, step: (sent.append((step, data)), log(data, step=step)))
        return run

    monkeypatch.setattr(wandb, "init", spying_init)
    train(short_config(timesteps=256), core, tmp_path, wandb_project="genesis-gym-test")
    assert [step for step, _ in sent] == [128, 256] and "reward/distance" in sent[0][1]
    assert list((tmp_path / "wandb").glob("offline-run-*"))


def test_without_wandb_one_line_says_what_to_install(tmp_path, core, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(Exception, match=r"pip install 'genesis-gym\[wandb\]'"):
        train(short_config(), core, tmp_path, wandb_project="x")


# The dashboard


def run_dashboard(core, tmp_path, **console) -> str:
    import io

    stream = io.StringIO()
    shown = Console(file=stream, width=100, **console)
    config = short_config(evaluate_every=128)
    with TrainingProgress(shown, config) as progress:
        progress_shown_always(progress)
        train(config, core, tmp_path, [progress], show_evaluation=progress.show_evaluation)
    return stream.getvalue()


def progress_shown_always(progress: TrainingProgress) -> None:
    """Without the quarter of a second between two pictures."""
    progress._shown = -1.0


def test_the_dashboard_on_a_terminal(core, tmp_path) -> None:
    text = run_dashboard(core, tmp_path, force_terminal=True)
    for word in ("Training", "success", "reward/distance", "memory/process_mb", "last evaluation", "steps/s"):
        assert word in text, word


def test_plain_lines_without_a_terminal(core, tmp_path) -> None:
    lines = run_dashboard(core, tmp_path, force_terminal=False).splitlines()
    assert sum(bool(re.match(r"training +\d+%", line)) for line in lines) == 4, lines
    assert sum(line.startswith("evaluation at ") for line in lines) == 3, lines


def test_nothing_on_a_quiet_console(core, tmp_path) -> None:
    assert run_dashboard(core, tmp_path, force_terminal=True, quiet=True) == ""


# Normalisation and clipping


class Loud(DummyVecEnv):
    """Rewards of ±100."""

    def __init__(self) -> None:
        import gymnasium as gym

        super().__init__([lambda: gym.make("Pendulum-v1")])

    def step_wait(self):
        observation, _, done, infos = super().step_wait()
        return observation, np.array([100.0]), done, infos


def test_rewards_are_clipped_where_the_learner_sees_them() -> None:
    env = ClippedReward(Loud(), 2.5)
    env.reset()
    _, reward, _, _ = env.step(np.zeros((1, 1), dtype=np.float32))
    assert reward.tolist() == [2.5]


@pytest.mark.parametrize("normalize", [True, False])
def test_clipping_reaches_sb3(core, normalize: bool) -> None:
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv

    settings = {"normalize_reward": normalize, "clip_reward": 3.0, "clip_observation": 4.0}
    config = make_config(num_envs=8, hyperparameters={**SHORT["PPO"], **settings})
    model = make_model(config, GenesisSb3VecEnv(core), core.device)
    normalizer = model.get_vec_normalize_env()
    assert normalizer.clip_obs == 4.0 and normalizer.norm_reward is normalize
    if normalize:
        assert normalizer.clip_reward == 3.0
    else:
        assert isinstance(normalizer.venv, ClippedReward)


# Checkpoints


EVERYTHING = Randomization(wind=(0, 5), action_latency=(0, 2), observation_noise=(0, 0.1), gravity=(5, 12))


class Interrupt(BaseCallback):
    """Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._at = step

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._at:
            raise KeyboardInterrupt
        return True


@pytest.mark.parametrize("algorithm", with_slow_td3(SHORT))
def test_a_resumed_run_equals_one_that_went_through(tmp_path, make_core, monkeypatch, algorithm: str) -> None:
    """Byte for byte: policy, optimisers, normaliser, curriculum, generators, replay buffer and environment.

    Interrupted twice in the midst of a rollout; shaped rewards, randomised physics, late actions and noise are all
    part of what must go on.
    """
    env = make_core(8, curriculum=QUICK, randomization=EVERYTHING, reward_weights=_Frozen(progress=5.0))
    config = short_config(algorithm, curriculum=QUICK, randomization=EVERYTHING, evaluate_every=200)
    monkeypatch.setattr(callbacks, "CHECKPOINT_SECONDS", 0.0)
    written = []
    for name, stops in (("through", ()), ("interrupted", (200, 390))):
        folder = tmp_path / name
        folder.mkdir()
        env._levels = RowDifficulty(QUICK, 8, env.device)
        for stop in stops:
            with pytest.raises(KeyboardInterrupt):
                train(config, env, folder, [Interrupt(stop)])
            assert not (folder / "policy.safetensors").exists()
            env.reset(seed=77)  # another process knows nothing of this one's environment and generators
            env.step(torch.rand(8, 7) - 0.5)
            np.random.random(3)
            torch.rand(3)
        train(config, env, folder)
        assert (env.difficulty > 0.1).any()
        written.append(folder)
    for file in ("checkpoint.safetensors", "policy.safetensors", "best_policy.safetensors"):
        whole, resumed = (safetensors.torch.load_file(folder / file) for folder in written)
        assert whole.keys() == resumed.keys()
        different = [name for name in whole if not torch.equal(bits(whole[name]), bits(resumed[name]))]
        assert different == [], file
        assert (written[0] / file).read_bytes() == (written[1] / file).read_bytes()
    one, other = (rows_of(folder / "progress.csv") for folder in written)
    for name in ("time/total_timesteps", "rollout/ep_rew_mean", "curriculum/difficulty", "eval/mean_reward"):
        assert column(one, name) == column(other, name), name


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's bytes, in which a NaN equals itself."""
    return tensor.contiguous().view(-1).view(torch.uint8)


class _Frozen(dict):
    """A dictionary that the fixture can use as part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def test_an_interrupted_run_goes_on(tmp_path, core, monkeypatch) -> None:
    monkeypatch.setattr(callbacks, "CHECKPOINT_SECONDS", 0.0)
    config = short_config()
    with pytest.raises(KeyboardInterrupt):
        train(config, core, tmp_path, [Interrupt(300)])
    with pytest.raises(RunFolderError, match="its training did not finish"):
        load_policy(tmp_path, config, core)
    with (tmp_path / "progress.csv").open("a") as file:
        file.write("1,2,torn by a ki")
    train(config, core, tmp_path)
    steps = column(rows_of(tmp_path / "progress.csv"), "time/total_timesteps")
    assert steps == [128.0, 256.0, 384.0, 512.0], "one log, without a gap"
    assert len(list(tmp_path.glob("*.monitor.csv"))) == 2
    train(config, core, tmp_path)  # nothing is left to do
    assert load_policy(tmp_path, config, core) is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_training_with_a_checkpoint(tmp_path, core, number: int) -> None:
    class Kill(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps == 200:
                signal.raise_signal(number)
            return True

    earlier = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(short_config(), core, tmp_path, [Kill()])
    assert read_checkpoint(tmp_path).description["timesteps"] == 256, "the rollout was finished"
    assert signal.getsignal(number) is earlier


def test_a_second_signal_stops_at_once(tmp_path, core) -> None:
    class Kill(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps in (200, 208):
                signal.raise_signal(signal.SIGINT)
            return True

    with pytest.raises(KeyboardInterrupt):
        train(short_config(), core, tmp_path, [Kill()])
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_policy_optimiser_and_normaliser_carry_over(tmp_path, core) -> None:
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv

    config = short_config()
    train(config, core, tmp_path)
    kept = safetensors.torch.load_file(tmp_path / "checkpoint.safetensors")
    model = make_model(config, GenesisSb3VecEnv(core), core.device)
    fresh = {name: value.clone() for name, value in model.policy.state_dict().items()}
    carry_over(read_checkpoint(tmp_path), model, core)
    for name, value in model.policy.state_dict().items():
        assert torch.equal(value, kept[f"policy/{name}"])
    assert any(not torch.equal(value, fresh[name]) for name, value in model.policy.state_dict().items())
    moments = model.policy.optimizer.state_dict()["state"]
    assert torch.equal(moments[0]["exp_avg"], kept["policy.optimizer/0/exp_avg"]) and moments[0]["step"] > 0
    np.testing.assert_array_equal(
        model.get_vec_normalize_env().obs_rms.mean, kept["observation_statistics/mean"].numpy()
    )
    assert model.num_timesteps == 0, "a new run counts from the start"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"algorithm": "SAC"}, "was trained by PPO, not by SAC"),
        ({"hyperparameters": {"net_arch": (32, 32)}}, "does not fit the run: its optimiser does not fit"),
    ],
)
def test_what_does_not_match_is_refused(tmp_path, core, change: dict, named: str) -> None:
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv

    train(short_config(timesteps=128), core, tmp_path)
    algorithm = change.get("algorithm", "PPO")
    hyperparameters = SHORT[algorithm] | change.get("hyperparameters", {})
    config = make_config(algorithm=algorithm, num_envs=8, hyperparameters=hyperparameters)
    model = make_model(config, GenesisSb3VecEnv(core), core.device)
    with pytest.raises(RunFolderError) as error:
        carry_over(read_checkpoint(tmp_path), model, core)
    assert named in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["truncated", "empty", "no description", "wrong kinds", "absent"])
def test_a_damaged_checkpoint_is_refused(tmp_path, core, damage: str) -> None:
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv

    path = tmp_path / "checkpoint.safetensors"
    config = short_config(timesteps=128)
    train(config, core, tmp_path)
    whole = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no description":
        safetensors.torch.save_file({"x": torch.zeros(1)}, path)
    elif damage == "wrong kinds":
        description = json.dumps({"algorithm": 3, "timesteps": "many"})
        safetensors.torch.save_file({"x": torch.zeros(1)}, path, metadata={"description": description})
    else:
        path.unlink()
    model = make_model(config, GenesisSb3VecEnv(core), core.device)
    with pytest.raises(RunFolderError) as error:
        resume(read_checkpoint(tmp_path), model, core)
    assert "\n" not in str(error.value)


# Stages

COMMON = {"joint_position": 7, "joint_velocity": 7, "joint_error": 7, "target": 3, "to_target": 3}
PLAN = {
    "hyperparameters": SHORT["PPO"],
    "num_envs": 4,
    "timesteps": 128,
    "observation_parts": COMMON,
    "stages": [{"env": "Genesis/FrankaMotor-v0"}, {"env": "Genesis/FrankaReach-v0", "timesteps": 192}],
}


def test_stages_carry_over_and_resume(tmp_path, monkeypatch) -> None:
    """The second stage is interrupted before its first checkpoint; the first is not trained again."""
    plan_file = tmp_path / "plan.yaml"
    plan_file.write_text(yaml.safe_dump(PLAN))
    folder = tmp_path / "run"
    folder.mkdir()
    console = Console(quiet=True)
    stages = run_stages(read_plan(plan_file), folder, console)
    first = next(stages)
    assert first.folder == folder / "1-frankamotor-v0"

    trained = []

    def interrupted_train(config, env, folder, *args, **kwargs):
        trained.append(folder.name)
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "train", interrupted_train)
        with pytest.raises(KeyboardInterrupt):
            next(stages)
    assert trained == ["2-frankareach-v0"]

    kept = safetensors.torch.load_file(folder / "1-frankamotor-v0" / "checkpoint.safetensors")
    seen = []
    monkeypatch.setattr(
        "genesis_gym.learning.training.train.carry_over",
        lambda before, model, env: (
            carry_over(before, model, env),
            seen.append({n: v.clone() for n, v in model.policy.state_dict().items()}),
        ),
    )
    reports = list(run_stages(read_plan(folder / PLAN_FILE), folder, console))
    assert [report.folder.name for report in reports] == ["2-frankareach-v0"]
    for name, value in seen[0].items():
        assert torch.equal(value, kept[f"policy/{name}"])
    assert evaluate_run(folder / "2-frankareach-v0", 4).episodes == 4
    assert list(run_stages(read_plan(plan_file), folder, console)) == [], "all is finished"
    with pytest.raises(RunFolderError, match="holds another plan"):
        list(run_stages(parse_plan({**PLAN, "seed": 3}), folder, console))


def test_stages_of_other_observations_are_refused(tmp_path, core) -> None:
    """Reach cannot go on from a run whose observation had other parts; each difference is named."""
    from genesis_gym.adapters.sb3 import GenesisSb3VecEnv

    train(short_config(timesteps=128), core, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    tensors = safetensors.torch.load_file(path)
    description = read_checkpoint(tmp_path).description
    description["observation"] = {"joint_position": 7, "joint_velocity": 7, "joint_error": 7}
    safetensors.torch.save_file(tensors, path, metadata={"description": json.dumps(description)})
    model = make_model(short_config(), GenesisSb3VecEnv(core), core.device)
    with pytest.raises(RunFolderError) as error:
        carry_over(read_checkpoint(tmp_path), model, core)
    text = str(error.value)
    assert "only there: joint_error=7; only here: target=3, to_target=3" in text
    assert "declare one common observation for both (observation_parts)" in text


def test_stages_that_do_not_match_are_refused_before_the_first_is_trained(tmp_path) -> None:
    plan = parse_plan({"stages": [{"env": "Genesis/FrankaMotor-v0"}, {"env": "Genesis/FrankaReach-v0"}]})
    with pytest.raises(RunFolderError) as error:
        next(run_stages(plan, tmp_path, Console(quiet=True)))
    assert "stage 1 has another observation than stage 2 (only there: joint_error=7; only here:" in str(
        error.value
    )
    assert [path.name for path in tmp_path.iterdir()] == [PLAN_FILE]


def test_stages_with_other_networks_or_actions_are_refused_before_the_first_is_trained(tmp_path) -> None:
    """Push has another default network than reach, and moves the tool."""
    envs = [{"env": "Genesis/FrankaReach-v0"}, {"env": "Genesis/FrankaPush-v0"}]
    plan = {"observation_parts": COMMON, "stages": envs}
    for number, (given, message) in enumerate(
        (
            ({}, "stage 1 acts by joint_delta and stage 2 by ee_delta_position"),
            (
                {"control_mode": "joint_delta"},
                r"stage 1 has net_arch=\[64, 64\] and stage 2 has net_arch=\[128, 128\]",
            ),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(RunFolderError, match=message):
            next(run_stages(parse_plan({**plan, **given}), folder, Console(quiet=True)))


def test_what_is_refused_leaves_nothing_behind(tmp_path, core) -> None:
    before, folder = tmp_path / "before", tmp_path / "new"
    before.mkdir()
    folder.mkdir()
    train(short_config(timesteps=128), core, before)
    with pytest.raises(RunFolderError, match="was trained by PPO, not by SAC"):
        train(short_config("SAC"), core, folder, begin_with=before)
    assert list(folder.iterdir()) == []
    config = short_config("SAC", reward_weights={"distanse": 1.0})
    with pytest.raises(ArgumentError, match="did you mean 'distance'"):
        pipeline.run_pipeline(config, folder, Console(quiet=True))
    assert not folder.exists()
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ArgumentError, match="did you mean 'distance'"):
        pipeline.run_pipeline(config, folder, Console(quiet=True))
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ([], "is no plan"),
        ({"stages": []}, "is no plan"),
        ({"stages": [3]}, "is no plan"),
        ({"stages": [{"env": "Genesis/FrankaReech-v0"}]}, "stage 1: env='Genesis/FrankaReech-v0' is not known"),
        ({"stages": [{}, {"timestep": 3}]}, "stage 2: config='timestep' is not known (did you mean 'timesteps'?)"),
        ({"stages": [{"hyperparameters": {"lr": 1}}]}, "stage 1: hyperparameter='lr' is not known"),
        ({"stages": [{"algorithm": "PPO"}, {"algorithm": "SAC"}]}, "algorithms PPO, SAC; they must share one"),
    ],
)
def test_wrong_plans_are_named(plan, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        parse_plan(plan)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_a_plan_is_read_by_the_safe_loader(tmp_path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("stages: !!python/object/apply:pathlib.Path.touch [exploded]")
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_plan(path)
    assert not (tmp_path / "exploded").exists()


# Changing a config


def test_a_config_chooses_the_control_mode_and_the_reward() -> None:
    config = make_config(control_mode="ee_delta_position", reward="sparse")
    assert change_config(config, seed=1).control_mode == "ee_delta_position"
    env = make_core_of(config.env, 2, **config.training_env())
    assert env.action_dim == 3 and list(env.reward_weights) == ["sparse"]
    env.close()
    with pytest.raises(ArgumentError, match="'dense' or 'sparse'"):
        make_config(reward="spars")


def test_a_config_is_changed_field_by_field() -> None:
    config = make_config(hyperparameters={"gamma": 0.9}, reward_weights={"action": -1.0})
    changed = change_config(
        config,
        seed=4,
        hyperparameters={"n_steps": 8},
        reward_weights={"progress": 2},
        randomization={"wind": [0, 1]},
    )
    assert changed.seed == 4 and changed.hyperparameters.gamma == 0.9 and changed.hyperparameters.n_steps == 8
    assert changed.reward_weights == {"action": -1.0, "progress": 2.0} and changed.randomization.wind == (0.0, 1.0)
    with pytest.raises(ArgumentError, match="did you mean 'n_steps'"):
        change_config(config, hyperparameters={"n_step": 8})
