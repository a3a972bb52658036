"""Files from strangers: whatever they hold, nothing in them runs, hangs, fills the memory or leads elsewhere.

Every attack is a file in a run or study folder, given to the command that reads it, through `main`.
In each folder SB3's archives are bombs, too: no command may open them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pickle
import re
import resource
import shutil
import signal
import sqlite3
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import pytest
import safetensors.torch
import torch

from genesis_gym.cli.main import main
from genesis_gym.errors import ArgumentError, GenesisGymError, RunFolderError, WriteError
from genesis_gym.learning.agents import checkpoint, load
from genesis_gym.learning.config.train_config import make_config
from genesis_gym.learning.evaluation import faults
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.evaluation.faults import FaultRecorder
from genesis_gym.learning.pipeline import run as pipeline
from genesis_gym.learning.pipeline.stages import parse_plan, read_plan, run_stages
from genesis_gym.learning.report.facts import describe_run
from genesis_gym.learning.runs import files
from genesis_gym.learning.runs.folder import PARTIAL, read_config, write_whole
from genesis_gym.learning.training import hooks
from genesis_gym.learning.training import train as train_module
from genesis_gym.learning.tuning import study, tune
from genesis_gym.learning.tuning.search_space import read_space
from genesis_gym.registration import find_spec

CONFIG = make_config(
    num_envs=8, timesteps=128, evaluate_every=64, hyperparameters={"n_steps": 8, "batch_size": 64, "n_epochs": 1}
)

#: Seconds that a command may take over one hostile file, and bytes by which the process may grow.
PATIENCE = 30
GROWTH = 600_000_000


# What a hostile file may not do


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class SceneBuilt(Exception):  # noqa: N818
    """A command has accepted what it was given."""


def build_scene(*_: object, **__: object) -> None:
    raise SceneBuilt


seen: list[tuple[str, str]] = []
watching = False


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not watching:
        return
    if event in ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.bind"):
        seen.append((event, str(arguments)))
    elif event == "open":
        path = Path(str(arguments[0]))  # the archives that a training is writing are its own
        if path.name in ("model.zip", "vec_normalize.pkl") and path.parent.suffix != PARTIAL:
            seen.append((event, str(path)))
    elif event == "import" and arguments[0] in ("stranger", "antigravity"):
        seen.append((event, arguments[0]))


@functools.cache
def install_hook() -> None:
    """Called by the first test that watches: a hook stays for the life of the process, looking at `watching`."""
    sys.addaudithook(hook)


@contextlib.contextmanager
def watched(outside: Path) -> Iterator[None]:
    """Nothing runs, opens an archive, listens, hangs, grows, or touches what is outside the folder."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"over {PATIENCE} s")

    global watching
    install_hook()
    before = {path: path.read_bytes() for path in outside.rglob("*")}
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    previous = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)
    seen.clear()
    watching = True
    try:
        yield
    finally:
        watching = False
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    assert seen == []
    assert {path: path.read_bytes() for path in outside.rglob("*")} == before
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss) * 1024 < GROWTH


# The folders that are attacked


@pytest.fixture(scope="module")
def good(tmp_path_factory, make_core) -> Path:
    """A run folder and a study folder with all that ours have, SB3's archives being bombs."""
    core, home = make_core(8), tmp_path_factory.mktemp("good")
    run, trials = home / "run", home / "study"
    run.mkdir()
    trials.mkdir()
    act = train_module.train(CONFIG, core, run)
    (run / "run.json").write_text(describe_run(core).model_dump_json())
    (run / "evaluation.json").write_text(json.dumps(dataclasses.asdict(evaluate_policy(core, act, 8))))
    (run / "policy.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    for name in ("model.zip", "vec_normalize.pkl"):
        (run / name).write_bytes(pickle.dumps(Bomb(home / "exploded")))

    core.reset(seed=0)
    core.recorder = FaultRecorder(run, CONFIG)
    for poison in (0.0, 0.0, float("nan")):
        core.step(torch.full((8, 7), poison))
    core.recorder = None

    settings = study.make_tune_config(timesteps=512)
    opened = study.open_study(settings, trials)
    for number in range(2):
        trial = opened.ask()
        drawn = settings.suggest(trial)
        trial.set_user_attr(study.CONFIG_ATTRIBUTE, settings.train_config(drawn).model_dump(mode="json"))
        trial.set_user_attr(study.SEARCHED_ATTRIBUTE, drawn)
        opened.tell(trial, float(number))
    (home / "stages.yaml").write_text("timesteps: 64\nstages:\n- {env: Genesis/FrankaReach-v0}\n")
    (home / "space.yaml").write_text("gamma: {type: float, low: 0.9, high: 0.99}\n")
    return home


@pytest.fixture
def home(good, tmp_path, make_core, monkeypatch) -> Path:
    """A copy of them beside a secret; commands that need a scene get the session's."""
    core = make_core(8)
    monkeypatch.setattr(core, "close", lambda: None)
    for module in (load, pipeline, faults):
        monkeypatch.setattr(module, "make_core", lambda env, *_, **__: find_spec(env) and core)
    monkeypatch.setattr(tune, "make_core", build_scene)
    monkeypatch.setattr(pipeline, "EVALUATION_EPISODES", 8)
    monkeypatch.setattr(hooks, "PERIODIC_EPISODES", 8)
    shutil.copytree(good, tmp_path / "home")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("years of work")
    (tmp_path / "outside" / "stranger.py").write_text(f"open({str(tmp_path / 'outside' / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path / "outside"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


#: File → where it lies, and the command that reads it.
READERS = {
    "config.json": ("run", "evaluate home/run --episodes 8"),
    "policy.safetensors": ("run", "evaluate home/run --episodes 8"),
    "best_policy.safetensors": ("run", "evaluate home/run --episodes 8 --best"),
    "checkpoint.pt": ("run", "train --resume home/run"),
    "run.json": ("run", "report home/run"),
    "evaluation.json": ("run", "report home/run"),
    "progress.csv": ("run", "report home/run"),
    "policy.mp4": ("run", "report home/run"),
    "fault-001.pt": ("run", "replay home/run/fault-001.pt"),
    "stages.yaml": (".", "train --stages home/stages.yaml --out home/out"),
    "space.yaml": (".", "tune --space home/space.yaml --timesteps 512 --out home/out"),
    "study.json": ("study", "tune --out home/study --timesteps 512 --trials 2"),
    "study.db": ("study", "tune --out home/study --timesteps 512 --trials 2"),
}

#: A report is written of what is sound; what is not is named in it.
REPORTED = ("run.json", "evaluation.json", "progress.csv", "policy.mp4")


# The attacks

Plant = Callable[[Path], object]


class Attack(NamedTuple):
    """A way to spoil a file; `plant` is given its path, where a sound one lies."""

    kind: str
    name: str
    plant: Plant


def holding(content: bytes | str) -> Plant:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def instead(make: Plant) -> Plant:
    def plant(path: Path) -> None:
        path.unlink()
        make(path)

    return plant


def sparse(size: int) -> Plant:
    return lambda path: os.truncate(path, size)


#: What any file may be instead of what it should be.
FORMS = [
    Attack("pickle", "bomb", lambda path: path.write_bytes(pickle.dumps(Bomb(path.parents[1] / "exploded")))),
    Attack("pickle", "of torch", lambda path: torch.save(Bomb(path.parents[1] / "exploded"), path)),
    Attack("damaged", "empty", holding(b"")),
    Attack("damaged", "truncated", lambda path: os.truncate(path, path.stat().st_size // 2)),
    Attack("damaged", "no UTF-8", holding(b'\xff\xfe{"a": 1}')),
    Attack("damaged", "null bytes", holding(bytes(4096))),
    Attack("damaged", "BOM", lambda path: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())),
    Attack("damaged", "deep lists", holding("[" * 100_000)),
    Attack("damaged", "deep objects", holding('{"a":' * 100_000)),
    Attack("no file", "folder", instead(Path.mkdir)),
    Attack("no file", "pipe", instead(os.mkfifo)),
    Attack("no file", "unreadable", lambda path: path.chmod(0)),
    Attack("link", "to a secret", instead(lambda path: path.symlink_to(path.parents[2] / "outside" / "secret"))),
    Attack("link", "to nowhere", instead(lambda path: path.symlink_to("/nonexistent"))),
    Attack("link", "to /dev/zero", instead(lambda path: path.symlink_to("/dev/zero"))),
    Attack("link", "to itself", instead(lambda path: path.symlink_to(path.name))),
    Attack("size", "9 GB", sparse(9_000_000_000)),
]


def changed(kind: str, name: str, **fields: Any) -> Attack:
    """Other fields in a JSON object."""
    return Attack(kind, name, lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **fields})))


