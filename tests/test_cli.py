"""The command line: one clear line for a user's mistake, and nothing on standard output but results."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

import genesis_gym
from genesis_gym.cli.main import main
from genesis_gym.cli.options import import_modules
from genesis_gym.errors import ArgumentError, MissingDependencyError
from genesis_gym.learning.config.train_config import make_config
from genesis_gym.registration import find_spec

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "--algorithm", "DQN"], "algorithm='DQN' is not known; allowed: 'PPO', 'SAC', 'TQC', 'TD3'"),
        (["train", "--library", "rllib"], "library='rllib' is not known; allowed: 'sb3', 'rsl_rl'"),
        (["train", "--library", "rsl_rl", "--algorithm", "sac"], "algorithm='SAC' is not known; allowed: 'PPO'"),
        (["train", "--library", "rsl_rl", "--set", "n_steps=8"], "hyperparameter='n_steps' is not known"),
        (["train", "--library", "rsl_rl", "--set", "num_mini_batches=4096"], "cannot be divided"),
        (["train", "--library", "rsl_rl", "--set", "hidden_dims=,"], "hidden_dims"),
        (["train", "--config", "no.json", "--library", "rsl_rl"], "--config cannot be combined with --library"),
        (["tune", "--algorithm", "rsl_ppo"], "algorithm='RSL_PPO' is not known"),
        (["train", "--env", "Genesis/FrankaReech-v0"], "did you mean 'Genesis/FrankaReach-v0'"),
        (["train", "--num-envs", "0"], "num_envs=0 is not allowed"),
        (["train", "--num-envs", "-4"], "num_envs=-4 is not allowed"),
        (["train", "--timesteps", "0"], "timesteps=0 is not allowed"),
        (["train", "--seed", "-1"], "seed=-1 is not allowed"),
        (["train", "--preset", "best"], "preset='best' is not known; allowed: 'default', 'guide'"),
        (["train", "--out", "."], "--out . exists already"),
        (["train", "--set", "learning_rats=1"], "did you mean 'learning_rate'"),
        (["train", "--set", "learning_rate=fast"], "learning_rate='fast' is not allowed: input should be a valid"),
        (["train", "--set", "learning_rate"], "--set 'learning_rate' is not allowed; write NAME=VALUE"),
        (["train", "--set", "gamma=0.9", "gamma=0.8"], "--set names 'gamma' twice"),
        (["train", "--randomization", "paylod=0,1"], "did you mean 'payload'"),
        (["train", "--randomization", "payload=1,0"], "the lower bound 1 is above the upper bound 0"),
        (["train", "--out", "new", "--reward-weights", "distanse=1"], "did you mean 'distance'"),
        (["train", "--reward-weights", "distance=far"], "distance='far' is not allowed"),
        (["train", "--stop-at-success", "95"], "stop_at_success=95.0 is not allowed"),
        (["train", "--evaluate-every", "0"], "evaluate_every=0 is not allowed"),
        (["train", "--stages", "no.yaml"], "no.yaml cannot be read"),
        (["train", "--stages", "no.yaml", "--seed", "3"], "--stages cannot be combined with --seed"),
        (["train", "--resume", "no"], "no is no run folder"),
        (["train", "--resume", "no", "--out", "new"], "--resume cannot be combined with --out"),
        (["train", "--config", "no.json"], "no.json cannot be read"),
        (["train", "--config", "no.json", "--algorithm", "SAC"], "--config cannot be combined with --algorithm"),
        (["demo", "--out", "/proc/none/run"], "cannot be created"),
        (["demo", "--device", "tpu"], "device='tpu' is not known"),
        (["evaluate", "."], "no run folder"),
        (["evaluate", "no/such/folder"], "no run folder"),
        (
            ["evaluate", ".", "--plot", "picture.gif"],
            "suffix='.gif' is not known; allowed: '.png', '.svg', '.pdf'",
        ),
        (["evaluate", ".", "--plot", "no/picture.png"], "no is no folder"),
        (["report", "."], "no run folder"),
    ],
)
def test_a_users_mistake_is_one_line(capsys, monkeypatch, tmp_path, words: list[str], named: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("genesis-gym: error: ")]
    assert len(lines) == 1 and named in lines[0]
    assert "Traceback" not in err
    assert list(tmp_path.rglob("*")) == [], "nothing is left behind"


@pytest.mark.parametrize("words", [[], ["fly"], ["train", "--speed", "9"], ["train", "--seed", "one"]])
def test_unknown_words_are_refused(capsys, words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


# The process and its installation


REFUSED_EARLY = """
import sys
from genesis_gym.cli.main import main
for words in (
    "train --algorithm FOO", "train --env Genesis/None-v0", "train --set foo=1", "train --randomization foo=0,1",
    "train --device tpu", "train --resume none", "tune --env Genesis/None-v0", "evaluate none", "play none",
):
    assert main(words.split()) == 2, words
    assert not {"torch", "matplotlib", "stable_baselines3", "genesis"} & set(sys.modules), words
