"""Beside learning: logs, periodic evaluation, checkpoints, stages."""

from __future__ import annotations

import csv
import re
import signal
from collections.abc import Iterable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from rich.console import Console
from stable_baselines3.common.vec_env import DummyVecEnv

from conftest import EPISODES
from genesis_gym.core.make import make_core as make_core_of
from genesis_gym.core.make import make_sharded_core
from genesis_gym.errors import ArgumentError, RunFolderError
from genesis_gym.learning.agents.checkpoint import load_model, read_checkpoint, resume
from genesis_gym.learning.agents.learner import DivergedError, Hook
from genesis_gym.learning.agents.load import load_policy
from genesis_gym.learning.agents.make import make_learner
from genesis_gym.learning.agents.sb3_envs import ClippedReward
from genesis_gym.learning.agents.state import portable
from genesis_gym.learning.config.seeds import EVALUATION_SEED, SELECTION_SEED, TUNING_SEED, training_seed
from genesis_gym.learning.config.train_config import change_config, make_config
from genesis_gym.learning.evaluation.evaluate import evaluate_policy, evaluate_run
from genesis_gym.learning.pipeline import run as pipeline
from genesis_gym.learning.pipeline.stages import parse_plan, read_plan, run_stages
from genesis_gym.learning.runs.folder import PLAN_FILE
from genesis_gym.learning.training import hooks
from genesis_gym.learning.training.progress import TrainingProgress
from genesis_gym.learning.training.train import train
from genesis_gym.variation import Curriculum, CurriculumState

#: Hyperparameters that make a rollout of eight environments short.
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
    """Eight environments with a curriculum that starts over."""
    env = make_core(8, curriculum=QUICK)
    env._curriculum = CurriculumState(QUICK, 8, env.device)
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
    assert len(results) == 3 and all(result.episodes == EPISODES for result in results)
    best = max(results, key=lambda result: (result.success_rate, result.mean_reward))
    again = evaluate_policy(easing, load_policy(tmp_path, config, easing, best=True), EPISODES, SELECTION_SEED)
    assert again.success_rate == best.success_rate
    assert again.mean_reward == pytest.approx(best.mean_reward, rel=1e-5)


def test_an_evaluation_leaves_the_curriculum_and_the_random_sequences_alone(tmp_path, easing) -> None:
    config = short_config(evaluate_every=64, curriculum=QUICK)
    train(config, easing, tmp_path)
    assert (easing._random.seeds == training_seed(0) + torch.arange(8)).all(), "the training's seeds are back"
    assert (easing.difficulty > 0.1).all(), "and the curriculum went on"


def test_training_stops_at_a_threshold(tmp_path, core) -> None:
    config = short_config(timesteps=2_048, stop_at_reward=-1e9)
    assert config.evaluate_every == 204, "a threshold brings an evaluation with it"
    train(config, core, tmp_path)
    steps = column(rows_of(tmp_path / "progress.csv"), "time/total_timesteps")
    assert max(steps) < 512
    policy, best = (safetensors.torch.load_file(tmp_path / f"{name}policy.safetensors") for name in ("", "best_"))
    for name in policy:
        assert torch.equal(policy[name], best[name]), "the policy that met the threshold is kept"


@pytest.mark.parametrize("algorithm", ["PPO", "RSL_PPO"])
def test_logs(tmp_path, easing, algorithm: str) -> None:
    train(short_config(algorithm, curriculum=QUICK), easing, tmp_path)
    rows = rows_of(tmp_path / "progress.csv")
    assert column(rows, "time/total_timesteps") == [128.0, 256.0, 384.0, 512.0]
    for name in ("curriculum/difficulty", "memory/process_mb", "time/fps"):
        assert len(column(rows, name)) == 4, name
    assert 0.1 <= column(rows, "curriculum/difficulty")[0] <= column(rows, "curriculum/difficulty")[-1] <= 1
    assert column(rows, "memory/process_mb")[0] > 300
    header, *episodes = (tmp_path / "0.monitor.csv").read_text().splitlines()[1:]
    assert header == "r,l,t,is_success" and len(episodes) > 4