def text(kind: str, name: str, content: str) -> Attack:
    return Attack(kind, name, holding(content))


def replaced(kind: str, name: str, pattern: str, by: str) -> Attack:
    """Other words where JSON itself has none, such as numbers of 5000 digits."""

    def plant(path: Path) -> None:
        spoiled, count = re.subn(pattern, by, path.read_text(), count=1)
        assert count == 1, f"{path.name} has no {pattern}: the attack would change nothing"
        path.write_text(spoiled)

    return Attack(kind, name, plant)


def hyper(name: str, **fields: Any) -> Attack:
    values = {**CONFIG.hyperparameters.model_dump(mode="json"), **fields}
    return changed("numbers", name, hyperparameters=values)


DIGITS = "9" * 5000

NAMES = {
    "a module": "stranger:My/Env-v0",
    "a module of Python": "antigravity:My/Env-v0",
    "a module of modules": "os:stranger:My/Env-v0",
    "a relative module": ".stranger:My/Env-v0",
    "a path": "../../outside/secret",
    "an absolute path": "/etc/passwd",
    "a null byte": "a\0b",
    "long": "A" * 100_000,
    "markup": "[bold]x[/red]",
    "terminal": "\x1b[2J\nx",
}

CONFIGS = [
    *(changed("names", f"env: {name}", env=value) for name, value in NAMES.items()),
    changed("names", "a term of terminal codes", reward_weights={"x\n\x1b[31m": "y"}),
    changed("names", "long preset", preset="A" * 100_000),
    changed("numbers", "rows", num_envs=10**9),
    changed("numbers", "steps", timesteps=10**18),
    changed("numbers", "seed", seed=10**30),
    changed("numbers", "decimation", decimation=10**12),
    changed("numbers", "observation", observation_parts={"joint_position": 10**12}),
    changed("numbers", "observation of many parts", observation_parts={f"p{i}": 1 for i in range(5000)}),
    changed("numbers", "curriculum", curriculum={"window": 10**30}),
    hyper("width", net_arch=[10**9]),
    hyper("layers", net_arch=[64] * 10_000),
    hyper("rollout", n_steps=10**9),
    hyper("batch", batch_size=10**15),
    replaced("numbers", "NaN", r'"gamma": [\d.]+', '"gamma": NaN'),
    replaced("numbers", "Infinity", r'"learning_rate": [\d.e-]+', '"learning_rate": Infinity'),
    replaced("numbers", "digits", r'"seed": \d+', f'"seed": {DIGITS}'),
    replaced("numbers", "1e999", r'"learning_rate": [\d.e-]+', '"learning_rate": 1e999'),
    changed("types", "version", version=99),
    changed("types", "version of digits", version="2"),
    changed("types", "no version", version=None),
    changed("types", "surprise", __class__="os.system"),
    changed("types", "env", env=["Genesis/FrankaReach-v0"]),
    changed("types", "algorithm", algorithm={"PPO": 1}),
    changed("types", "hyperparameters", hyperparameters=[1]),
    changed("types", "randomization", randomization={"payload": "heavy"}),
    text("types", "a list", "[1, 2]"),
    text("types", "null", "null"),
    text("size", "2 MB", json.dumps({"env": "A" * 2_000_000})),
]


