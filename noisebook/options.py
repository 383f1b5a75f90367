"""Options, written once: a frozen dataclass whose fields carry their help, range and choices.

    @dataclass(frozen=True)
    class EncodeOptions(Options):
        seed: int = option(0, "Of all random numbers.", low=0, high=255)

From such a class are made the options of a command (`cli._options.options_of`) and the keywords of a function of the
facade (`api.arguments.checked`); `Options` checks every value when one is made, so nothing after it has to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, ClassVar, Self, TypeVar

from noisebook.errors import ConfigError, Error

OnStep = Callable[[int, int], None]  # (steps done, steps in all), of whatever takes long
T = TypeVar("T")
Kind = Callable[[str, Any], Any]  # (name, value) -> the value as the type that is wanted
_SHOWN = 40  # characters of a wrong value


@dataclass(frozen=True)
class Option:
    """What is known of an option beside its type and default."""

    help: str  # a sentence, for the command line and for `help()`
    choices: tuple[str, ...] | None = None  # all that is possible, where it is a list
    low: float | None = None  # the least of a number
    high: float | None = None  # the most
    above: float | None = None  # what it has to be above
    flags: tuple[str, ...] = ()  # of the command line, beside the long one that its name gives, or with it
    metavar: str | None = None  # its value in help texts
    parse: Callable[[str], Any] | None = None  # from a word of the command line; raises ValueError
    command_line: bool = True  # whether the command line has it

    @classmethod
    def of(cls, entry: Field[Any]) -> Option:
        """That of a field made by `option`."""
        return entry.metadata["option"]

    def check(self, name: str, value: Any) -> None:
        """Raise ConfigError for a value that is none of the choices, or out of range."""
        if self.choices is not None:
            for one in value if isinstance(value, tuple) else (value,):
                if one not in self.choices:
                    raise ConfigError(f"{name} {one!r}: {', '.join(c or 'none' for c in self.choices)} are possible")
        elif self.above is not None and not value > self.above:
            raise ConfigError(f"{name} {value:g}: above {self.above:g} is possible")
        elif not ((self.low is None or value >= self.low) and (self.high is None or value <= self.high)):
            allowed = f"at least {self.low:g} is" if self.high is None else f"{self.low or 0:g} to {self.high:g} are"
            raise ConfigError(f"{name} {value:g}: {allowed} possible")


def option(default: Any, help: str, **known: Any) -> Any:
    """A field of an `Options` class: its default, its help and what else an `Option` knows."""
    return field(default=default, metadata={"option": Option(help, **known)})


def again(cls: type[Options], name: str, help: str | None = None) -> Any:
    """The field that another class has already, with other help where it means something else."""
    entry = next(entry for entry in fields(cls) if entry.name == name)  # type: ignore[arg-type]
    known = Option.of(entry)
    return field(default=entry.default, metadata={"option": known if help is None else replace(known, help=help)})


class Options:
    """Base of frozen dataclasses whose fields are made by `option`.

    A value of a neighbouring type becomes the right one: numbers of numpy, paths as names, lists as tuples.

    Raises:
        ConfigError: a value of another type, outside its range, or none of the choices.
    """

    kinds: ClassVar[dict[frozenset[str], Kind]]  # KINDS, and what a class has beside

    def __post_init__(self) -> None:
        for entry in fields(self):  # type: ignore[arg-type]
            value, (kind, can_lack) = getattr(self, entry.name), kind_of(entry.type, self.kinds)
            if value is None and can_lack:
                continue
            if kind is not None:
                value = kind(entry.name, value)
                object.__setattr__(self, entry.name, value)
            Option.of(entry).check(entry.name, value)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of all options."""
        return tuple(entry.name for entry in fields(cls))  # type: ignore[arg-type]

    @classmethod
    def among(cls, values: Mapping[str, Any]) -> Self:
        """Those of a command's values that are options of this class, and defaults for the others."""
        entries = [entry for entry in fields(cls) if Option.of(entry).command_line]  # type: ignore[arg-type]
        return cls(**{entry.name: values[entry.name] for entry in entries if entry.name in values})

    def replaced(self, **values: Any) -> Self:
        """The same with other values.

        Raises:
            ConfigError: a value that is not possible, or an option that there is not.
        """
        for name in values:
            if name not in self.names():
                near = get_close_matches(name, self.names(), 1)
                meant = f" (did you mean {near[0]}?)" if near else ""
                raise ConfigError(f"there is no option {name}{meant}; there are {', '.join(self.names())}")
        return replace(self, **values)  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """The options that are not the default, as JSON can hold them; given as keywords they make the same again."""
        return {
            entry.name: _plain(getattr(self, entry.name))
            for entry in fields(self)  # type: ignore[arg-type]
            if getattr(self, entry.name) != entry.default
        }

    @classmethod
    def described(cls) -> list[str]:
        """Lines on each option, for docstrings."""
        return [f"    {entry.name}: {Option.of(entry).help}" for entry in fields(cls)]  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def named(what: str, rows: Iterable[T], name: str, listed: str) -> T:
    """The row of a table with that name.

    Raises:
        ConfigError: there is none; says which there are, as listed.
    """
    for row in rows:
        if getattr(row, "name", None) == name:
            return row
    raise ConfigError(f"{what} {name!r}: there are {listed}")