@pytest.mark.parametrize("algorithm", ["PPO", "RSL_PPO"])
def test_reward_terms_and_ends_are_logged_over_whole_episodes(tmp_path, core, algorithm: str) -> None:
    """Every return is the sum of the logged terms; each finished episode has one reason."""
    train(short_config(algorithm, timesteps=2_048), core, tmp_path)
    rows = rows_of(tmp_path / "progress.csv")
    with (tmp_path / "0.monitor.csv").open() as file:
        next(file)
        episodes = list(csv.DictReader(file))
    first = next(row for row in rows if row.get("reward/distance"))
    ended = episodes[: round(len(episodes))]
    count = sum(1 for row in rows if row.get("reward/distance"))
    assert count < len(rows), "no figure where no episode ended"
    assert sum(float(first[name]) for name in first if name.startswith("end/") and first[name]) == pytest.approx(1)
    terms = [name for name in first if name.startswith("reward/")]
    weighted = [sum(float(row[name]) for name in terms) for row in rows if row.get("reward/distance")]
    low, high = min(float(e["r"]) for e in ended), max(float(e["r"]) for e in ended)
    assert all(low - 1e-3 <= value <= high + 1e-3 for value in weighted)


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
    assert [step for step, _ in sent] == [128, 256] and "time/fps" in sent[0][1]
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
    config = short_config(evaluate_every=128, timesteps=1_024)
    with TrainingProgress(shown, config) as progress:
        progress_shown_always(progress)
        train(config, core, tmp_path, [progress], show_evaluation=progress.show_evaluation)
    return stream.getvalue()


def progress_shown_always(progress: TrainingProgress) -> None:
    """Without the quarter of a second between two pictures."""
    progress._shown = -1.0


def test_the_dashboard_on_a_terminal(core, tmp_path) -> None:
    text = run_dashboard(core, tmp_path, force_terminal=True)
    for word in ("Training", "success", "memory/process_mb", "last evaluation", "steps/s"):
        assert word in text, word


def test_plain_lines_without_a_terminal(core, tmp_path) -> None:
    lines = run_dashboard(core, tmp_path, force_terminal=False).splitlines()
    assert sum(bool(re.match(r"training +\d+%", line)) for line in lines) == 8, lines
    assert sum(line.startswith("evaluation at ") for line in lines) == 7, lines


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


def test_rewards_that_hindsight_computes_anew_are_clipped_too(make_core) -> None:
    """A batch holds both: stored rewards and relabelled ones."""
    env = make_core(8, goal=True, max_episode_steps=30)
    hyperparameters = {"learning_starts": 240, "buffer_size": 400, "clip_reward": 0.25}
    config = make_config(algorithm="SAC", num_envs=8, goal=True, hyperparameters=hyperparameters)
    learner = make_learner(config, env)
    goals = np.zeros((5, 3), dtype=np.float32)
    (rewards,) = learner.model.replay_buffer.env.env_method(
        "compute_reward", goals, goals + 1.0, [{}], indices=[0]
    )
    assert rewards.tolist() == [-0.25] * 5


@pytest.mark.parametrize("normalize", [True, False])
def test_clipping_reaches_sb3(core, normalize: bool) -> None:
    settings = {"normalize_reward": normalize, "clip_reward": 3.0, "clip_observation": 4.0}
    config = make_config(num_envs=8, hyperparameters={**SHORT["PPO"], **settings})
    normalizer = make_learner(config, core).model.get_vec_normalize_env()
    assert normalizer.clip_obs == 4.0 and normalizer.norm_reward is normalize
    if normalize:
        assert normalizer.clip_reward == 3.0
    else:
        assert isinstance(normalizer.venv, ClippedReward)


# Checkpoints


EVERYTHING = {
    "wind": (0.0, 5.0),
    "action_latency": (0, 2),
    "noise.joint_position": (0.0, 0.1),
    "gravity": (5.0, 12.0),
}


