"""Hyperparameter search, on the real simulator, by trials so short that nothing is learnt."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from genesis_gym.cli.main import main
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, RunFolderError
from genesis_gym.learning.config.train_config import make_config, parse_config
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.tuning import study as study_module
from genesis_gym.learning.tuning import trials as trials_module
from genesis_gym.learning.tuning import tune as tune_module
from genesis_gym.learning.tuning.plots import plot_study
from genesis_gym.learning.tuning.search_space import (
    SPACES,
    Categorical,
    FloatRange,
    IntRange,
    parse_space,
    read_space,
)
from genesis_gym.learning.tuning.study import (
    make_tune_config,
    one_line,
    open_study,
    study_folder,
)
from genesis_gym.learning.tuning.trials import TrialFailedError, fail_dead_trials, is_counted, run_trials
from genesis_gym.learning.tuning.tune import tune
from genesis_gym.world import World
from test_training import differences

SPACE = {
    "learning_rate": FloatRange(low=1e-5, high=1e-3, log=True),
    "n_steps": Categorical(choices=(8, 16)),
    "batch_size": Categorical(choices=(32, 64)),
}
SPACE_YAML = """
learning_rate: {type: float, low: 1e-5, high: 1e-3, log: true}
n_steps: {type: categorical, choices: [8, 16]}
batch_size: {type: categorical, choices: [32, 64]}
"""
SHORT = {"timesteps": 640, "num_envs": 8, "episodes": 8}


def short_config(**kwargs):
    return make_tune_config(**{"space": SPACE, **SHORT, **kwargs})


def fixed(*, n_steps: int = 16, batch_size: int = 64, **others) -> dict:
    return {"n_steps": n_steps, "batch_size": batch_size, **others}


def trials_of(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(storage=f"sqlite:///{folder / 'study.db'}", study_name="study").trials


# Search spaces


def test_the_default_space_is_the_guides() -> None:
    assert SPACES["PPO"] == {
        "learning_rate": FloatRange(low=1e-5, high=1e-3, log=True),
        "n_steps": Categorical(choices=(512, 1024, 2048)),
        "batch_size": Categorical(choices=(32, 64, 128)),
    }
    config = make_tune_config()
    assert (config.timesteps, config.episodes, config.objective) == (50_000, 10, "reward")
    for algorithm, space in SPACES.items():
        assert parse_space(space, algorithm, "space") == space


def test_every_length_of_rollout_trains_the_same_number_of_steps() -> None:
    config = make_tune_config()
    steps = {n: config.train_config({"n_steps": n}).timesteps for n in (512, 1024, 2048)}
    assert steps == {512: 49_152, 1024: 49_152, 2048: 49_152}
    assert make_tune_config(timesteps=100).train_config({"n_steps": 512}).timesteps == 4096, "one rollout at least"
    assert make_tune_config(algorithm="SAC").train_config({}).timesteps == 50_000


def test_a_space_is_read_from_yaml(tmp_path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE_YAML + "n_epochs: {type: int, low: 2, high: 8, step: 2}\n"
                    "net_arch: {type: categorical, choices: [[64, 64], [128]]}\n")  # fmt: skip
    assert read_space(file, "PPO") == {
        **SPACE,
        "n_epochs": IntRange(low=2, high=8, step=2),
        "net_arch": Categorical(choices=([64, 64], [128])),
    }
    drawn = make_tune_config(space=read_space(file, "PPO")).suggest(
        optuna.trial.FixedTrial(
            {"learning_rate": 1e-4, "n_steps": 8, "batch_size": 32, "n_epochs": 4, "net_arch": "[128]"}
        )
    )
    assert drawn["net_arch"] == [128] and drawn["n_epochs"] == 4


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("learning_rat: {type: float, low: 0.1, high: 0.2}", "did you mean 'learning_rate'"),
        ("gamma: {type: flaot, low: 0.1, high: 0.2}", "gamma: type='flaot' is not known (did you mean 'float'?)"),
        ("gamma: {type: float, low: 0.1, hihg: 0.2}", "float entry='hihg' is not known (did you mean 'high'?)"),
        ("gamma: {type: float, low: 0.1}", "gamma: high: field required"),
        ("gamma: {type: float, low: tiny, high: 0.2}", "gamma: low: input should be a valid number"),
        ("gamma: {type: float, low: 0.9, high: 0.2}", "gamma: low=0.9 is above high=0.2"),
        ("gamma: {type: float, low: 0.9, high: 1.5}", "gamma=1.5 is not allowed"),
        ("learning_rate: {type: float, low: 0, high: 1, log: true}", "learning_rate: low=0.0 has no logarithm"),
        ("n_steps: {type: float, low: 8, high: 16}", "n_steps=8.0 is not allowed: input should be a"),
        ("n_steps: {type: int, low: 8, high: 16, step: 0}", "n_steps: step"),
        ("n_steps: {type: int, low: 8, high: 16, step: 2, log: true}", "log and step exclude each other"),
        ("n_steps: {type: categorical, choices: []}", "n_steps: choices"),
        ("n_steps: {type: categorical, choices: [8, many]}", "n_steps='many' is not allowed"),
        ("n_steps: 8", "n_steps=8 is not allowed"),
        ("tau: {type: float, low: 0.1, high: 0.2}", "'tau' is not known"),
        ("- gamma", "no search space"),
        ("", "no search space"),
        ("gamma: {", "is no YAML"),
        ("gamma: !!python/object/apply:os.getcwd []", "is no YAML"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_named(tmp_path, text: str, named: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(ArgumentError) as error:
        read_space(file, "PPO")
    assert named in str(error.value) and str(file) in str(error.value) and "\n" not in str(error.value)


# Trials


def test_a_trial_depends_on_its_hyperparameters_and_seed_only(tmp_path, make_core) -> None:
    """The same hyperparameters as first and as last trial: the same value and the same policy, bit for bit."""

    def space(trial: optuna.Trial) -> dict:
        rate = 1e-3 if trial.number in (0, 4) else 1e-4 * (1 + trial.number)
        return fixed(learning_rate=rate, n_steps=16 if trial.number != 2 else 8, normalize_observation=True)

    config = short_config(space=space)
    result = tune(config, study_folder(tmp_path / "t", ""), trials=5, env=make_core(8))
    first, *_, last = trials = trials_of(tmp_path / "t")
    assert result.complete == 5 and len({trial.value for trial in trials}) == 4
    assert first.intermediate_values.keys() == {1, 2, 3, 4}
    assert first.intermediate_values == last.intermediate_values and first.value == last.value
    policies = [(tmp_path / "t" / "trials" / n / "policy.safetensors").read_bytes() for n in ("0000", "0004")]
    assert policies[0] == policies[1]


@pytest.mark.parametrize("algorithm", ["SAC", "TD3"])
def test_off_policy_trials_depend_on_nothing_else_either(tmp_path, make_core, algorithm: str) -> None:
    def space(trial: optuna.Trial) -> dict:
        return {"learning_starts": 64, "batch_size": 32, "net_arch": (16,), "buffer_size": 1000,
                "learning_rate": 1e-2 if trial.number == 1 else 1e-3, "normalize_observation": True}  # fmt: skip

    config = short_config(algorithm=algorithm, space=space, timesteps=320)
    tune(config, study_folder(tmp_path / "t", ""), trials=3, env=make_core(8))
    first, other, last = trials_of(tmp_path / "t")
    assert first.value == last.value != other.value
    assert first.intermediate_values == last.intermediate_values


def test_success_rate_can_be_the_objective(tmp_path, make_core) -> None:
    config = short_config(objective="success", space=lambda trial: fixed())
    result = tune(config, study_folder(tmp_path / "t", ""), trials=1, env=make_core(8))
    assert result.best_value in [k / 8 for k in range(9)]


def test_an_evaluation_leaves_no_trace_in_the_training(tmp_path, make_core, monkeypatch) -> None:
    """The rows go on in the midst of their episodes, as if nobody had borrowed them."""
    env = make_core(8)
    states = []

    def watched(env: BatchedEnv, *arguments):
        states.append(env.state_dict())
        result = evaluate_policy(env, *arguments)
        states.append(env.state_dict())
        return result

    monkeypatch.setattr(tune_module, "evaluate_policy", watched)
    config = short_config(space=lambda trial: fixed(n_steps=32), timesteps=768)
    tune(config, study_folder(tmp_path / "t", ""), trials=1, env=env)
    assert len(states) == 6, "after 256, 512 and 768 steps"
    for before, after in zip(states[::2], states[1::2], strict=True):
        assert differences(before, after) == []
    assert states[0]["_episodes"]["clock"].unique().numel() > 2, "environments are out of step"


def test_the_median_pruner_stops_a_bad_trial(tmp_path, make_core) -> None:
    """From the sixth trial on; a learning rate of 0.5 drives the arm away from its targets."""
    config = short_config(space=lambda trial: fixed(learning_rate=0.5 if trial.number == 5 else 1e-5))
    result = tune(config, study_folder(tmp_path / "t", ""), trials=6, env=make_core(8))
    assert (result.complete, result.pruned, result.failed) == (5, 1, 0)
    pruned = trials_of(tmp_path / "t")[5]
    assert pruned.state is TrialState.PRUNED and len(pruned.intermediate_values) < 4


@pytest.mark.parametrize("algorithm", ["PPO", "TD3"])
def test_a_trial_that_breaks_down_is_recorded_and_the_study_goes_on(tmp_path, make_core, algorithm: str) -> None:
    """PPO's distribution refuses NaN; TD3 would act NaN, and the environment end its episodes at once."""

    def space(trial: optuna.Trial) -> dict:
        rest = fixed() if algorithm == "PPO" else {"learning_starts": 64, "batch_size": 32, "net_arch": (16,)}
        return {**rest, "learning_rate": 1e20 if trial.number == 0 else 1e-4}

    config = short_config(algorithm=algorithm, space=space)
    result = tune(config, study_folder(tmp_path / "t", ""), trials=2, env=make_core(8))
    assert (result.complete, result.failed, result.best_trial) == (1, 1, 1)
    assert result.failures[0] and "\n" not in result.failures[0]