def tensors(kind: str, name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Attack:
    """The same file with other tensors."""

    def plant(path: Path) -> None:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata()
        held = safetensors.torch.load_file(path)
        change(held)
        safetensors.torch.save_file(held, path, metadata=metadata)

    return Attack(kind, name, plant)


def header(name: str, fields: Any, declared: int | None = None) -> Attack:
    """A header that lies."""
    data = (fields if isinstance(fields, str) else json.dumps(fields)).encode()
    return Attack("shapes", name, holding(struct.pack("<Q", declared or len(data)) + data + bytes(64)))


def entry(**fields: Any) -> dict[str, Any]:
    return {"policy.log_std": {"dtype": "F32", "shape": [7], "data_offsets": [0, 28], **fields}}


HEADERS = [
    header("length of 2**62", "{}", 2**62),
    header("length of 90 MB", "{}", 90_000_000),
    header("terabytes", entry(shape=[10**12], data_offsets=[0, 4 * 10**12])),
    header("overflow", entry(shape=[2**32, 2**32], data_offsets=[0, 64])),
    header("negative", entry(shape=[-7])),
    header("beyond the file", entry(data_offsets=[2**50, 2**50 + 28])),
    header("backwards", entry(data_offsets=[28, 0])),
    header("other size", entry(shape=[700])),
    header("unknown dtype", entry(dtype="PICKLE")),
    header("overlap", {**entry(), "policy.b": {"dtype": "F32", "shape": [7], "data_offsets": [0, 28]}}),
    header("no object", "[1, 2]"),
    header("deep", '{"a":' * 10_000),
]


def weights(prefix: str, first: str) -> list[Attack]:
    def fill(value: float) -> Callable[[dict[str, torch.Tensor]], object]:
        return lambda held: held[first].fill_(value)

    return [
        *HEADERS,
        tensors("numbers", "NaN weights", fill(float("nan"))),
        tensors("numbers", "infinite weights", fill(float("inf"))),
        tensors("types", "missing", lambda held: held.pop(first)),
        tensors("types", "unknown", lambda held: held.update({f"{prefix}../../x\n": torch.zeros(1)})),
        tensors("types", "float64", lambda held: held.update({first: held[first].double()})),
        tensors("types", "bool", lambda held: held.update({first: held[first] > 0})),
        tensors("shapes", "other shape", lambda held: held.update({first: torch.zeros(3, 3)})),
        tensors("shapes", "empty shape", lambda held: held.update({first: torch.zeros(0)})),
    ]


POLICIES = [
    *weights("policy.", "policy.log_std"),
    tensors("shapes", "normaliser", lambda held: held.update({"normalizer.mean_policy": torch.zeros(3)})),
    tensors("numbers", "no deviation", lambda held: held["normalizer.std_policy"].zero_()),
    tensors("numbers", "NaN clip", lambda held: held["normalizer.clip"].fill_(float("nan"))),
    tensors("numbers", "negative clip", lambda held: held["normalizer.clip"].fill_(-1.0)),
]


def state(kind: str, name: str, change: Callable[[dict[str, Any]], object]) -> Attack:
    """The same nested state with other values."""

    def plant(path: Path) -> None:
        held = torch.load(path, weights_only=True)
        change(held)
        torch.save(held, path)

    return Attack(kind, name, plant)


def set_at(place: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Put a value, or what a function makes of the one that is there, at a place such as `model.policy`."""

    def change(held: Any) -> None:
        *parts, last = place.split(">")
        for part in parts:
            held = held[int(part) if isinstance(held, list) else part]
        held[last] = value(held[last]) if callable(value) else value

    return change


def without(place: str) -> Callable[[dict[str, Any]], object]:
    def change(held: Any) -> None:
        *parts, last = place.split(">")
        for part in parts:
            held = held[int(part) if isinstance(held, list) else part]
        del held[last]

    return change


def rewritten(name: str, rewrite: Callable[[str, bytes], bytes], *, compressed: bool = False) -> Attack:
    """The same archive with other entries."""

    def plant(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", kind) as archive:
            for entry, data in entries.items():
                archive.writestr(entry, rewrite(entry, data))

    return Attack("archive", name, plant)


def pickled(name: str, content: bytes) -> Attack:
    """The archive with another pickle, written by hand."""
    return rewritten(name, lambda entry, data: content if entry.endswith("data.pkl") else data)


def claims_more(path: Path) -> None:
    """An entry whose size in the table of contents is a thousand times that in the file."""
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 2**31 - 1)
    path.write_bytes(bytes(data))


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


def laughing(levels: int) -> list[Any]:
    value: list[Any] = [0]
    for _ in range(levels):
        value = [value] * 9  # the pickle refers to one list nine times
    return value


#: Hostile archives of torch: zip bombs, pickles that name code, and values without end.
ARCHIVES = [
    rewritten("zip bomb", lambda entry, data: bytes(10**9) if "/data/0" in entry else data, compressed=True),
    rewritten("compressed", lambda entry, data: data, compressed=True),
    Attack("archive", "claims more", claims_more),
    pickled("os.system", b"cos\nsystem\n(S'touch exploded'\ntR."),
    pickled("builtins.eval", b'cbuiltins\neval\n(S\'open("exploded", "w")\'\ntR.'),
    pickled("torch.load", b"ctorch\nload\n(S'exploded'\ntR."),
    pickled("pickle of 5 MB", b"(" + b"K\x01" * 2_500_000 + b"t."),
    pickled("digits", b"I" + b"9" * 5000 + b"\n."),
    pickled("recursion", b"(" * 200_000),
    Attack("archive", "old format", lambda path: torch.save({}, path, _use_new_zipfile_serialization=False)),
    Attack("types", "a whole module", lambda path: torch.save(torch.nn.Linear(2, 2), path)),
    Attack("types", "no dictionary", lambda path: torch.save([1, 2], path)),
    Attack("types", "a set", lambda path: torch.save({"version": {1}}, path)),
    Attack("types", "without content", lambda path: torch.save({"version": torch.zeros(3, device="meta")}, path)),
    Attack("types", "sparse", lambda path: torch.save({"version": torch.eye(3).to_sparse()}, path)),
    Attack("shapes", "stretched", lambda path: torch.save({"version": torch.zeros(1).expand(10**12)}, path)),
    Attack("size", "deep", lambda path: torch.save(nested(60), path)),
    Attack("size", "billion laughs", lambda path: torch.save({"version": laughing(30)}, path)),
    Attack("size", "many values", lambda path: torch.save({str(i): i for i in range(200_000)}, path)),
]

WEIGHT = "model>policy>log_std"
ADAM = "model>policy.optimizer>0"
SHARE = "shares>0"
MANY = {f"x{i}": 1 for i in range(1000)}

CHECKPOINTS = [
    *ARCHIVES,
    state("types", "version", set_at("version", "1")),
    state("types", "surprise", set_at("surprise", 1)),
    state("types", "algorithm", set_at("algorithm", "os.system")),
    state("types", "observation", set_at("observation", {"x\n\x1b[2J": [[[]]]})),
    state("names", "observation", set_at("observation", {"x\n\x1b[2J": 1})),
    state("size", "observation", set_at("observation", MANY)),
    state("numbers", "action", set_at("action_dim", 10**12)),
    state("numbers", "ranks", set_at("ranks", 10**12)),
    state("types", "best", set_at("best", [0.0, "x"])),
    state("numbers", "best", set_at("best", [float("nan"), 0.0])),
    state("types", "no shares", set_at("shares", [])),
    state("types", "shares of words", set_at("shares", ["x"])),
    state("numbers", "NaN weights", set_at(WEIGHT, lambda value: value.fill_(float("nan")))),
    state("numbers", "infinite weights", set_at(WEIGHT, lambda value: value.fill_(float("inf")))),
    state("types", "missing", without(WEIGHT)),
    state("types", "unknown", set_at("model>policy>../../x\n", torch.zeros(1))),
    state("types", "float64", set_at(WEIGHT, lambda value: value.double())),
    state("types", "a list for a tensor", set_at(WEIGHT, [1.0] * 7)),
    state("shapes", "other shape", set_at(WEIGHT, torch.zeros(3, 3))),
    state("shapes", "empty shape", set_at(WEIGHT, torch.zeros(0))),
    state("shapes", "optimiser", set_at(f"{ADAM}>exp_avg", torch.zeros(3))),
    state("types", "optimiser lacks a part", without(f"{ADAM}>exp_avg_sq")),
    state("types", "optimiser of more", set_at("model>policy.optimizer>999", {"step": torch.zeros(())})),
    state("types", "optimiser of words", set_at("model>policy.optimizer>x", {"step": torch.zeros(())})),
    state("numbers", "optimiser's step", set_at(f"{ADAM}>step", lambda value: value.fill_(-1.0))),
    state("numbers", "optimiser's squares", set_at(f"{ADAM}>exp_avg_sq", lambda value: value.fill_(-1.0))),
    state("shapes", "statistics", set_at("model>statistics>reward>mean", torch.zeros(9).double())),
    state("numbers", "negative steps", set_at(f"{SHARE}>loop>timesteps", -(10**18))),
    state("types", "steps", set_at(f"{SHARE}>loop>timesteps", [1])),
    state("shapes", "last observation", set_at(f"{SHARE}>loop>observation", torch.zeros(8, 3))),
    state("types", "action generator", set_at(f"{SHARE}>loop>action_generator", {"bit_generator": "os.system"})),
    state("numbers", "place of a generator", set_at(f"{SHARE}>generators>numpy>place", 10**6)),
    state("shapes", "words of a generator", set_at(f"{SHARE}>generators>python>words", torch.zeros(3).long())),
    state("shapes", "torch's generator", set_at(f"{SHARE}>generators>torch", torch.zeros(3).byte())),
    state("types", "episodes", set_at(f"{SHARE}>loop>episodes>recent", torch.zeros(3, 2))),
    state("types", "environment", set_at(f"{SHARE}>environment", {})),
    state("shapes", "environment", set_at(f"{SHARE}>environment>_observation>policy", torch.zeros(8, 3))),
]

OTHER = CONFIG.model_dump(mode="json")

FAULTS = [
    *ARCHIVES,
    state("types", "version", set_at("version", "2")),
    state("types", "no version", without("version")),
    state("types", "config", set_at("config", [1])),
    state("names", "a module", set_at("config", {**OTHER, "env": "stranger:My/Env-v0"})),
    state("numbers", "environments", set_at("config", {**OTHER, "num_envs": 10**9})),
    state("shapes", "other environments", set_at("config", {**OTHER, "num_envs": 9})),
    state("types", "no actions", without("actions")),
    state("types", "actions of integers", set_at("actions", lambda value: value.nan_to_num().int())),
    state("shapes", "no steps", set_at("actions", torch.zeros(0, 8, 7))),
    state("shapes", "wide actions", set_at("actions", torch.zeros(3, 8, 700))),
    state("types", "resets", set_at("resets", [{"step": "x", "envs": torch.ones(8).bool()}])),
    state("shapes", "resets", set_at("resets", [{"step": 1, "envs": torch.ones(9).bool()}])),
    state("types", "no state", without("start")),
    state("types", "empty state", set_at("start", {})),
    state("types", "no last state", set_at("last", [])),
    state("shapes", "observation", set_at("last>_observation>policy", torch.zeros(9))),
    state("types", "an unknown part", set_at("start>x", torch.zeros(9).int())),
]

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40))

YAMLS = [
    text("tags", "apply", "x: !!python/object/apply:os.system ['touch exploded']"),
    text("tags", "new", "x: !!python/object/new:pathlib.Path ['exploded']"),
    text("tags", "name", "x: !!python/name:os.system"),
    text("tags", "module", "x: !!python/module:stranger"),
    text("tags", "own", "x: !bomb 1"),
    text("aliases", "billion laughs", LAUGHS),
    text("aliases", "merged", MERGES),
    text("aliases", "circle", "&a [*a]"),
    text("damaged", "no such date", "x: 2001-99-99"),
    text("damaged", "unhashable", "? [a, {b: c}]\n: 1"),
    text("damaged", "tabs", "x:\n\t- y"),
    text("numbers", "digits", f"x: {DIGITS}"),
    text("numbers", "digits in hexadecimal", f"x: 0x{'f' * 50_000}"),
    text("size", "300 kB", f"x: {'A' * 300_000}"),
    text("types", "a text", "hello"),
    text("types", "a list", "- 1"),
]


def stage(kind: str, name: str, **fields: Any) -> Attack:
    return text(kind, name, json.dumps({"timesteps": 64, "stages": [{"env": "Genesis/FrankaReach-v0", **fields}]}))


PLANS = [
    *YAMLS,
    *(stage("names", f"env: {name}", env=value) for name, value in NAMES.items()),
    stage("types", "env", env=5),
    stage("types", "hyperparameters", hyperparameters="ab"),
    stage("types", "hyperparameter", hyperparameters={"../x": 1}),
    stage("types", "surprise", __class__=1),
    stage("numbers", "rows", num_envs=10**9),
    stage("numbers", "steps", timesteps=10**400),
    stage("numbers", "width", hyperparameters={"net_arch": [10**9]}),
    text("types", "a key that is no text", "1: 2\nstages: [{timesteps: 64}]"),
    text("numbers", "NaN", "stages: [{stop_at_success: .nan}]"),
    text("numbers", "infinite", "stages: [{stop_at_reward: .inf}]"),
    text("size", "stages", "stages:\n" + "- {}\n" * 20_000),
]

SPACES = [
    *YAMLS,
    text("types", "a name", "../gamma: {type: float, low: 0, high: 1}"),
    text("types", "a type", "gamma: {type: [os.system], low: 0, high: 1}"),
    text("types", "bounds", "gamma: {type: float, low: [1], high: {}}"),
    text("numbers", "NaN", "gamma: {type: float, low: .nan, high: 1}"),
    text("numbers", "infinite", "learning_rate: {type: float, low: 1, high: .inf}"),
    text("numbers", "width", "net_arch: {type: categorical, choices: [[1000000000]]}"),
    text("numbers", "integers", f"n_steps: {{type: int, low: 1, high: 0x{'f' * 5000}}}"),
    text("types", "no choices", "gamma: {type: categorical, choices: []}"),
]

STUDIES = [
    text("types", "a list", "[]"),
    text("types", "null", "null"),
    changed("types", "elsewhere", storage=["x"]),
    changed("types", "of an URL", storage="postgresql://evil.example/x"),
    changed("types", "surprise", surprise=1),
    changed("names", "a module", env="stranger:My/Env-v0"),
    changed("names", "a function", space="os:system"),
    changed("names", "terminal", env="\x1b[2J\n"),
    replaced("numbers", "digits", r'"seed": \d+', f'"seed": {DIGITS}'),
    text("size", "2 MB", json.dumps({"x": "A" * 2_000_000})),
]


def sql(kind: str, name: str, *statements: str) -> Attack:
    def plant(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    return Attack(kind, name, plant)


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"

DATABASES = [
    sql(
        "SQL",
        "endless view",
        "DROP TABLE studies",
        f"CREATE VIEW studies AS {ENDLESS} SELECT x AS study_id FROM c",
    ),
    sql("SQL", "trigger", "CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trials; END"),
    sql("SQL", "virtual table", "CREATE VIRTUAL TABLE v USING fts5(x)"),
    sql("damaged", "no table of trials", "DROP TABLE trials"),
    sql("types", "no release", "UPDATE alembic_version SET version_num = 'v9'"),
    sql("types", "settings", "UPDATE study_user_attributes SET value_json = '[1]'"),
    sql("damaged", "settings no JSON", "UPDATE study_user_attributes SET value_json = '{'"),
    sql("types", "no config", "DELETE FROM trial_user_attributes WHERE key = 'config'"),
    sql("types", "config", "UPDATE trial_user_attributes SET value_json = '{}' WHERE key = 'config'"),
    sql("types", "searched", "UPDATE trial_user_attributes SET value_json = '[1]' WHERE key = 'searched'"),
    sql("types", "failure", "UPDATE trial_user_attributes SET key = 'failure' WHERE key = 'searched'"),
    sql("types", "distribution", 'UPDATE trial_params SET distribution_json = \'{"name": "os.system"}\''),
    sql("damaged", "distribution", "UPDATE trial_params SET distribution_json = '['"),
    sql("types", "no values", "DELETE FROM trial_values"),
    sql("types", "state", "UPDATE trials SET state = 'EXPLODED'"),
    sql("types", "number", "UPDATE trials SET number = 'x'"),
    sql("types", "value", "UPDATE trial_values SET value = 'x', value_type = 'FINITE'"),
    sql(
        "numbers", "deep", "UPDATE trial_user_attributes SET value_json = replace(hex(zeroblob(50000)), '00', '[')"
    ),
]

FACTS = [
    replaced("numbers", "digits", r'"max_episode_steps":\d+', f'"max_episode_steps":{DIGITS}'),
    changed("numbers", "steps", max_episode_steps=10**30),
    replaced("numbers", "NaN", r'"seconds":\{', '"seconds":{"x":NaN'),
    changed("numbers", "long ago", seconds={"x": -1}),
    changed("types", "surprise", surprise=1),
    changed("types", "a list", versions=[1]),
    text("size", "5 MB", json.dumps({"x": "A" * 5_000_000})),
]


def records(kind: str, name: str, **columns: Any) -> Attack:
    """Other episodes in an evaluation."""

    def plant(path: Path) -> None:
        data = json.loads(path.read_text())
        data["records"].update({k: v * len(data["records"]["success"]) for k, v in columns.items()})
        path.write_text(json.dumps(data))

    return Attack(kind, name, plant)


def regions(name: str, **fields: Any) -> Attack:
    def plant(path: Path) -> None:
        data = json.loads(path.read_text())
        data["regions"].update(fields)
        data["success_rate"] = 0.5
        path.write_text(json.dumps(data))

    return Attack("shapes", name, plant)


EVALUATIONS = [
    changed("numbers", "tolerance", tolerance=1e-300),
    changed("numbers", "tolerance of an atom", tolerance=1e-10),
    changed("numbers", "infinite tolerance", tolerance=float("inf")),
    replaced("numbers", "digits", r'"episodes": \d+', f'"episodes": {DIGITS}'),
    changed("numbers", "NaN", mean_reward=float("nan"), success_rate=float("nan")),
    records("numbers", "distance", final_distance=[1e308]),
    records("numbers", "negative distance", final_distance=[-1.0]),
    records("numbers", "length", length=[10**30]),
    records("numbers", "no length", length=[0]),
    records("numbers", "negative length", length=[-5]),
    records("numbers", "goals", goal=[[1e308, -1e308, 0.0]]),
    records("numbers", "goals apart", goal=[[1e6, 0.0, -1e6]]),
    records("shapes", "goals in a plane", goal=[[1.0, 2.0]]),
    records("shapes", "more episodes", success=[True] * 3),
    records("shapes", "none", success=[], reward=[], length=[], final_distance=[], goal=[]),
    regions("ragged", xy_episodes=[[1], [1, 2]]),
    regions("no borders", x_edges=[]),
    regions("many", xy_episodes=[[1] * 500] * 500),
    regions("empty", xy_episodes=[], xy_successes=[], x_edges=[0.0]),
    text("types", "a list", "[]"),
    text("size", "5 MB", json.dumps({"x": "A" * 5_000_000})),
]


def table(kind: str, name: str, columns: list[str], *rows: str) -> Attack:
    return text(kind, name, "\n".join([",".join(["time/total_timesteps", *columns]), *rows]))


LOGS = [
    table("size", "columns", [f"reward/{i}" for i in range(10_000)], *["1," * 10_000 + "1"] * 3),
    table("size", "rows", ["reward/x"], *(f"{i},{(i * 7919) % 1000}" for i in range(200_000))),
    table("size", "field", ["reward/x"], f"1,{'9' * 200_000}"),
    table("numbers", "large", ["reward/x", "eval/y"], "100,1e308,-1e308", "200,-1e308,1e308"),
    table("numbers", "large still drawn", ["reward/x"], "100,9e29", "200,-9e29"),
    table("numbers", "steps", ["reward/x"], "1e29,1", "-1e29,2"),
    table("numbers", "NaN", ["reward/x"], "nan,nan", "inf,-inf"),
    table("damaged", "ragged", ["reward/x"], "1", "1,2,3,4,5", ",,,"),
    table("damaged", "a null byte", ["reward/x"], "1,\0"),
    table("damaged", "quotes", ["reward/x"], '1,"' + "x" * 1000),
    table("names", "markup", ["reward/<script>alert(1)</script>", "eval/$\\frac{"], "100,1,2", "200,2,3"),
    table("names", "twice", ["reward/x", "reward/x"], "100,1,2", "200,3,4"),
    table("names", "long", ["reward/" + "x" * 100_000], "100,1", "200,2"),
]

VIDEOS = [
    text("types", "a page", "<html><script>alert(1)</script>"),
    Attack("size", "9 MB", sparse(9_000_000)),
]

OWN = {
    "config.json": CONFIGS,
    "policy.safetensors": POLICIES,
    "best_policy.safetensors": POLICIES,
    "checkpoint.pt": CHECKPOINTS,
    "run.json": FACTS,
    "evaluation.json": EVALUATIONS,
    "progress.csv": LOGS,
    "policy.mp4": VIDEOS,
    "fault-001.pt": FAULTS,
    "stages.yaml": PLANS,
    "space.yaml": SPACES,
    "study.json": STUDIES,
    "study.db": DATABASES,
}

ATTACKS = [(reader, attack) for reader, own in OWN.items() for attack in (*FORMS, *own)]

#: What is sound in spite of all: YAML has BOMs, and Optuna creates the tables that a database lacks.
SOUND = {
    ("stages.yaml", "BOM"),
    ("space.yaml", "BOM"),
    ("study.db", "empty"),
    ("study.db", "no table of trials"),
}


#: Odd files of which the report shows what there is.
DRAWN = {
    ("evaluation.json", "tolerance"),
    ("evaluation.json", "tolerance of an atom"),
    ("evaluation.json", "NaN"),
    ("evaluation.json", "no length"),
    ("evaluation.json", "goals apart"),
    ("policy.mp4", "a page"),
    ("progress.csv", "BOM"),
}

#: Attacks that are tried by default, on every file: the others are more of their kinds, and marked slow.
ON_EVERY_FILE = ("bomb",)

#: The same, by the file.
TELLING = {
    ("config.json", "pipe"),
    ("config.json", "to a secret"),
    ("config.json", "deep objects"),
    ("config.json", "env: a module"),
    ("config.json", "digits"),
    ("policy.safetensors", "terabytes"),
    ("policy.safetensors", "NaN weights"),
    ("checkpoint.pt", "zip bomb"),
    ("checkpoint.pt", "os.system"),
    ("checkpoint.pt", "billion laughs"),
    ("checkpoint.pt", "other shape"),
    ("checkpoint.pt", "place of a generator"),
    ("evaluation.json", "tolerance"),
    ("progress.csv", "markup"),
    ("progress.csv", "columns"),
    ("policy.mp4", "9 MB"),
    ("fault-001.pt", "a module"),
    ("stages.yaml", "billion laughs"),
    ("stages.yaml", "apply"),
    ("space.yaml", "infinite"),
    ("study.json", "of an URL"),
    ("study.db", "endless view"),
}


def parameter(reader: str, attack: Attack) -> Any:
    """An attack, slow unless it is a telling one."""
    quick = attack.name in ON_EVERY_FILE or (reader, attack.name) in TELLING
    name = f"{reader}-{attack.kind}-{attack.name}".replace(" ", "_")
    return pytest.param(reader, attack, id=name, marks=() if quick else pytest.mark.slow)


def test_the_telling_attacks_are_there() -> None:
    assert {(reader, attack.name) for reader, attack in ATTACKS} >= TELLING


@pytest.mark.parametrize(("reader", "attack"), [parameter(*each) for each in ATTACKS])
def test_a_hostile_file_is_refused(home, capsys, monkeypatch, reader: str, attack: Attack) -> None:
    folder, command = READERS[reader]
    path = home / folder / reader
    attack.plant(path)
    if attack.name == "unreadable":
        refuse_to_open(monkeypatch, path)
    if reader in REPORTED:  # what else would be drawn only takes time
        for other in {"evaluation.json", "progress.csv"} - {reader}:
            (home / "run" / other).unlink()
    with watched(home.parent / "outside"):
        try:
            status = main(command.split())
        except SceneBuilt:
            status = 0
    out, err = capsys.readouterr()
    assert not list(home.parent.rglob("exploded"))
    assert "Traceback" not in err and "\x1b" not in out + err
    if (reader, attack.name) in SOUND:
        assert status == 0
        return
    if reader in REPORTED and status == 0:
        page = (home / "run" / "report.html").read_text()
        assert "<script" not in page and "years of work" not in page
        named = re.search(rf"{re.escape(reader)} (cannot be read|has |holds |is |does )", page)
        drawn = (reader, attack.name) in DRAWN or (reader == "policy.mp4" and "data:video" in page)
        assert bool(named) != drawn, "what is not shown is named, and what is shown is not"
        return
    assert status == 2, out + err
    lines = [line for line in err.splitlines() if line.startswith("genesis-gym: error: ")]
    assert len(lines) == 1 and err.rstrip().endswith(lines[0]) and len(lines[0]) < 1000
    assert "years of work" not in err
    assert not (home / "out").exists() or reader in ("stages.yaml",)


def refuse_to_open(monkeypatch, path: Path) -> None:
    """What the system does to a user who is not root."""
    opened, connected = Path.open, sqlite3.connect

    def refusing(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.resolve() == path.resolve():
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    def closed(database: Any, *arguments: Any, **options: Any) -> Any:
        if Path(str(database)).resolve() == path.resolve():
            raise sqlite3.OperationalError("unable to open database file")
        return connected(database, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    monkeypatch.setattr(sqlite3, "connect", closed)


def test_the_plan_and_the_search_space_are_sound_before_they_are_spoiled(home) -> None:
    """The commands that read these train, so that only their readers are called."""
    with watched(home.parent / "outside"):
        assert len(read_plan(home / "stages.yaml")) == 1
        assert read_space(home / "space.yaml", "PPO").keys() == {"gamma"}


@pytest.mark.parametrize("reader", [reader for reader, (folder, _) in READERS.items() if folder != "."])
def test_the_same_commands_take_sound_files(home, capsys, reader: str) -> None:
    """Without an attack nothing is refused, and SB3's archives beside it are not even opened."""
    with watched(home.parent / "outside"):
        assert main(READERS[reader][1].split()) == 0, capsys.readouterr().err
    assert not list(home.parent.rglob("exploded"))


# Names that lead to code


@pytest.fixture
def register(monkeypatch) -> Iterator[str]:
    """A module that registers a task when it is imported, as an honest user has one."""
    yield "import gymnasium\ngymnasium.register('My/Env-v0', entry_point='x:y', kwargs={'task': 'reach'})\n"
    gymnasium.registry.pop("My/Env-v0", None)
    sys.modules.pop("my_tasks", None)


def test_a_file_imports_nothing_and_says_what_to_type(home, capsys, monkeypatch, register) -> None:
    """The owner of a module names it once more, or has imported it already."""
    (home / "my_tasks.py").write_text(register)
    monkeypatch.syspath_prepend(str(home))
    config = {**CONFIG.model_dump(mode="json"), "env": "my_tasks:My/Env-v0"}
    (home / "run" / "config.json").write_text(json.dumps(config))
    words = ["evaluate", "home/run", "--episodes", "8"]
    assert main(words) == 2
    assert "if you trust the module, add --import my_tasks" in capsys.readouterr().err
    assert "my_tasks" not in sys.modules
    for command in ("play home/run --out x.mp4", "train --resume home/run", "train --config home/run/config.json"):
        assert main(command.split()) == 2 and "--import my_tasks" in capsys.readouterr().err
    assert not Path("runs").exists(), "no folder is left behind"
    assert main([*words, "--import", "my_tasks"]) == 0
    assert main(words) == 0, "it is imported by now"


def test_what_a_user_types_is_imported(home, monkeypatch, register) -> None:
    (home / "my_tasks.py").write_text(register)
    monkeypatch.syspath_prepend(str(home))
    assert main(["train", "--env", "my_tasks:My/Env-v9", "--out", "x"]) == 2, "there is no such environment in it"
    assert "my_tasks" in sys.modules
    assert find_spec("my_tasks:My/Env-v0").kwargs == {"task": "reach"}


@pytest.mark.parametrize("module", ["no_such_module", ".relative", "a\0b", "", "json.no_such"])
def test_a_module_that_is_none_is_one_line(home, capsys, module: str) -> None:
    assert main(["evaluate", "home/run", "--import", module]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_python_caller_imports_nothing_either() -> None:
    for env in ("antigravity:X-v0", "this:X-v0"):
        with pytest.raises(ArgumentError, match="not imported"):
            make_config(env)
        assert env.partition(":")[0] not in sys.modules


# Archives of SB3


@pytest.mark.parametrize("words", ["evaluate {}", "play {}", "report {}", "train --resume {}"])
@pytest.mark.parametrize("name", ["model.zip", "vec_normalize.pkl"])
def test_an_archive_is_not_loaded_and_the_way_by_hand_is_told(home, capsys, words: str, name: str) -> None:
    with watched(home.parent / "outside"):
        assert main(words.format(f"home/run/{name}").split()) == 2
    err = capsys.readouterr().err
    assert "unpickled" in err and "Give the run folder" in err and "--trust" in err
    assert not list(home.parent.rglob("exploded"))


def test_an_archive_begins_no_training(home) -> None:
    with watched(home.parent / "outside"), pytest.raises(RunFolderError, match="unpickled"):
        checkpoint.read_checkpoint(home / "run" / "model.zip")


# Writing into a stranger's folder


@pytest.mark.parametrize(
    "name",
    [
        "progress.csv",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("1.monitor.csv", "tensorboard", "report.html", "anything")
        ),
    ],
)
@pytest.mark.parametrize("words", ["train --resume home/run", "report home/run", "evaluate home/run"])
def test_nothing_is_written_through_a_link(home, capsys, name: str, words: str) -> None:
    path = home / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(home.parent / "outside" / "secret")
    with watched(home.parent / "outside"):
        assert main(words.split()) == 2
    assert f"{name} is a link, a pipe or a device" in capsys.readouterr().err


def test_a_stage_or_a_study_is_no_way_out(home, capsys) -> None:
    outside = home.parent / "outside"
    (home / "study" / "trials").symlink_to(outside)
    plan = parse_plan({"timesteps": 64, "stages": [{"env": "Genesis/FrankaReach-v0"}]})
    stages = home / "stages"
    stages.mkdir()
    (stages / "1-frankareach-v0").symlink_to(outside)
    with watched(outside):
        assert main(["tune", "--out", "home/study", "--timesteps", "512", "--trials", "2"]) == 2
        with pytest.raises(RunFolderError, match="is a link"):
            next(run_stages(plan, stages, pipeline.Console(quiet=True)))


def test_the_name_of_a_temporary_folder_cannot_be_known(tmp_path) -> None:
    """A link of that name would be written through."""
    names: list[str] = []
    for _ in range(2):
        write_whole(tmp_path / "file.txt", lambda path: (names.append(path.parent.name), path.write_text("")))
    assert names[0] != names[1] and all(name.endswith(".partial") for name in names)


def test_the_folder_itself_may_be_reached_by_a_link(home) -> None:
    (home / "latest").symlink_to(home / "run")
    assert read_config(home / "latest") == CONFIG


# Limits


def test_what_is_at_a_limit_is_allowed_and_what_is_beyond_is_not(tmp_path) -> None:
    path = tmp_path / "file.json"
    path.write_text('"' + "x" * (files.MAX_JSON - 2) + '"')
    assert len(files.read_json(path)) == files.MAX_JSON - 2
    path.write_text('"' + "x" * (files.MAX_JSON - 1) + '"')
    with pytest.raises(RunFolderError, match="1 MB are read"):
        files.read_json(path)


def test_a_file_that_tells_no_size_is_bounded_too() -> None:
    with pytest.raises(RunFolderError, match="at most"):
        files.read_file(Path("/proc/cpuinfo"), 3)


def test_a_plan_that_is_written_can_be_read(tmp_path) -> None:
    """Aliases are not read, and none are written."""
    stages = [{"env": "Genesis/FrankaReach-v0", "hyperparameters": {"learning_rate": 1e-5}}] * 3
    plan = parse_plan({"timesteps": 64, "randomization": {"payload": [0, 1]}, "stages": stages})
    with contextlib.suppress(ArgumentError):
        next(run_stages(plan, tmp_path, pipeline.Console(quiet=True), device="none"))
    assert read_plan(tmp_path / "stages.yaml") == plan


@pytest.mark.parametrize(
    "value", ["x\n\x1b[31m", pytest.param(10**5000, id="digits"), {"a": [[[[[[1]]]]]]}, "A" * 10**6]
)
def test_an_error_is_one_short_line(value: object) -> None:
    for call in (lambda: make_config(algorithm=value), lambda: make_config(reward_weights={"x": value})):
        with pytest.raises(GenesisGymError) as error:
            call()
        assert str(error.value).isprintable() and len(str(error.value)) < 1000


# A disk that is full


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond a size: a full disk for those who are not root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def longer(home: Path, timesteps: int = 512) -> None:
    """A run that has not come to its end."""
    config = CONFIG.model_copy(update={"timesteps": timesteps})
    (home / "run" / "config.json").write_text(config.model_dump_json())


@pytest.mark.parametrize("file", ["checkpoint.pt", "policy.safetensors", "best_policy.safetensors"])
def test_training_stops_at_a_full_disk_with_its_checkpoint_whole(home, capsys, monkeypatch, file: str) -> None:
    longer(home)
    monkeypatch.setattr(hooks, "CHECKPOINT_SECONDS", 0.0)
    before = {path: path.read_bytes() for path in (home / "run").iterdir() if path.is_file()}
    writers = {
        "checkpoint.pt": (hooks, "save_checkpoint"),
        "policy.safetensors": (train_module, "save_policy"),
        "best_policy.safetensors": (hooks, "save_policy"),
    }
    module, name = writers[file]
    write, resume = getattr(module, name), train_module.resume
    monkeypatch.setattr(train_module, "resume", lambda *run: (resume(*run), checkpoint.Score())[1])  # a new best

    def write_on_a_full_disk(*arguments: Any) -> None:
        with files_of_at_most(4_000):
            write(*arguments)

    monkeypatch.setattr(module, name, write_on_a_full_disk)
    assert main(["train", "--resume", "home/run", "--quiet"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert f"{file} cannot be written" in err and "genesis-gym train --resume home/run" in err
    assert (home / "run" / file).read_bytes() == before[home / "run" / file], "what was there is as it was"
    assert not list((home / "run").glob(".*")), "no temporary file is left"
    assert checkpoint.read_checkpoint(home / "run")["timesteps"] >= 128


def test_training_stops_when_its_log_cannot_grow(home, capsys) -> None:
    longer(home)
    with files_of_at_most((home / "run" / "progress.csv").stat().st_size + 100):
        assert main(["train", "--resume", "home/run", "--quiet"]) == 2
    err = capsys.readouterr().err
    assert "the run home/run stopped" in err and "Traceback" not in err
    assert not list((home / "run").glob(".*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize(
    "kilobytes", [50, *(pytest.param(size, marks=pytest.mark.slow) for size in (0, 8, 150, 250, 400))]
)
def test_training_stops_on_a_disk_that_is_full(home, capsys, kilobytes: int) -> None:
    disk = home / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {disk} 2>/dev/null"):
        pytest.skip("mounting is not allowed here")
    try:
        (disk / "filler").write_bytes(bytes((1024 - kilobytes) * 1024))
        words = (
            "--num-envs 8 --timesteps 512 --evaluate-every 128 --set n_steps=8 batch_size=64 n_epochs=1 --quiet"
        )
        assert main(["train", "--out", str(disk / "run"), *words.split()]) == 2
        err = capsys.readouterr().err
        assert "stopped" in err or "cannot be created" in err
        assert "No space left on device" in err and "Traceback" not in err
        assert not list(disk.rglob(".*"))
        if (disk / "run" / "checkpoint.pt").exists():
            checkpoint.read_checkpoint(disk / "run")
            assert "--resume" in err
    finally:
        os.system(f"umount -l {disk}")


def test_a_folder_that_may_not_be_written_to_is_one_line() -> None:
    with pytest.raises(WriteError, match=r"/proc/x\.json cannot be written"):
        write_whole(Path("/proc/x.json"), lambda path: path.write_text(""))