class Interrupt(Hook):
    """Ctrl-C after the rollout that reaches a step, before it is learned from."""

    def __init__(self, step: int) -> None:
        self._at = step

    def after_rollout(self, learner) -> None:
        if learner.timesteps >= self._at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("algorithm", with_slow_td3(SHORT))
def test_a_resumed_run_equals_one_that_went_through(tmp_path, make_core, monkeypatch, algorithm: str) -> None:
    """Byte for byte: policy, optimisers, normaliser, curriculum, generators, replay buffer and environment.

    Interrupted twice in the midst of a rollout; shaped rewards, randomised physics, late actions and noise are all
    part of what must go on.
    """
    env = make_core(8, curriculum=QUICK, randomization=_Frozen(EVERYTHING), reward_weights=_Frozen(action=-0.1))
    config = short_config(algorithm, curriculum=QUICK, randomization=EVERYTHING, evaluate_every=200)
    checkpoint_always(monkeypatch)
    written = []
    for name, stops in (("through", ()), ("interrupted", (200, 390))):
        folder = tmp_path / name
        folder.mkdir()
        env._curriculum = CurriculumState(QUICK, 8, env.device)
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
    assert differences(*(read_checkpoint(folder) for folder in written)) == []
    for file in ("checkpoint.pt", "policy.safetensors", "best_policy.safetensors"):
        assert (written[0] / file).read_bytes() == (written[1] / file).read_bytes(), file
    one, other = (rows_of(folder / "progress.csv") for folder in written)
    for name in ("time/total_timesteps", "rollout/ep_rew_mean", "curriculum/difficulty", "eval/mean_reward"):
        assert column(one, name) == column(other, name), name


def checkpoint_always(monkeypatch) -> None:
    for name in ("CHECKPOINT_SECONDS", "REPLAY_CHECKPOINT_SECONDS"):
        monkeypatch.setattr(hooks, name, 0.0)


def differences(one, other, place: str = "") -> list[str]:
    """Where two nested states differ; a NaN equals itself."""
    if isinstance(one, torch.Tensor):
        return [] if one.numpy().tobytes() == other.numpy().tobytes() else [place]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{place}: {one.keys() ^ other.keys()}"]
        return [d for name in one for d in differences(one[name], other[name], f"{place}/{name}")]
    if isinstance(one, list):
        return [d for a, b in zip(one, other, strict=True) for d in differences(a, b, place)]
    return [] if one == other else [place]