def wrong(name: str, wanted: str, value: Any, error: type[Error] = ConfigError) -> Error:
    """The error for an argument of a wrong type."""
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return error(f"{name} is {wanted}, not {type(value).__name__}: {' '.join(shown.split())}")


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")  # numpy has its own


def whole(name: str, value: Any) -> int:
    """A whole number, also as a float."""
    if _is_truth(value) or not isinstance(value, Real) or value != value // 1:
        raise wrong(name, "a whole number", value)
    return int(float(value)) if not isinstance(value, Integral) else int(value)


def number(name: str, value: Any) -> float:
    """A real number."""
    if _is_truth(value) or not isinstance(value, Real):
        raise wrong(name, "a number", value)
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if not (_is_truth(value) or isinstance(value, Integral)) or value not in (0, 1):
        raise wrong(name, "True or False", value)
    return bool(value)


def text(name: str, value: Any) -> str:
    """A name: also of a path, and of the devices and types of torch, which is not imported for that."""
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if type(value).__module__ == "torch" and type(value).__name__ in ("device", "dtype"):
        return str(value).removeprefix("torch.")
    raise wrong(name, "a text", value)


def _name_or_number(name: str, value: Any) -> str:
    """A preset is named by its bitrate, so its number will do."""
    return str(whole(name, value)) if isinstance(value, Real) else text(name, value)


def several(name: str, value: Any) -> tuple[Any, ...]:
    """The values of a list."""
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        raise wrong(name, "a list", value)
    return tuple(value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    return tuple(text(f"each of {name}", one) for one in several(name, value))


def _spans(name: str, value: Any) -> tuple[tuple[float, float], ...]:
    pairs = [several(f"each of {name}", one) for one in several(name, value)]
    if any(len(pair) != 2 for pair in pairs):
        raise wrong(name, "a list of (start, end) in seconds", value)
    return tuple((number(name, start), number(name, end)) for start, end in pairs)


def _codebook(name: str, value: Any) -> Any:
    if isinstance(value, str | os.PathLike) or (hasattr(value, "config") and hasattr(value, "fingerprint")):
        return value
    raise wrong(name, "a codebook from load_codebook, or the name or path of one", value)


# How a value is checked, by what its annotation allows beside None.
KINDS: dict[frozenset[str], Kind] = {
    frozenset({"int"}): whole,
    frozenset({"float"}): number,
    frozenset({"bool"}): _flag,
    frozenset({"str"}): text,
    frozenset({"str", "int"}): _name_or_number,
    frozenset({"tuple[str, ...]"}): _texts,
    frozenset({"Sequence[str]"}): _texts,
    frozenset({"tuple[tuple[float, float], ...]"}): _spans,
    frozenset({"LatentCodebook", "str", "Path"}): _codebook,
    frozenset({"LatentCodebook", "CodebookRecord"}): _codebook,
}
Options.kinds = KINDS


def kind_of(annotation: Any, kinds: Mapping[frozenset[str], Kind]) -> tuple[Kind | None, bool]:
    """How a value with that annotation is checked, and whether it may be None."""
    alternatives = frozenset(str(annotation).split(" | "))
    return kinds.get(alternatives - {"None"}), "None" in alternatives
