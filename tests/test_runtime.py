"""How Genesis starts and stops in a process that belongs to somebody else."""

from __future__ import annotations

import inspect
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genesis_gym.errors import ClosedError, MissingDependencyError
from genesis_gym.runtime import backend, system, torch_settings
from genesis_gym.runtime.startup_patches import quick_introspection
from genesis_gym.runtime.torch_settings import simulation_settings, with_simulation_settings
from genesis_gym.tools import doctor


def run(script: str, *options: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own; a variable that is None is taken away."""
    environment = {**os.environ, **{name: value for name, value in variables.items() if value is not None}}
    for name in [name for name, value in variables.items() if value is None]:
        environment.pop(name, None)
    command = [sys.executable, *options, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


# Settings of torch


@pytest.fixture
def settings(monkeypatch):
    """The settings of a user's process: two threads, and double precision as in control code."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    monkeypatch.setattr(torch_settings, "_USER_SET_THREADS", False)
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)


def present() -> tuple[int, torch.dtype]:
    return torch.get_num_threads(), torch.get_default_dtype()


def test_settings_hold_within_the_block_only(settings) -> None:
    with simulation_settings():
        assert present() == (1, torch.float32)
        with simulation_settings():
            pass
        assert present() == (1, torch.float32), "blocks may be nested"
    assert present() == (2, torch.float64)
    with pytest.raises(ZeroDivisionError), simulation_settings():
        raise ZeroDivisionError
    assert present() == (2, torch.float64)
    assert with_simulation_settings(present)() == (1, torch.float32)


def test_a_number_of_threads_that_the_user_has_set_stays(settings, monkeypatch) -> None:
    monkeypatch.setattr(torch_settings, "_USER_SET_THREADS", True)
    with simulation_settings():
        assert present() == (2, torch.float32)


def test_an_environment_leaves_the_settings_of_its_process_alone(settings, make_core) -> None:
    """Also one whose process has another default dtype: all that it returns is float32."""
    core = make_core(8)
    observation, _ = core.reset(seed=0)
    result = core.step(torch.zeros(8, core.action_dim, dtype=torch.float32))
    dtypes = {value.dtype for value in (*observation.values(), *result.observation.values(), result.reward)}
    dtypes |= {value.dtype for value in result.metrics.values() if value.is_floating_point()}
    assert dtypes == {torch.float32}
    assert present() == (2, torch.float64)


MAKE = "import genesis_gym; env = genesis_gym.BatchedEnv('reach', num_envs=2)"


def test_an_environment_is_made_in_a_process_of_double_precision_and_without_home() -> None:
    """Cron jobs and systemd units have no HOME, without which a library of Genesis's aborts."""
    done = run(
        "import os, torch; torch.set_default_dtype(torch.float64); torch.set_num_threads(2)\n"
        f"{MAKE}; observation, _ = env.reset(seed=0)\n"
        "print(observation['policy'].dtype, torch.get_default_dtype(), torch.get_num_threads())\n"
        "print(os.environ['HOME'])",
        OMP_NUM_THREADS=None,
        HOME=None,
    )
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert done.stdout.split()[-4:] == ["torch.float32", "torch.float64", "2", home], done.stderr


def test_a_genesis_of_double_precision_is_refused_in_one_line() -> None:
    done = run(f"import genesis as gs; gs.init(backend=gs.cpu, precision='64', logging_level='error'); {MAKE}")
    assert "ArgumentError: Genesis already runs with precision='64'" in done.stdout + done.stderr


# The life of Genesis


def test_a_genesis_that_was_destroyed_is_noticed(make_core, monkeypatch) -> None:
    import genesis as gs

    make_core(8)
    genesis = backend.running_genesis()
    backend.require_running(genesis)
    monkeypatch.setattr(gs, "logger", None)  # what gs.destroy() does
    assert not backend.is_running(genesis)
    monkeypatch.setattr(gs, "logger", object())  # what another gs.init() does
    with pytest.raises(ClosedError, match=r"gs\.destroy\(\)"):
        backend.require_running(genesis)


def test_an_environment_whose_genesis_was_destroyed_is_closed() -> None:
    """Without the check this is a segmentation fault."""
    done = run(
        f"{MAKE}\n"
        "import genesis as gs, torch\n"
        "env.reset(seed=0); gs.destroy()\n"
        "first = torch.tensor([True, False])\n"
        "for call in (lambda: env.step(torch.zeros(2, 7)), env.reset, lambda: env.reset(first), env.render):\n"
        "    try: call()\n"
        "    except genesis_gym.errors.ClosedError: print('ClosedError')\n"
        f"env.close(); {MAKE}; env.reset(); env.close(); print('made again')"
    )
    assert done.stdout.splitlines()[-5:] == ["ClosedError"] * 4 + ["made again"], done.stderr


def test_the_check_of_a_step_is_cheap(make_core) -> None:
    import timeit

    make_core(8)
    genesis = backend.running_genesis()
    seconds = min(timeit.repeat(lambda: backend.require_running(genesis), number=1000, repeat=5)) / 1000
    assert seconds < 2e-6


# The process that it starts in


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch) -> None:
    def no_entry() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_entry)
    with pytest.raises(MissingDependencyError, match="set HOME to a folder"):
        system.provide_home()
    finding = doctor.find("Home folder", doctor.look_at_home, "")
    assert "set HOME to a folder" in finding.state


@pytest.mark.parametrize("options", [("-O",), ()])
def test_python_without_assertions_is_refused_in_one_line(options: tuple[str, ...]) -> None:
    done = run(MAKE, *options, PYTHONOPTIMIZE=None if options else "1")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("genesis_gym.errors.MissingDependencyError: Genesis needs Python's assert statements")
    assert "PYTHONOPTIMIZE" in last


# Patches


def test_introspection_is_put_back_and_answers_as_before() -> None:
    original, frame = inspect.getmodule, inspect.currentframe()
    with quick_introspection(), quick_introspection():
        assert inspect.getmodule(frame) is sys.modules[__name__]
        assert inspect.getmodule(Path) is sys.modules["pathlib"]
    assert inspect.getmodule is original
