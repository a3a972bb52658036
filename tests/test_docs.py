"""Every code block of the documentation runs."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import gymnasium
import pytest
import tyro

from genesis_gym.cli.main import OPTIONS, Command

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[object]:
    """Code blocks of a language, named by page and number."""
    found = []
    for page in PAGES:
        codes = re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
        found += [pytest.param(code, id=f"{page.stem}-{i}") for i, code in enumerate(codes)]
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python_block_runs(monkeypatch, code: str) -> None:
    module = types.ModuleType("documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    before = set(gymnasium.registry)
    try:
        exec(compile(code, module.__name__, "exec"), module.__dict__)
    finally:
        for env_id in set(gymnasium.registry) - before:
            del gymnasium.registry[env_id]


@pytest.mark.parametrize("code", blocks("bash"))
def test_commands_of_a_bash_block_exist(code: str) -> None:
    """Each line is a target of the Makefile, a script of the repository, or a valid genesis-gym command."""
    makefile = (ROOT / "Makefile").read_text()
    for line in code.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
        elif words[0] == "genesis-gym":
            tyro.cli(Command, args=words[1:], config=OPTIONS)
        else:
            assert words[0] == "python" and (ROOT / words[1]).is_file(), line


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
