"""What functions of the facade take: values of a neighbouring type become the right one, others are refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from noisebook.api.kinds import KINDS
from noisebook.audio.waveform import Sound, Waveform
from noisebook.errors import ConfigError
from noisebook.options import OnStep, Options, kind_of, wrong

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["OnStep", "as_sound", "as_waveform", "checked"]

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function check its arguments by their annotations (`kinds.KINDS`) before it runs.

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


def as_sound(sound: Sound | ArrayLike, sample_rate: int | None) -> Sound:
    """The sound as it is, or a `Waveform` of an array; arguments and errors as of `as_waveform`."""
    if isinstance(sound, Sound):
        if sample_rate not in (None, sound.sample_rate):
            raise ConfigError(f"sample_rate {sample_rate} disagrees with the waveform's {sound.sample_rate}")
        return sound
    if sample_rate is None:
        raise ConfigError("an array needs its sample_rate in Hz")
    return Waveform.of(sound, sample_rate)
