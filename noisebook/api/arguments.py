"""What functions of the facade take: values of a neighbouring type become the right one, others are refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from noisebook.api.kinds import KINDS, Kind
from noisebook.audio.waveform import Sound, Waveform
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["OnStep", "as_sound", "as_waveform", "checked", "codebook_of"]

OnStep = Callable[[int, int], None]  # (steps done, steps in all)
P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function check its arguments by their annotations (`kinds.KINDS`) before it runs.

    A value of a neighbouring type is taken for what it says: numbers of numpy, paths as names, the number of a preset
    for its name, bytearrays as bytes, arrays of torch. Any other raises an error that names the argument, what to pass,
    and what was passed.
    """
    signature = inspect.signature(function)
    kinds = {name: _kind_of(str(parameter.annotation)) for name, parameter in signature.parameters.items()}

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        bound = signature.bind(*arguments, **options)
        for name, value in bound.arguments.items():
            kind, can_lack = kinds[name]
            if kind is None or (value is None and can_lack):
                continue
            several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
            bound.arguments[name] = tuple(kind(name, one) for one in value) if several else kind(name, value)
        return function(*bound.args, **bound.kwargs)

    return call


def _kind_of(annotation: str) -> tuple[Kind | None, bool]:
    """How an argument with that annotation is checked, and whether it may be None."""
    alternatives = frozenset(annotation.split(" | "))
    return KINDS.get(alternatives - {"None"}), "None" in alternatives


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


def codebook_of(codebook: LatentCodebook | Path | str) -> LatentCodebook:
    """The codebook itself, or the one with that name or in that file; errors as of `load_codebook`."""
    if not isinstance(codebook, Path | str):
        return codebook
    from noisebook.api.codebooks import load_codebook

    return load_codebook(codebook)
