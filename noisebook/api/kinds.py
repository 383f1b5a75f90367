"""How an argument of each kind is checked: from its name and value to what the function takes.

A value of a neighbouring type becomes the right one; any other raises what says which argument it is, what to pass, and
what was passed: `AudioError` for sounds, `StreamError` for streams, `ConfigError` for the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from noisebook.audio.waveform import Sound
from noisebook.errors import AudioError, ConfigError, Error, StreamError

__all__ = ["KINDS", "Kind"]

Kind = Callable[[str, Any], Any]
_SHOWN = 40  # characters of a wrong value


def _wrong(name: str, wanted: str, value: Any, error: type[Error] = ConfigError) -> Error:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return error(f"{name} is {wanted}, not {type(value).__name__}: {' '.join(shown.split())}")


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or value != value // 1:
        raise _wrong(name, "a whole number", value)
    return int(float(value)) if not isinstance(value, Integral) else int(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise _wrong(name, "a number", value)
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_ | Integral) or value not in (0, 1):
        raise _wrong(name, "True or False", value)
    return bool(value)


def _text(name: str, value: Any) -> str:
    """A name: also of a path, and of the devices and types of torch, which is not imported for that."""
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if type(value).__module__ == "torch" and type(value).__name__ in ("device", "dtype"):
        return str(value).removeprefix("torch.")
    raise _wrong(name, "a text", value)


def _name_or_number(name: str, value: Any) -> str:
    """A preset is named by its bitrate, so its number will do."""
    return str(_whole(name, value)) if isinstance(value, Real) else _text(name, value)


def _place(name: str, value: Any) -> Path | str:
    if not isinstance(value, str | os.PathLike):
        raise _wrong(name, "a name or a path", value)
    return value if isinstance(value, str) else Path(value)


def _codebook(name: str, value: Any) -> Any:
    if isinstance(value, str | os.PathLike):
        return _place(name, value)
    if not (hasattr(value, "config") and hasattr(value, "fingerprint")):
        raise _wrong(name, "a codebook from load_codebook, or the name or path of one", value)
    return value


def _callback(name: str, value: Any) -> Any:
    if not callable(value):
        raise _wrong(name, "a function of (steps done, steps in all)", value)
    return value


def _backend(name: str, value: Any) -> Any:
    if isinstance(value, str | os.PathLike):
        raise ConfigError(f"{name} is a model that is loaded: noisebook.load_backend({str(value)!r})")
    if not (hasattr(value, "info") and hasattr(value, "denoise")):
        raise _wrong(name, "a model from noisebook.load_backend()", value)
    return value


def _with(attribute: str, wanted: str) -> Kind:
    """Of objects that are known by an attribute, so that their modules need not be imported."""

    def kind(name: str, value: Any) -> Any:
        if not hasattr(value, attribute):
            raise _wrong(name, wanted, value)
        return value

    return kind


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str | os.PathLike):
        raise StreamError(f"{name} is the bytes of a stream, and not its name: Path({str(value)!r}).read_bytes()")
    if hasattr(value, "read"):
        raise StreamError(f"{name} is the bytes of a stream, and not a file: give {name}.read() of one opened as 'rb'")
    raise _wrong(name, "the bytes of a stream", value, StreamError)


def _sound(name: str, value: Any) -> Any:
    """A sound, or an array that can be one; anything but its numbers is checked here."""
    if isinstance(value, Sound):
        return value
    if isinstance(value, str | os.PathLike):
        raise AudioError(f"{name} is a sound, and not the name of one: noisebook.audio.io.read({str(value)!r})")
    if isinstance(value, bytes | bytearray | memoryview):
        raise AudioError(f"{name} is a sound, and these are bytes: decompress makes a sound of a stream")
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Integral) and np.ndim(value[0]):
        raise AudioError(f"{name} is a sound, and this is one with its rate: give the array and the rate apart")
    if hasattr(value, "detach"):  # of torch
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError:  # rows of unequal length
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf" or not array.ndim:
        raise _wrong(name, "a Waveform, or an array of real numbers, [N] or [C, N]", value, AudioError)
    return array


def _sound_or_stream(name: str, value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else _sound(name, value)


def _waveform(name: str, value: Any) -> Any:
    if isinstance(value, Sound):
        return value
    raise _wrong(name, "a Waveform: noisebook.Waveform.of(array, sample_rate)", value, AudioError)


def _several_sounds(name: str, value: Any) -> Iterator[Any]:
    if isinstance(value, Sound | str | bytes | os.PathLike) or not isinstance(value, Iterable):
        raise _wrong(name, "several sounds: a list of Waveforms", value, AudioError)
    return (_waveform(f"each of {name}", one) for one in value)  # one at a time: there may be hours


def _several(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        raise _wrong(name, "a list", value)
    return tuple(value)


def _names(name: str, value: Any) -> tuple[str, ...]:
    return tuple(_text(f"each of {name}", one) for one in _several(name, value))


def _gaps(name: str, value: Any) -> tuple[tuple[float, float], ...]:
    pairs = [_several(f"each of {name}", one) for one in _several(name, value)]
    if any(len(pair) != 2 for pair in pairs):
        raise _wrong(name, "a list of (start, end) in seconds", value)
    return tuple((_number(name, start), _number(name, end)) for start, end in pairs)


def _priorities(name: str, value: Any) -> tuple[Any, ...]:
    several = _several(name, value)
    for one in several:
        if not hasattr(one, "weight"):
            raise _wrong(f"each of {name}", "a noisebook.codec.aiming.Priority", one)
    return several


# By what an annotation allows beside None.
KINDS: dict[frozenset[str], Kind] = {
    frozenset({"int"}): _whole,
    frozenset({"float"}): _number,
    frozenset({"bool"}): _flag,
    frozenset({"str"}): _text,
    frozenset({"str", "int"}): _name_or_number,
    frozenset({"str", "Path"}): _place,
    frozenset({"LatentCodebook", "str", "Path"}): _codebook,
    frozenset({"LatentCodebook", "CodebookRecord"}): _codebook,
    frozenset({"OnStep"}): _callback,
    frozenset({"Backend"}): _backend,
    frozenset({"BackendInfo"}): _with("fingerprint", "the info of a backend (backend.info), or from api.model_info"),
    frozenset({"Header"}): _with("channel_mode", "a header, as container.parse_header reads one"),
    frozenset({"Curve"}): _with("timesteps", "a curve from api.calibrate"),
    frozenset({"bytes"}): _bytes,
    frozenset({"Sound", "ArrayLike"}): _sound,
    frozenset({"Waveform", "ArrayLike"}): _sound,
    frozenset({"Waveform", "ArrayLike", "bytes"}): _sound_or_stream,
    frozenset({"Waveform"}): _waveform,
    frozenset({"Iterable[Waveform]"}): _several_sounds,
    frozenset({"Sequence[str]"}): _names,
    frozenset({"Sequence[tuple[float, float]]"}): _gaps,
    frozenset({"Sequence[Priority]"}): _priorities,
}
