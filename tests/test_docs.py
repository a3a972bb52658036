"""The documentation is code: every block runs, in the order of its page, in a folder of its own."""

from __future__ import annotations

import re
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
import tyro

from genesis_gym.cli.main import OPTIONS, Command, main
from genesis_gym.learning.config.train_config import TrainConfig, change_config
from genesis_gym.learning.pipeline import run as pipeline
from genesis_gym.learning.tuning import tune
from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.tools import selfcheck

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: What a shortened training has at most.
MOST = {"num_envs": 8, "timesteps": 256, "evaluate_every": 128}
MOST_HYPERPARAMETERS = {
    "n_steps": 16,
    "num_steps_per_env": 16,
    "batch_size": 64,
    "learning_starts": 64,
    "buffer_size": 2_000,
}

#: Commands whose own tests run them, in processes of their own: they end Genesis, install, or are several.
ELSEWHERE = ("make", "genesis-gym warmup", "python", "torchrun", "OMP_NUM_THREADS=")


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """Language and text of each block of a page."""
    return re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.DOTALL)


def shorten(config: TrainConfig) -> TrainConfig:
    values = {name: min(value, most) for name, most in MOST.items() if (value := getattr(config, name))}
    hyperparameters = {
        name: min(getattr(config.hyperparameters, name), most)
        for name, most in MOST_HYPERPARAMETERS.items()
        if hasattr(config.hyperparameters, name)
    }
    return change_config(config, **values, hyperparameters=hyperparameters)


@pytest.fixture
def shortened(monkeypatch, tmp_path) -> Iterator[None]:
    """Everything runs for real, for a few steps: nothing is skipped or replaced."""
    from stable_baselines3 import PPO

    run, search, learn = pipeline.run_pipeline, tune.tune, PPO.learn

    def short_run(config, *args, **kwargs):
        return run(shorten(config), *args, **kwargs)

    def short_search(config, folder, *, trials=2, **kwargs):
        config = config.model_copy(update={"timesteps": 512, "num_envs": min(config.num_envs, 8)})
        return search(config, folder, trials=min(trials, 2), **kwargs)

    def short_learn(self, total_timesteps, *args, **kwargs):
        return learn(self, min(total_timesteps, 256), *args, **kwargs)

    monkeypatch.setattr(pipeline, "run_pipeline", short_run)
    monkeypatch.setattr(tune, "tune", short_search)
    monkeypatch.setattr(PPO, "learn", short_learn)
    monkeypatch.setattr(pipeline, "VIDEO_EPISODES", 2)
    monkeypatch.setattr(selfcheck, "SECONDS", 0.2)
    for env_id in ENVIRONMENTS:
        if gymnasium.spec(env_id).max_episode_steps == 100 and "Stack" not in env_id:  # a grasp needs its time
            monkeypatch.setattr(gymnasium.spec(env_id), "max_episode_steps", 12)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.chdir(tmp_path)
    before = set(gymnasium.registry)
    yield
    for env_id in set(gymnasium.registry) - before:
        del gymnasium.registry[env_id]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page: Path, shortened, monkeypatch) -> None:
    for number, (language, text) in enumerate(blocks_of(page), start=1):
        where = f"{page.name}, block {number}"
        if language == "python":
            module = types.ModuleType("__main__")
            monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
            exec(compile(text, where, "exec"), module.__dict__)
        elif language == "bash":
            for line in text.splitlines():
                run_line(line, where)
        elif language == "yaml":
            name = re.match(r"# (\w+\.yaml)", text)
            Path(name[1] if name else "space.yaml").write_text(text)
        else:
            pytest.fail(f"{where} is in {language}, which nothing runs")


def run_line(line: str, where: str) -> None:
    words = shlex.split(line, comments=True)
    if not words:
        return
    if not line.startswith(ELSEWHERE):
        assert words[0] == "genesis-gym", f"{where}: {line}"
        assert main(words[1:]) == 0, f"{where}: {line}"
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"{where}: {line}"
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), f"{where}: {line}"
    else:
        program = "genesis_gym" if words[0] == "torchrun" else "genesis-gym"
        tyro.cli(Command, args=words[words.index(program) + 1 :], config=OPTIONS)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text()
        for link, _, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(#([^)]+))?\)", text):
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{page.name}: {link}#{anchor}"
