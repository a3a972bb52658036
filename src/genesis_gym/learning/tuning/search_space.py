"""What is searched over: ranges and choices of an algorithm's hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import optuna
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    Strict,
    ValidationError,
    model_validator,
)

from genesis_gym.errors import ArgumentError, RunFolderError, check_choice, safe_repr
from genesis_gym.learning.config.hyperparameters import HYPERPARAMETERS
from genesis_gym.learning.config.train_config import make_config
from genesis_gym.learning.runs.files import read_yaml


class _Parameter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Range(_Parameter):
    low: Any
    high: Any
    log: bool = False

    @model_validator(mode="after")
    def _check_bounds(self) -> _Range:
        if self.low > self.high:
            raise ValueError(f"low={safe_repr(self.low)} is above high={safe_repr(self.high)}")
        if self.log and self.low <= 0:
            raise ValueError(f"low={safe_repr(self.low)} has no logarithm; with log it must be above 0")
        if self.log and "step" in self.model_fields_set:
            raise ValueError("log and step exclude each other")
        return self


class FloatRange(_Range):
    """A float from low to high, both included.

    Attributes:
        low: The least value.
        high: The greatest.
        log: Search on a logarithmic scale.
        step: Only low + k × step; None for any value.
    """

    type: Literal["float"] = "float"
    low: float
    high: float
    step: PositiveFloat | None = None

    def suggest(self, name: str, trial: optuna.Trial) -> float:
        """Let a trial draw a value under a name."""
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def extremes(self) -> Iterator[float]:
        """Values that are allowed if all are."""
        yield from (self.low, self.high)


class IntRange(_Range):
    """An integer from low to high, both included; attributes as those of `FloatRange`."""

    type: Literal["int"] = "int"
    low: int
    high: int
    step: PositiveInt = 1

    def suggest(self, name: str, trial: optuna.Trial) -> int:
        """Let a trial draw a value under a name."""
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def extremes(self) -> Iterator[int]:
        """Values that are allowed if all are."""
        yield from (self.low, self.high)


class Categorical(_Parameter):
    """One of several values.

    Attributes:
        choices: The values; a list, such as the widths of a network's layers, is one value.
    """

    type: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[Any, ...], Strict(False), Field(min_length=1)]

    def suggest(self, name: str, trial: optuna.Trial) -> Any:
        """Let a trial draw a value under a name."""
        # Optuna stores scalars only: a list is known to it by its text.
        labels = {str(list(c)) if isinstance(c, list | tuple) else c: c for c in self.choices}
        return labels[trial.suggest_categorical(name, list(labels))]

    def extremes(self) -> Iterator[Any]:
        """Values that are allowed if all are."""
        yield from self.choices


Parameter = FloatRange | IntRange | Categorical
PARAMETERS: dict[str, type[Parameter]] = {"float": FloatRange, "int": IntRange, "categorical": Categorical}

#: Hyperparameter → what it may be.
SearchSpace = Mapping[str, Parameter]

#: A search space in the form of a function: it draws from a trial and returns hyperparameters, name → value.
SpaceFunction = Callable[[optuna.Trial], Mapping[str, Any]]

_OFF_POLICY: dict[str, Parameter] = {
    "learning_rate": FloatRange(low=1e-4, high=3e-3, log=True),
    "batch_size": Categorical(choices=(128, 256, 512)),
    "tau": FloatRange(low=0.002, high=0.05, log=True),
    "gamma": Categorical(choices=(0.95, 0.98, 0.99)),
}

#: Algorithm → its default search space. PPO's is the training guide's, to the letter; SAC's and TD3's span their
#: presets `guide` and `default`.
SPACES: dict[str, SearchSpace] = {
    "PPO": {
        "learning_rate": FloatRange(low=1e-5, high=1e-3, log=True),
        "n_steps": Categorical(choices=(512, 1024, 2048)),
        "batch_size": Categorical(choices=(32, 64, 128)),
    },
    "SAC": _OFF_POLICY,
    "TD3": {**_OFF_POLICY, "action_noise_std": FloatRange(low=0.05, high=0.5)},
}


def read_space(path: Path, algorithm: str) -> SearchSpace:
    """Read a search space from a YAML file.

    It looks like this::

        learning_rate: {type: float, low: 1e-5, high: 1e-3, log: true}
        n_epochs: {type: int, low: 3, high: 10}
        net_arch: {type: categorical, choices: [[64, 64], [128, 128]]}

    Args:
        path: The file.
        algorithm: A key of `HYPERPARAMETERS`.

    Returns:
        The search space.

    Raises:
        ArgumentError: The file cannot be read, or what it holds is no search space for the algorithm.
    """
    try:
        data = read_yaml(path)
    except RunFolderError as error:
        raise ArgumentError(f"--space {error}") from error
    return parse_space(data, algorithm, str(path))


def parse_space(data: Any, algorithm: str, source: str) -> SearchSpace:
    """Validate a search space.

    Args:
        data: Hyperparameter → a `Parameter`, or a mapping with `type` and that type's attributes.
        algorithm: A key of `HYPERPARAMETERS`, which knows the names and what each may be.
        source: Where it comes from, for the error.

    Returns:
        The search space.

    Raises:
        ArgumentError: A name is unknown, for which the nearest is suggested, or an entry is ill-typed.
    """
    if not isinstance(data, Mapping) or not data:
        raise ArgumentError(f"{source} is no search space: write NAME: {{type: float, low: 0.1, high: 0.2}}")
    for name in data:
        check_choice(f"{source}: hyperparameter", name, HYPERPARAMETERS[algorithm].model_fields)
    space = {name: _parse_parameter(entry, f"{source}: {name}") for name, entry in data.items()}
    for name, parameter in space.items():
        for value in parameter.extremes():
            try:
                make_config(algorithm=algorithm, hyperparameters={name: value})
            except ArgumentError as error:
                raise ArgumentError(f"{source}: {error}") from error
    return space


def _parse_parameter(entry: Any, source: str) -> Parameter:
    if isinstance(entry, Parameter):
        return entry
    if not isinstance(entry, Mapping):
        raise ArgumentError(
            f"{source}={safe_repr(entry)} is not allowed; write {{type: float, low: 0.1, high: 0.2}}"
        )
    check_choice(f"{source}: type", entry.get("type"), PARAMETERS)
    kind = PARAMETERS[entry["type"]]
    for key in entry:
        check_choice(f"{source}: {entry['type']} entry", key, kind.model_fields)
    try:
        return kind.model_validate(dict(entry))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ArgumentError(
            f"{source}: {where + ': ' if where else ''}{message[:1].lower()}{message[1:]}"
        ) from error