def test_a_users_mistake_stops_at_once(tmp_path, make_core) -> None:
    config = short_config(space=lambda trial: {"learning_rat": 1e-3})
    with pytest.raises(ArgumentError, match="did you mean 'learning_rate'"):
        tune(config, study_folder(tmp_path / "t", ""), trials=5, env=make_core(8))
    assert len(trials_of(tmp_path / "t")) == 1
    with pytest.raises(ArgumentError, match="num_envs=4"):
        tune(short_config(num_envs=4), study_folder(tmp_path / "u", ""), env=make_core(8))


def test_an_interrupted_trial_is_made_up_for(tmp_path, make_core) -> None:
    def space(trial: optuna.Trial) -> dict:
        if trial.number == 1:
            raise KeyboardInterrupt
        return fixed()

    config, folder = short_config(space=space), tmp_path / "t"
    with pytest.raises(KeyboardInterrupt):
        tune(config, study_folder(folder, ""), trials=2, env=make_core(8))
    assert json.loads((folder / "best.json").read_text())["algorithm"] == "PPO", "what is best so far is there"
    result = tune(config, study_folder(folder, ""), trials=2, env=make_core(8))
    assert (result.complete, result.interrupted, result.failed) == (2, 1, 0)


# The command


def words(folder: Path, space: Path, *others: str) -> list[str]:
    return ["tune", "--space", str(space), "--num-envs", "8", "--episodes", "8", "--out", str(folder), *others]


