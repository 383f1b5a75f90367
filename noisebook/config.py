"""Frozen dataclasses from plain dictionaries, with strict keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from noisebook.errors import ConfigError

T = TypeVar("T")


def from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build `cls` from `values`; lists become tuples.

    Raises:
        ConfigError: a key that `cls` does not have, or a missing one that has no default.
    """
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"{cls.__name__} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    try:
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
    except TypeError as error:
        raise ConfigError(f"{cls.__name__}: {error}") from error
