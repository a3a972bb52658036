"""Options and output that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table
from tyro.conf import arg

from genesis_gym.errors import ArgumentError
from genesis_gym.registration import ENVIRONMENTS

DEFAULT_ENV = next(iter(ENVIRONMENTS))

Device = Annotated[str, arg(help="auto, cpu or gpu.")]
Out = Annotated[
    Path | None, arg(help="Run folder to create; it must not exist. Default: a fresh one below runs/.")
]
Seed = Annotated[int, arg(help="Seed of the policy and of row 0; row i has seed + i.")]
Best = Annotated[bool, arg(help="Take the best policy of the evaluations during training, not the last.")]
Pairs = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...")]
Quiet = Annotated[bool, arg(help="Show the result and nothing else.")]


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
        table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    Console(highlight=False).print(table)