@pytest.fixture
def space_file(tmp_path) -> Path:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE_YAML)
    return file


def test_the_command_builds_one_scene_and_leaves_a_config(tmp_path, space_file, capsys, monkeypatch) -> None:
    built = []
    build = World.build
    monkeypatch.setattr(World, "build", lambda self: (built.append(1), build(self)))
    folder = tmp_path / "t"
    command = words(folder, space_file, "--timesteps", "128", "--trials", "3")
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert len(built) == 1
    assert "best reward" in out and out.endswith(f"genesis-gym train --config {folder}/best.json\n")
    assert "3/3  trial 2: reward" in err and "Warning" not in err
    best = max(trials_of(folder), key=lambda trial: trial.value)
    config = parse_config(json.loads((folder / "best.json").read_text()), "best.json")
    assert config == make_config(preset="guide", num_envs=8, timesteps=128, hyperparameters=best.params)
    for picture in ("history.png", "slices.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")

    # The same command again has nothing to do, more trials go on, other settings are refused.
    assert main(command) == 0
    assert len(built) == 1 and "complete" in capsys.readouterr().out
    assert main([*command, "--seed", "1"]) == 2
    assert "holds a study with seed=0, not 1" in capsys.readouterr().err
    assert len(trials_of(folder)) == 3


