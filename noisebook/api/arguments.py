"""What functions of the facade take: values of a neighbouring type become the right one, others are refused by name.

The error says which argument it is, what to pass, and what was passed: `AudioError` for sounds, `StreamError` for
streams, `ConfigError` for the rest.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from noisebook.audio.waveform import Sound, Waveform, as_sound
from noisebook.errors import AudioError, ConfigError, StreamError
from noisebook.options import KINDS as PLAIN_KINDS
from noisebook.options import Kind, Options, kind_of, wrong

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

P = ParamSpec("P")
R = TypeVar("R")


def _place(name: str, value: Any) -> Path | str:
    if not isinstance(value, str | os.PathLike):
        raise wrong(name, "a name or a path", value)
    return value if isinstance(value, str) else Path(value)


def _callback(name: str, value: Any) -> Any:
    if not callable(value):
        raise wrong(name, "a function of (steps done, steps in all)", value)
    return value


def _backend(name: str, value: Any) -> Any:
    if isinstance(value, str | os.PathLike):
        raise ConfigError(f"{name} is a model that is loaded: noisebook.load_backend({str(value)!r})")
    if not (hasattr(value, "info") and hasattr(value, "denoise")):
        raise wrong(name, "a model from noisebook.load_backend()", value)
    return value


def _with(attribute: str, wanted: str) -> Kind:
    """Of objects that are known by an attribute, so that their modules need not be imported."""

    def kind(name: str, value: Any) -> Any:
        if not hasattr(value, attribute):
            raise wrong(name, wanted, value)
        return value

    return kind


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str | os.PathLike):
        raise StreamError(f"{name} is the bytes of a stream, and not its name: Path({str(value)!r}).read_bytes()")
    if hasattr(value, "read"):
        raise StreamError(f"{name} is the bytes of a stream, and not a file: give {name}.read() of one opened as 'rb'")
    raise wrong(name, "the bytes of a stream", value, StreamError)


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
        raise wrong(name, "a Waveform, or an array of real numbers, [N] or [C, N]", value, AudioError)
    return array


def _sound_or_stream(name: str, value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else _sound(name, value)


def _waveform(name: str, value: Any) -> Any:
    if isinstance(value, Sound):
        return value
    raise wrong(name, "a Waveform: noisebook.Waveform.of(array, sample_rate)", value, AudioError)


def _several_sounds(name: str, value: Any) -> Iterator[Any]:
    if isinstance(value, Sound | str | bytes | os.PathLike) or not isinstance(value, Iterable):
        raise wrong(name, "several sounds: a list of Waveforms", value, AudioError)
    return (_waveform(f"each of {name}", one) for one in value)  # one at a time: there may be hours


# By what an annotation allows beside None; plain values as of options.
KINDS: dict[frozenset[str], Kind] = {
    **PLAIN_KINDS,
    frozenset({"str", "Path"}): _place,
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
}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function check its arguments by their annotations (`KINDS`) before it runs.

    A value of a neighbouring type is taken for what it says: numbers of numpy, paths as names, the number of a preset
    for its name, bytearrays as bytes, arrays of torch. Any other raises an error that names the argument, what to pass,
    and what was passed.

    Keywords of a function with `**keywords` are options: they change the `Options` among its arguments, of several the
    first that has them. Its docstring is completed with them.
    """
    signature = inspect.signature(function)
    kinds = {name: kind_of(parameter.annotation, KINDS) for name, parameter in signature.parameters.items()}
    changed = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if isinstance(parameter.default, Options)
    }

    @wraps(function)
    def call(*arguments: P.args, **given: P.kwargs) -> R:
        bound = signature.bind(*arguments, **given)
        keywords = bound.arguments.pop("keywords", {}) if changed else {}
        for name, value in bound.arguments.items():
            kind, can_lack = kinds[name]
            if name in changed and not isinstance(value, type(changed[name])):
                raise wrong(name, f"a noisebook.{type(changed[name]).__name__}", value)
            if kind is None or (value is None and can_lack):
                continue
            several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
            bound.arguments[name] = tuple(kind(name, one) for one in value) if several else kind(name, value)
        for name, default in changed.items():
            own = {key: keywords.pop(key) for key in default.names() if key in keywords}
            last = name == next(reversed(changed))  # it has the error for what no one knows
            bound.arguments[name] = bound.arguments.get(name, default).replaced(**own, **(keywords if last else {}))
        return function(*bound.args, **bound.kwargs)

    if call.__doc__ and changed:
        listed = (f"    {line}" for default in changed.values() for line in default.described())
        call.__doc__ = "\n".join([call.__doc__.rstrip(), "", "    Options:", *listed, ""])
    return call


@checked
def as_waveform(waveform: Sound | ArrayLike, sample_rate: int | None) -> Waveform:
    """A `Waveform`: from a sound that is not held whole, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.

    Raises:
        AudioError: no sound.
        ConfigError: an array without a rate, or a rate that disagrees with the sound's.
    """
    from noisebook.audio.resample import resample

    sound = as_sound(waveform, sample_rate)
    return resample(sound, sound.sample_rate)
