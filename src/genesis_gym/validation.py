"""Declarations checked field by field, with errors that name the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from genesis_gym.errors import ArgumentError, check_choice, safe_repr

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], name: str, given: object) -> Model:
    """Make a declaration from its fields.

    Args:
        model: The declaration's class.
        name: What the argument is called where the user wrote it.
        given: The fields, or a declaration, which passes through.

    Returns:
        The declaration.

    Raises:
        ArgumentError: A field is unknown, for which the nearest is suggested, or its value is not allowed.
    """
    if isinstance(given, model):
        return given
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"{name}={safe_repr(given)} is not allowed; it must be a mapping or a {model.__name__}"
        )
    for field in given:
        check_choice(name, field, model.model_fields)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ArgumentError(f"{name}: {_describe(error)}") from error


def _describe(error: ValidationError) -> str:
    """Tell the first thing that is wrong, in one line."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    message = f"{message[:1].lower()}{message[1:]}"
    where = ".".join(str(part)[:100] for part in first["loc"])
    return f"{where}={safe_repr(first['input'])} is not allowed: {message}" if where else message