def test_interrupting_says_how_to_go_on(tmp_path, space_file, capsys, monkeypatch) -> None:
    def interrupt(*args, **kwargs) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("genesis_gym.learning.tuning.tune.tune", interrupt)
    assert main(words(tmp_path / "t", space_file)) == 130
    assert f"--out {tmp_path}" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--algorithm", "DQN"], "algorithm='DQN'"),
        (["--objective", "sucess"], "did you mean 'success'"),
        (["--trials", "0"], "trials=0"),
        (["--timesteps", "0"], "timesteps=0"),
        (["--seed", "-1"], "seed=-1"),
        (["--device", "tpu"], "device='tpu'"),
        (["--space", "absent.yaml"], "--space absent.yaml cannot be read"),
        (["--out", "/proc/none/study"], "cannot be created"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(capsys, monkeypatch, tmp_path, words, named: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and named in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


# Studies


def test_an_error_is_cut_short_without_a_trailing_space() -> None:
    """Wherever the cut falls: what a database says holds a path, which may have any length."""
    assert one_line(RuntimeError("x" * 199 + " y\nz")) == "x" * 199


def test_a_folder_that_is_no_study_is_refused(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for folder in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(RunFolderError, match=r"holds no study|no folder"):
            study_folder(folder, "")
    assert study_folder(tmp_path / "new", "") == study_folder(tmp_path / "new", "") == tmp_path / "new"


@pytest.mark.parametrize("name", ["a b", "c%20d", "e?f", "g{h}", "i#j", "ü@k"])
def test_a_study_folder_may_have_any_name(tmp_path, name: str) -> None:
    for _ in range(2):
        open_study(short_config(), study_folder(tmp_path / name, ""))
    assert {path.name for path in (tmp_path / name).iterdir()} == {"study.json", "study.db"}


def test_another_study_is_refused_with_the_difference(tmp_path) -> None:
    folder = study_folder(tmp_path / "t", "")
    open_study(short_config(), folder)
    for changed, named in (
        ({"timesteps": 641}, "timesteps=640, not 641"),
        ({"space": {"gamma": FloatRange(low=0.9, high=1.0)}}, "space="),
    ):
        with pytest.raises(RunFolderError, match=named):
            open_study(short_config(**changed), folder)
    with pytest.raises(RunFolderError, match="leave --storage out"):
        open_study(short_config(), folder, f"sqlite:///{tmp_path / 'other.db'}")
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    open_study(short_config(), study_folder(tmp_path / "a" / "s", ""), url)
    with pytest.raises(RunFolderError, match="study 's' of the database holds a study with seed=0, not 1"):
        open_study(short_config(seed=1), study_folder(tmp_path / "b" / "s", ""), url)
    with pytest.raises(RunFolderError, match="name its database by --storage"):
        open_study(short_config(), tmp_path / "a" / "s")


@pytest.mark.parametrize(
    "url", ["redis://host", "nonsense", "oracel://me:secret@host/x", "sqlite:////proc/no/x.db"]
)
def test_a_database_that_cannot_be_opened_is_named(tmp_path, url: str) -> None:
    folder = study_folder(tmp_path / "t", "")
    with pytest.raises(ArgumentError, match="--storage") as error:
        open_study(short_config(), folder, url)
    assert list(folder.iterdir()) == []
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


@pytest.fixture
def study(tmp_path) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield open_study(short_config(), study_folder(tmp_path / "study", ""))
    optuna.logging.set_verbosity(optuna.logging.INFO)


def test_processes_that_share_a_study_do_not_exceed_its_total(tmp_path, study) -> None:
    """Eight at once, each of which begins its first trial after all have seen that there are some left."""
    finished: list[tuple[int, int]] = []
    barrier = threading.Barrier(8)

    def objective(trial: optuna.Trial) -> float:
        time.sleep(0.01)
        if trial.number % 5 == 0:
            raise TrialFailedError("by chance")
        return float(trial.number)

    def work(worker: int, total: int) -> None:
        mine = open_study(short_config(), tmp_path / "study")
        optimize = mine.optimize

        def begin_together(*args, **kwargs) -> None:
            mine.optimize = optimize
            barrier.wait(60)
            optimize(*args, **kwargs)

        mine.optimize = begin_together
        run_trials(
            mine, objective, total, lambda t: finished.append((worker, t.number)) if is_counted(t) else None
        )

    for total in (3, 14):
        threads = [threading.Thread(target=work, args=(worker, total)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(map(is_counted, study.trials)) == total == len(finished)
    assert len({worker for worker, _ in finished}) > 1


def test_the_search_goes_on_as_if_it_had_not_been_interrupted(tmp_path) -> None:
    def search(folder: str, *totals: int) -> list[dict]:
        for total in totals:
            study = open_study(short_config(seed=3), study_folder(tmp_path / folder, ""))
            run_trials(study, lambda trial: short_config().suggest(trial)["learning_rate"], total)
        return [trial.params for trial in study.trials]

    whole = search("whole", 14)
    assert whole == search("parts", 5, 14)
    assert len({params["learning_rate"] for params in whole}) == 14


def test_a_trial_that_died_before_its_first_sign_of_life_does_not_block(study) -> None:
    old = datetime.now() - timedelta(seconds=trials_module.GRACE_SECONDS + 1)
    study.add_trial(create_trial(state=TrialState.RUNNING))
    assert study.trials[0].datetime_start is not None
    fail_dead_trials(study)
    assert study.trials[0].state is TrialState.RUNNING, "it may have just begun"
    fresh = create_trial(state=TrialState.RUNNING)
    fresh.datetime_start = old
    study.add_trial(fresh)
    fail_dead_trials(study)
    assert study.trials[1].state is TrialState.FAIL and not is_counted(study.trials[1])


def test_a_trial_that_another_process_has_given_up_does_not_end_the_study(study) -> None:
    """As when a computer sleeps for a minute: its trial was declared dead meanwhile."""

    def objective(trial: optuna.Trial) -> float:
        if trial.number == 0:
            study.tell(trial.number, state=TrialState.FAIL)
        return 1.0

    run_trials(study, objective, 2)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]


def test_pictures_of_a_study(tmp_path) -> None:
    study = optuna.create_study(direction="maximize")
    plot_study(study, tmp_path, "reward")
    assert not list(tmp_path.iterdir()), "nothing is drawn of nothing"
    for number in range(12):
        state = TrialState.PRUNED if number == 7 else TrialState.COMPLETE
        rate, width = 10 ** (-5 + number / 6), ("[64]", "[128]")[number % 2]
        study.add_trial(
            create_trial(
                state=state,
                value=-float(number % 5),
                params={"learning_rate": rate, "net_arch": width},
                distributions={
                    "learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True),
                    "net_arch": optuna.distributions.CategoricalDistribution(("[64]", "[128]")),
                },
            )
        )
    plot_study(study, tmp_path, "reward")
    assert {path.name for path in tmp_path.iterdir()} == {"history.png", "slices.png", "importances.png"}


# Processes


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "genesis_gym", *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(process: subprocess.Popen[str], database: Path, name: str, complete: int) -> None:
    """Until so many trials are complete and another one has its parameters."""
    query = (
        "SELECT DISTINCT trials.trial_id, state FROM trials JOIN trial_params USING (trial_id) "
        "JOIN studies USING (study_id) WHERE study_name = ?"
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        if not database.exists():
            continue
        # Read by sqlite3: Optuna would create the tables itself, at the same moment as the process.
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            try:
                states = [state for _, state in connection.execute(query, [name])]
            except sqlite3.OperationalError:
                continue  # it is being created
        if states.count("COMPLETE") >= complete and "RUNNING" in states:
            return
    pytest.fail(f"no trial ran: {process.communicate()}")


def test_two_processes_share_a_study(tmp_path, space_file, make_core) -> None:
    env = make_core(8)  # before the other process has run all the trials
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    command = words(tmp_path / "a" / "s", space_file, "--trials", "6", "--timesteps", "1024", "--storage", url)
    other = start(command)
    wait_for(other, tmp_path / "shared.db", "s", complete=0)
    folder = study_folder(tmp_path / "b" / "s", "")
    result = tune(short_config(timesteps=1024), folder, trials=6, storage=url, env=env)
    out, err = other.communicate(timeout=300)
    assert other.returncode == 0, err
    assert result.complete + result.pruned == 6 and "best reward" in out
    done = [{path.name for path in (tmp_path / side / "s" / "trials").iterdir()} for side in "ab"]
    assert all(done) and not done[0] & done[1] and len(done[0] | done[1]) == 6
    assert (tmp_path / "a/s/best.json").read_text() == (tmp_path / "b/s/best.json").read_text()


def test_a_study_survives_kill_9(tmp_path, space_file, capsys, monkeypatch) -> None:
    folder = tmp_path / "t"
    command = words(folder, space_file, "--trials", "3", "--timesteps", "2048")
    process = start(command)
    wait_for(process, folder / "study.db", "study", complete=1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = trials_of(folder)
    assert [trial.state for trial in before] == [TrialState.COMPLETE, TrialState.RUNNING]

    for module in (study_module, trials_module):
        monkeypatch.setattr(module, "GRACE_SECONDS", 2)
    assert main(command) == 0
    after = trials_of(folder)
    assert after[0].value == before[0].value
    assert after[1].state is TrialState.FAIL and not is_counted(after[1])
    assert sum(map(is_counted, after)) == 3 and len(after) == 4
    assert "interrupted" in capsys.readouterr().out
