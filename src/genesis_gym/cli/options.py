"""Options and output that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, UseAppendAction, arg

from genesis_gym.errors import ArgumentError, check_choice
from genesis_gym.registration import ENVIRONMENTS

DEFAULT_ENV = next(iter(ENVIRONMENTS))

Device = Annotated[str, arg(help="auto, cpu or gpu.")]
Out = Annotated[Path | None, arg(help="Run folder to create; it must not exist. Default: a new one in runs/.")]
Seed = Annotated[int, arg(help="Seed of the training; its environments share no seed with those of another.")]
Best = Annotated[bool, arg(help="Use the best policy of the evaluations during training instead of the last.")]
Run = Annotated[Positional[Path], arg(name="run", help="Run folder, or with --trust an SB3 .zip in it.")]
Trust = Annotated[bool, arg(help="Unpickle an SB3 .zip, which runs any code in it.")]
Pairs = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...")]
Imports = Annotated[
    tuple[str, ...],
    UseAppendAction,
    arg(
        name="import",
        metavar="MODULE",
        help="Module to import that registers environments; files never import any.",
    ),
]
Quiet = Annotated[bool, arg(help="Print only the result.")]


def check_device(device: str) -> None:
    """Refuse an unknown `--device` before anything heavy is imported."""
    from genesis_gym.runtime import DEVICES

    check_choice("device", device, DEVICES)


def check_run(run: Path, *, trust: bool) -> None:
    """Refuse what is no run folder before anything heavy is imported."""
    from genesis_gym.learning.runs.folder import locate, read_config

    read_config(locate(run, trust=trust)[0])


def import_modules(modules: Iterable[str], env: str | None = None) -> None:
    """Import the modules that the user has typed. Nothing else imports a module: ids in files are not trusted.

    The current folder is searched too, after the installed packages, so that a file there hides none of them.

    Args:
        modules: Modules that register environments.
        env: An id that the user has typed; the module before its colon is imported, too.

    Raises:
        ArgumentError: A module cannot be imported.
    """
    prefix = (env or "").rpartition(":")[0]
    typed = [*modules, *([prefix] if prefix else [])]
    here = str(Path.cwd()) if typed else ""
    if typed and here not in sys.path:
        sys.path.append(here)
    for module in typed:
        try:
            import_module(module)
        except (ImportError, TypeError, ValueError) as error:  # TypeError, ValueError: no name of a module
            raise ArgumentError(f"the module {module!r} cannot be imported: {error}") from error


def parse_pairs(option: str, words: tuple[str, ...]) -> dict[str, Any]:
    """Read words such as `learning_rate=3e-4` or `payload=0,0.5`.

    Args:
        option: The option that they follow, for the error.
        words: `NAME=VALUE` each; a value is a number, `true`, `false`, a text, or several joined by commas
            (`64,` is a list of one).

    Returns:
        Name → value; several values are a list.

    Raises:
        ArgumentError: A word has no `=`, or names something twice.
    """
    pairs: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ArgumentError(f"{option} {word!r} is not allowed; write NAME=VALUE")
        if name in pairs:
            raise ArgumentError(f"{option} names {name!r} twice")
        parts = [_parse_value(part) for part in value.split(",") if part]
        pairs[name] = parts if "," in value else parts[0]
    return pairs


def _parse_value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def print_table(figures: dict[str, object]) -> None:
    """Print figures on standard output, one on each line.

    Args:
        figures: Name → value.
    """
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in figures.items():
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        table.add_row(Text(name.replace("_", " ")), Text(text))  # never read as markup
    Console(highlight=False).print(table)
