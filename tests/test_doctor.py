"""`genesis-gym doctor` finds what is there and what is not; `genesis-gym warmup` leaves a warm kernel cache."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import genesis_gym
from genesis_gym.cli.main import main
from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.runtime.startup_patches import quick_cpu_name
from genesis_gym.tools import selfcheck
from genesis_gym.tools.doctor import PACKAGES, Finding, examine, find
from genesis_gym.tools.warmup import SCENE_KINDS

PROGRAM = [sys.executable, "-m", "genesis_gym"]


def examined() -> dict[str, Finding]:
    with quick_cpu_name():
        return {finding.subject: finding for finding in examine()}


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts a program of that name on the path, which prints something and exits."""

    def put(output: str, status: int = 0) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return put


# The machine


def test_this_machine_has_no_fault(capsys) -> None:
    assert main(["doctor", "--quick"]) == 0
    out, err = capsys.readouterr()
    for name in PACKAGES:
        assert f"  {name:18} {importlib.metadata.version(name)}\n" in out
    assert "No faults found." in out and "!" not in out
    assert "Throughput" not in out and "Traceback" not in err


def test_a_gpu_that_torch_cannot_use_is_a_fault(nvidia_smi, monkeypatch, capsys) -> None:
    import torch

    if torch.version.cuda is not None:
        pytest.skip("needs a CPU build of torch")
    nvidia_smi("NVIDIA H100, 550.54.15, 80994 MiB, 81559 MiB\nNVIDIA T4, 550.54.15, 1 MiB, 2 MiB")
    found = examined()
    first, second = found["GPU"].state.split("; ")
    assert first == "NVIDIA H100, driver 550.54.15, 80994 MiB of 81559 MiB free"
    assert second == "NVIDIA T4, driver 550.54.15, 1 MiB of 2 MiB free"
    assert "built without CUDA, and there is a GPU" in found["Backend"].state
    assert main(["doctor", "--quick"]) == 1
    lines = capsys.readouterr().out.splitlines()
    fault = next(i for i, line in enumerate(lines) if line.startswith("! Backend"))
    assert "→ install the build of torch for this GPU" in lines[fault + 1]
    assert lines[-1] == "Faults, marked by '!': 1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert examined()["Backend"] == Finding("Backend", "CPU: CUDA_VISIBLE_DEVICES hides every GPU")


def test_a_driver_that_does_not_answer_is_a_fault(nvidia_smi) -> None:
    nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\nMore.", status=9)
    found = examined()
    assert found["GPU"].state.endswith("has failed because it couldn't communicate with the NVIDIA driver.")
    assert found["GPU"].remedy
    assert found["Backend"].state == "CPU: the NVIDIA driver does not answer"


def test_packages_are_held_to_what_genesis_gym_needs(monkeypatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "quadrants":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.3.0" if name == "genesis-world" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = examined()
    assert found["genesis-world"].state.startswith("1.3.0, but genesis-gym needs <1.5,>=1.4.5")
    assert found["genesis-world"].remedy == "pip install 'genesis-world<1.5,>=1.4.5'"
    assert found["quadrants"] == Finding("quadrants", "not installed", "pip install 'quadrants'")


def test_the_kernel_cache_is_looked_into(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("QD_OFFLINE_CACHE_FILE_PATH", str(tmp_path / "cache"))
    cold = examined()["Kernel cache"]
    assert f"{tmp_path}/cache, cold" in cold.state and cold.remedy is None
    (tmp_path / "cache" / "killed.txt").write_text("what a killed process leaves is no kernel")
    assert "cold" in examined()["Kernel cache"].state
    (tmp_path / "cache" / "kernel.qdc").write_bytes(bytes(1_500_000))
    assert "warm: 1 kernels, 1.5 MB" in examined()["Kernel cache"].state
    monkeypatch.setenv("QD_OFFLINE_CACHE_FILE_PATH", str(tmp_path / "cache" / "killed.txt"))
    assert "QD_OFFLINE_CACHE_FILE_PATH" in str(examined()["Kernel cache"].remedy)


def test_a_check_that_raises_is_one_line() -> None:
    def look() -> str:
        raise RuntimeError("\nfirst\nsecond")

    assert find("Thing", look, "mend it") == Finding("Thing", "RuntimeError: first", "mend it")


def test_a_machine_whose_libraries_are_broken_is_examined_to_the_end(tmp_path) -> None:
    """Without torch nothing of this package runs, but the doctor does; likewise without imageio."""
    for name in ("torch", "imageio"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('lib{name}.so: cannot open\\nmore of it')")
    source = Path(genesis_gym.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, source)))}
    done = subprocess.run(
        [*PROGRAM, "doctor", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    faults = {finding["subject"]: finding for finding in report["findings"] if finding["remedy"]}
    assert {"Backend", "Video", "Rendering", "Throughput"} == faults.keys() and report["faults"] == 4
    assert faults["Throughput"]["state"] == "ImportError: libtorch.so: cannot open"
    assert "pip install" in faults["Video"]["remedy"]


# Scenes


def test_scenes_are_drawn_and_stepped(capsys, monkeypatch) -> None:
    monkeypatch.setattr(selfcheck, "SECONDS", 0.5)
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    states = {finding["subject"]: finding["state"] for finding in report["findings"]}
    assert report["faults"] == 0
    assert states["Rendering"].startswith("offscreen, first frame of 480 by 360")
    assert float(states["Throughput"].split()[0].replace(",", "")) > 256


def test_a_blank_frame_is_a_fault(monkeypatch) -> None:
    monkeypatch.setattr(genesis_gym.BatchedEnv, "render", lambda env: np.zeros((1, 4, 6, 3), np.uint8))
    monkeypatch.setattr(genesis_gym.BatchedEnv, "step", lambda env, action: 1 / 0)
    rendering, throughput = selfcheck.examine_scenes()
    assert rendering.state == "a frame of 6 by 4 was drawn, but it is blank" and rendering.remedy
    assert throughput.state == "ZeroDivisionError: division by zero" and throughput.remedy


# Warm-up


def test_every_environment_has_its_kinds_of_scene() -> None:
    for env_id in ENVIRONMENTS:
        of_env = [arguments for arguments in SCENE_KINDS.values() if arguments["env_id"] == env_id]
        assert {"camera_envs"} <= set().union(*of_env) and {"env_id": env_id, "num_envs": 2} in of_env


@pytest.mark.slow
def test_a_second_warm_up_compiles_nothing() -> None:
    for _ in range(2):
        done = subprocess.run([*PROGRAM, "warmup"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = [line.split(": ")[0] for line in done.stderr.splitlines() if ": " in line]
        assert told == list(SCENE_KINDS) and all(env_id in done.stdout for env_id in ENVIRONMENTS)
    assert "nothing new: all kernels were cached" in done.stdout


def test_an_interrupted_warm_up_keeps_its_kernels(tmp_path) -> None:
    """SIGTERM in the midst of compiling: what is compiled is on disk, which Genesis alone does not see to."""
    environment = {**os.environ, "QD_OFFLINE_CACHE_FILE_PATH": str(tmp_path)}
    process = subprocess.Popen([*PROGRAM, "warmup"], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("python_side_cache/*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(tmp_path.rglob("*.qdc")), "Genesis keeps kernels in memory until it ends"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    assert list(tmp_path.rglob("*.qdc"))


def test_a_warm_up_names_a_wrong_device(capsys) -> None:
    assert main(["warmup", "--device", "tpu"]) == 2
    assert "device='tpu' is not known" in capsys.readouterr().err
