"""Kill -9 at random moments: the run resumes, and ends as if nothing had happened.

Two kills by default; KILLS=30 makes it the rig whose figures are in docs/reliability.md.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genesis_gym.learning.runs.folder import remove_torn

KILLS = int(os.environ.get("KILLS", "2"))

#: Trains eight environments with a checkpoint before every rollout on a slow disk: many a kill falls into a write.
PROGRAM = """
import os
import sys
import time
from pathlib import Path
from genesis_gym.core.make import make_core
from genesis_gym.learning.training import hooks
from genesis_gym.learning.config.train_config import make_config
from genesis_gym.learning.training.train import train

hooks.CHECKPOINT_SECONDS = 0.0
flush = os.fsync
os.fsync = lambda file: (time.sleep(0.03), flush(file))  # a slow disk
config = make_config(
    num_envs=8,
    timesteps=int(sys.argv[2]),
    hyperparameters={"n_steps": 8, "batch_size": 64},
    curriculum={"window": 1},
    randomization={"wind": [0, 5], "noise.joint_position": [0, 0.05]},
)
env = make_core(config.env, config.num_envs, device="cpu", **config.training_env())
print("ready", flush=True)
train(config, env, Path(sys.argv[1]))
env.close()
"""


#: Dies in the midst of a write, with a file beside the one that is written, as safetensors has.
DIES = """
import os
import signal
import sys
from pathlib import Path
from genesis_gym.learning.runs.folder import write_whole


def write(path):
    path.write_text("half")
    path.with_name(".tmp").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)


write_whole(Path(sys.argv[1]), write)
"""


def start(folder: Path, timesteps: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(timesteps)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", process.communicate()[1]
    return process


def wait_for_checkpoints(path: Path, count: int) -> None:
    """Until a file was replaced so many times."""
    seen = None
    while count >= 0:
        time.sleep(0.002)
        number = path.stat().st_ino if path.exists() else None
        if number != seen:
            seen, count = number, count - 1


@pytest.mark.parametrize("file", ["checkpoint.pt", "faults/fault-001.pt"])
def test_what_a_killed_process_was_writing_is_removed(tmp_path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("before")
    process = subprocess.run([sys.executable, "-c", DIES, str(path)])
    assert process.returncode == -signal.SIGKILL
    assert len(list(path.parent.iterdir())) == 2
    remove_torn(tmp_path)
    assert list(path.parent.iterdir()) == [path] and path.read_text() == "before"


def test_a_killed_run_ends_as_one_that_went_through(tmp_path) -> None:
    timesteps = 1_000 * (KILLS + 1)
    through, killed = tmp_path / "through", tmp_path / "killed"
    through.mkdir()
    killed.mkdir()
    process = start(through, timesteps)
    assert process.wait() == 0, process.communicate()[1]

    moments = random.Random(0)
    torn = 0
    for _ in range(KILLS):
        process = start(killed, timesteps)
        # Counted in rollouts, of which there are 15 for each process: a busy machine changes nothing.
        wait_for_checkpoints(killed / "checkpoint.pt", moments.randint(0, 12))
        time.sleep(moments.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run must not have ended before the kills did"
        torn += bool(list(killed.glob(".*")))
        process.communicate()
    assert not (killed / "policy.safetensors").exists()
    process = start(killed, timesteps)
    assert process.wait() == 0, process.communicate()[1]

    for name in ("checkpoint.pt", "policy.safetensors"):
        assert (killed / name).read_bytes() == (through / name).read_bytes(), name
    assert not list(killed.glob(".*")), "nothing torn is left"
    print(f"{KILLS} kills, {torn} of them while a file was being written")