class _Frozen(dict):
    """A dictionary that the fixture can use as part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def test_an_interrupted_run_goes_on(tmp_path, core, monkeypatch) -> None:
    checkpoint_always(monkeypatch)
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
    class Kill(Hook):
        def after_rollout(self, learner) -> None:
            if learner.timesteps == 256:
                signal.raise_signal(number)

    earlier = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(short_config(), core, tmp_path, [Kill()])
    assert read_checkpoint(tmp_path)["timesteps"] == 256, "the rollout was finished"
    assert signal.getsignal(number) is earlier


def test_a_second_signal_stops_at_once(tmp_path, core) -> None:
    class Kill(Hook):
        def after_rollout(self, learner) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(short_config(), core, tmp_path, [Kill()])
    assert not (tmp_path / "checkpoint.pt").exists()


def test_policy_optimiser_and_normaliser_carry_over(tmp_path, core) -> None:
    config = short_config()
    train(config, core, tmp_path)
    learner = make_learner(config, core)
    fresh = {name: value.clone() for name, value in learner.model.policy.state_dict().items()}
    load_model(tmp_path, learner)
    kept = read_checkpoint(tmp_path)["model"]
    assert differences(portable(learner.model_state()), kept) == []
    assert any(not torch.equal(value, fresh[name]) for name, value in kept["policy"].items())
    assert kept["policy.optimizer"]["0"]["step"] > 0 and "observation/" in kept["statistics"]
    assert learner.timesteps == 0, "a new run counts from the start"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"algorithm": "SAC"}, "was trained by 'PPO', not by 'SAC'"),
        ({"hyperparameters": {"net_arch": (32, 32)}}, "does not fit the run: model/policy/"),
    ],
)
def test_a_run_of_other_networks_is_refused(tmp_path, core, change: dict, named: str) -> None:
    train(short_config(timesteps=128), core, tmp_path)
    algorithm = change.get("algorithm", "PPO")
    hyperparameters = SHORT[algorithm] | change.get("hyperparameters", {})
    config = make_config(algorithm=algorithm, num_envs=8, hyperparameters=hyperparameters)
    with pytest.raises(RunFolderError) as error:
        load_model(tmp_path, make_learner(config, core))
    assert named in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["truncated", "empty", "another", "absent", "generators"])
def test_a_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path, core, damage: str) -> None:
    path, config = tmp_path / "checkpoint.pt", short_config(timesteps=128)
    train(config, core, tmp_path)
    whole = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another":
        torch.save({"x": torch.zeros(1)}, path)
    elif damage == "generators":  # the last part that is read
        state = torch.load(path, weights_only=True)
        state["shares"][0]["generators"]["numpy"]["place"] = 10**6
        torch.save(state, path)
    else:
        path.unlink()
    learner = make_learner(config, core)
    core.reset(seed=1)
    before = deepcopy(portable([learner.state_dict(), core.state_dict(), torch.get_rng_state()]))
    with pytest.raises(RunFolderError) as error:
        resume(tmp_path, learner)
    assert "\n" not in str(error.value)
    assert differences(portable([learner.state_dict(), core.state_dict(), torch.get_rng_state()]), before) == []


def test_a_replay_buffer_is_written_rarely(tmp_path, core, monkeypatch) -> None:
    """It may hold gigabytes; every checkpoint is complete, so that resuming is exact."""
    written = []
    monkeypatch.setattr(hooks, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(hooks, "save_checkpoint", lambda learner, *_: written.append(learner.timesteps))
    train(short_config("SAC"), core, tmp_path)
    assert written == []
    assert read_checkpoint(tmp_path)["shares"][0]["loop"]["replay_buffer"]["position"] == 64, "written at the end"
    (tmp_path / "ppo").mkdir()
    train(short_config("PPO"), core, tmp_path / "ppo")
    assert written == [0, 128, 256, 384]


# Divergence


@pytest.mark.parametrize("algorithm", ["PPO", "TD3", "RSL_PPO"])
def test_a_run_that_diverges_stops_with_one_line_and_keeps_the_last_checkpoint(
    tmp_path, core, monkeypatch, algorithm: str
) -> None:
    """Its policy would act NaN, which ends episodes at once, with a return above that of any sane policy."""
    checkpoint_always(monkeypatch)

    class Poison(Hook):
        def after_rollout(self, learner) -> None:
            if learner.timesteps >= 256:
                with torch.no_grad():
                    next(learner.policy.parameters()).fill_(torch.nan)

    with pytest.raises(DivergedError, match=r"training diverged.*the last checkpoint is kept") as error:
        train(short_config(algorithm, evaluate_every=64), core, tmp_path, [Poison()])
    assert "\n" not in str(error.value)
    kept = read_checkpoint(tmp_path)
    assert 0 < kept["timesteps"] <= 256 and is_finite_state(kept["model"])
    assert not (tmp_path / "policy.safetensors").exists()


def test_weights_that_are_finite_but_huge_are_a_divergence_too(tmp_path, core) -> None:
    """Their distribution has an infinite deviation, which torch refuses."""
    hyperparameters = {**SHORT["PPO"], "learning_rate": 1e10, "normalize_observation": False}
    config = make_config(num_envs=8, timesteps=512, hyperparameters=hyperparameters)
    with pytest.raises(DivergedError, match="training diverged"):
        train(config, core, tmp_path)


def is_finite_state(state) -> bool:
    if isinstance(state, dict):
        return all(map(is_finite_state, state.values()))
    return not isinstance(state, torch.Tensor) or bool(torch.isfinite(state).all())


# Several processes


def test_several_workers_train_as_one_and_resume(tmp_path, core, monkeypatch) -> None:
    """Bit for bit: each environment is the same wherever it lives. Faults are written by one process alone."""
    checkpoint_always(monkeypatch)
    config = short_config(num_workers=2, evaluate_every=200)
    env = make_sharded_core(config.env, 8, 2, device="cpu", **config.training_env())
    try:
        with pytest.raises(ArgumentError, match="a recorder is not possible with num_workers=2"):
            train(config, env, tmp_path, dump_faults=True)
        assert list(tmp_path.iterdir()) == [], "nothing is left of a run that is refused"
        with pytest.raises(KeyboardInterrupt):
            train(config, env, tmp_path, [Interrupt(200)])
        train(config, env, tmp_path)
    finally:
        env.close()
    (tmp_path / "one").mkdir()
    train(short_config(evaluate_every=200), core, tmp_path / "one")
    models = [read_checkpoint(folder)["model"] for folder in (tmp_path, tmp_path / "one")]
    assert differences(*models) == []


# Seeds


def test_trainings_and_evaluations_share_no_seed(tmp_path, core) -> None:
    """Trainings with different seeds have disjoint environments, and what selects a policy never judges it."""
    spans = [range(training_seed(seed), training_seed(seed) + 2**17) for seed in (0, 1, 2, 2**31 - 2)]
    spans += [range(first, first + 10**8) for first in (SELECTION_SEED, TUNING_SEED)]
    spans += [range(EVALUATION_SEED, EVALUATION_SEED + 10**8)]
    spans.sort(key=lambda span: span.start)
    assert all(one.stop <= other.start for one, other in pairwise(spans)) and spans[-1].stop < 2**63
    results = []
    train(short_config(stop_at_reward=-1e9, seed=1), core, tmp_path, show_evaluation=results.append)
    assert {result.seed for result in results} == {SELECTION_SEED}
    assert core._random.seeds.tolist() == [training_seed(1) + i for i in range(8)]


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

    seen = []
    monkeypatch.setattr(
        "genesis_gym.learning.training.train.load_model",
        lambda before, learner: (
            load_model(before, learner),
            seen.append(deepcopy(portable(learner.model_state()))),
        ),
    )
    reports = list(run_stages(read_plan(folder / PLAN_FILE), folder, console))
    assert [report.folder.name for report in reports] == ["2-frankareach-v0"]
    assert differences(seen[0], read_checkpoint(folder / "1-frankamotor-v0")["model"]) == []
    assert evaluate_run(folder / "2-frankareach-v0", 4).episodes == 4
    assert list(run_stages(read_plan(plan_file), folder, console)) == [], "all is finished"
    with pytest.raises(RunFolderError, match="holds another plan"):
        list(run_stages(parse_plan({**PLAN, "seed": 3}), folder, console))


def test_stages_of_other_observations_are_refused(tmp_path, core) -> None:
    """Reach cannot begin with a run whose observation had other parts; each difference is named."""
    train(short_config(timesteps=128), core, tmp_path)
    path = tmp_path / "checkpoint.pt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["observation"] = {"joint_position": 7, "joint_velocity": 7, "joint_error": 7}
    torch.save(checkpoint, path)
    with pytest.raises(RunFolderError) as error:
        load_model(tmp_path, make_learner(short_config(), core))
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
    with pytest.raises(RunFolderError, match="was trained by 'PPO', not by 'SAC'"):
        train(short_config("SAC"), core, folder, init_from=before)
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
        reward_weights={"velocity": 2},
        randomization={"wind": [0, 1]},
    )
    assert changed.seed == 4 and changed.hyperparameters.gamma == 0.9 and changed.hyperparameters.n_steps == 8
    assert changed.reward_weights == {"action": -1.0, "velocity": 2.0}
    assert changed.randomization == {"wind": (0.0, 1.0)}
    with pytest.raises(ArgumentError, match="did you mean 'n_steps'"):
        change_config(config, hyperparameters={"n_step": 8})
