"""What many functions of the facade take: sounds, codebooks, progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.audio.waveform import Sound, Waveform
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["OnStep", "as_sound", "as_waveform", "codebook_of"]

OnStep = Callable[[int, int], None]  # (steps done, steps in all)


def as_waveform(waveform: Sound | ArrayLike, sample_rate: int | None) -> Waveform:
    """A `Waveform`: from a sound that is not held whole, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.

    Raises:
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