"""


def test_a_mistake_is_refused_before_anything_heavy_is_imported(tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", REFUSED_EARLY], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir())


def test_a_terminal_that_cannot_show_an_arrow_gets_another_character() -> None:
    """The doctor's remedies begin with an arrow; without assertions it has one."""
    done = subprocess.run(
        [sys.executable, "-O", "-m", "genesis_gym", "doctor", "--quick"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "! Python " in done.stdout and "? start Python without -O" in done.stdout


WITHOUT_EXTRAS = """
import sys
from genesis_gym.extras import EXTRA_OF
sys.modules.update(dict.fromkeys(EXTRA_OF))  # as if none of them was installed
from genesis_gym.cli.main import main
"""


def test_a_base_installation_has_the_doctor_and_names_the_extra_of_the_rest(tmp_path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(make_config().model_dump_json())
    words = [["doctor", "--quick"], ["train", "--timesteps", "64"], ["evaluate", "run"], ["tune"]]
    script = f"{WITHOUT_EXTRAS}\nfor words in {words}: print('status', main(words))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert [line for line in done.stdout.splitlines() if "status" in line] == ["status 0", *["status 2"] * 3]
    errors = [line for line in done.stderr.splitlines() if line.startswith("genesis-gym: error: ")]
    assert len(errors) == 3 and all("is not installed; pip install 'genesis-gym[" in line for line in errors)
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == [run]


def test_a_class_of_a_missing_extra_is_one_line(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "stable_baselines3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.delitem(sys.modules, "genesis_gym.adapters.sb3", raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'genesis-gym\[sb3\]' brings it"):
        genesis_gym.GenesisSb3VecEnv  # noqa: B018 - importing it is what is tested


def test_the_command_leaves_torch_one_thread_unless_the_user_says_otherwise(monkeypatch) -> None:
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "3")
    assert main(["report", "no/such/folder"]) == 2
    assert os.environ["OMP_NUM_THREADS"] == "3"
    monkeypatch.delitem(os.environ, "OMP_NUM_THREADS")
    assert main(["report", "no/such/folder"]) == 2
    assert os.environ["OMP_NUM_THREADS"] == "1"


# Tasks of the user's own


@pytest.fixture
def own_task(tmp_path, monkeypatch):
    """A module in the current folder, which the command's own search path does not have."""
    (tmp_path / "my_tasks_here.py").write_text(
        "import gymnasium\ngymnasium.register('My/Near-v0', entry_point='x:y', kwargs={'task': 'reach'})\n"
    )
    (tmp_path / "json.py").write_text("raise ImportError('a file here hides no installed package')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    yield "my_tasks_here:My/Near-v0"
    gymnasium.registry.pop("My/Near-v0", None)
    sys.modules.pop("my_tasks_here", None)


def test_a_module_in_the_current_folder_is_found(own_task, monkeypatch) -> None:
    import_modules((), own_task)
    assert find_spec(own_task).kwargs == {"task": "reach"}
    monkeypatch.delitem(sys.modules, "json")
    import_modules(["json"])  # raises if it is the one of this folder


def test_an_id_alone_imports_nothing_and_says_what_to_type(own_task) -> None:
    for env_id in (own_task, own_task.rpartition(":")[2]):
        with pytest.raises(ArgumentError, match="add --import"):
            find_spec(env_id)
    assert "my_tasks_here" not in sys.modules


def test_train_and_evaluate_in_processes_of_their_own(tmp_path) -> None:
    """As a user types it: `evaluate --json` prints one JSON object and nothing else."""
    run = tmp_path / "run"
    train = subprocess.run(
        [sys.executable, "-m", "genesis_gym", "train", "--num-envs", "4", "--timesteps", "256", "--out", str(run)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert train.returncode == 0, train.stderr
    assert "success rate" in train.stdout and "training" in train.stderr
    assert {"report.html", "evaluation.json", "evaluation.png", "run.json"} <= {
        path.name for path in run.iterdir()
    }
    picture = tmp_path / "picture.png"
    evaluate = subprocess.run(
        [
            sys.executable,
            "-m",
            "genesis_gym",
            "evaluate",
            str(run),
            "--episodes",
            "10",
            "--json",
            "--plot",
            picture,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert evaluate.returncode == 0, evaluate.stderr
    figures = json.loads(evaluate.stdout)
    assert figures.keys() == {
        "success_rate",
        "success_interval",
        "episodes",
        "mean_reward",
        "std_reward",
        "mean_episode_length",
        "std_episode_length",
        "mean_final_distance",
        "final_distance",
        "tolerance",
        "regions",
        "seed",
        "faults",
        "reasons",
    }
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert figures["episodes"] == 10 and 0 <= figures["success_rate"] <= 1


def test_the_guides_commands(tmp_path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / words[0]), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    nothing = run("rl_training_example.py", "--evaluate", "--algorithm", "SAC")
    assert nothing.returncode == 1 and "no finished SAC run" in nothing.stderr
    train = run("rl_training_example.py", "--train", "--algorithm", "PPO", "--timesteps", "256")
    assert train.returncode == 0, train.stderr
    evaluate = run("rl_training_example.py", "--evaluate", "--algorithm", "PPO")
    assert evaluate.returncode == 0 and "success rate" in evaluate.stdout
    helped = run("single_env_rl_demo.py", "--help")
    assert helped.returncode == 0 and "--seed" in helped.stdout


@pytest.mark.parametrize(
    ("script", "measured"),
    [
        ("step_rate", {"raw", "replayed", "core", "make_vec", "sb3", "rsl_rl"}),
        ("training_rate", {"core", "rsl_rl", "sb3"}),
    ],
)
def test_the_benchmark_runs(tmp_path, monkeypatch, script: str, measured: set[str]) -> None:
    out = tmp_path / "rates.json"
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    words = ["--num-envs", "4", "--rounds", "1", "--seconds", "0.05", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *words])
    runpy.run_path(str(ROOT / "benchmarks" / f"{script}.py"), run_name="__main__")
    (result,) = json.loads(out.read_text())["results"]
    assert result["steps_per_second"].keys() == measured
