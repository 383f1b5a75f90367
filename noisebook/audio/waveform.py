"""The one value that stands for sound: float32 samples `[C, N]` with their sample rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import index
from typing import Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from noisebook.errors import AudioError, ConfigError

# Between any two rates of this range soxr takes milliseconds for a second of sound. Beyond it does not: 384 kHz
# to 1 Hz costs 10 s for a single sample, and 1 Hz to 384 kHz fills the memory from a small file.
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 384_000  # Hz
MAX_SAMPLES = 2**31  # all channels together: 8 GiB of float32, 37 hours of mono at 16 kHz
_BLOCK = 2**20  # samples of a channel at a time, so that an hour is not copied whole on every station of its way


@runtime_checkable
class Sound(Protocol):
    """What an encoder asks of a sound: a `Waveform`, or a `Recording`, which is never held whole."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def channels(self) -> int:
        """C."""

    @property
    def sample_count(self) -> int:
        """N, samples per channel."""

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples in order, `[C, n]` float32, from the start whenever it is called."""


@dataclass(frozen=True, eq=False)
class Waveform:
    """Sound. Build it with `Waveform.of` unless the array is float32 `[C, N]` already.

    Attributes:
        samples: `[C, N]` float32, C and N at least 1, finite; full scale is [-1, 1], and values beyond it are
            kept. Shared with the caller, not copied: treat it as read-only.
        sample_rate: Hz, from `MIN_SAMPLE_RATE` to `MAX_SAMPLE_RATE`.

    Raises:
        AudioError: samples or sample rate are not as described.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        if not isinstance(self.samples, np.ndarray):
            raise AudioError(
                f"samples are a {type(self.samples).__name__}, not an array float32 [C, N]; use Waveform.of"
            )
        object.__setattr__(self, "sample_rate", check_sample_rate(self.sample_rate))
        shape, dtype = self.samples.shape, self.samples.dtype
        if self.samples.ndim != 2 or dtype != np.float32:
            raise AudioError(f"samples are {dtype} {list(shape)}, not float32 [C, N]; use Waveform.of")
        if not self.samples.size:
            raise AudioError(f"no samples: the shape is {list(shape)}, and neither C nor N may be 0")
        check_finite(self.samples)

    @classmethod
    def of(cls, array: ArrayLike, sample_rate: int) -> Waveform:
        """Waveform from `[N]` or `[C, N]` of any real dtype; copies only where the dtype has to change.

        Integers are divided by their full scale (int16 by 32768); unsigned ones are centred first, so that 128 is
        silence in uint8. AudioError also for more channels than samples, the mark of an array that is `[N, C]`.
        """
        try:
            samples = np.asarray(array)
        except ValueError as error:
            raise AudioError("rows of unequal length are not sound: give [N] or [C, N]") from error
        if samples.ndim not in (1, 2):
            raise AudioError(f"an array of {samples.ndim} dimensions is not sound: give [N] or [C, N]")
        samples = _to_float32(np.atleast_2d(samples))
        channels, count = samples.shape
        if channels > count > 0:
            raise AudioError(f"{channels} channels of {count} samples: transpose an [N, C] array to [C, N]")
        return cls(samples, sample_rate)

    @property
    def channels(self) -> int:
        """C."""
        return int(self.samples.shape[0])

    @property
    def sample_count(self) -> int:
        """N, samples per channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.sample_rate

    def _repr_html_(self) -> str:
        """What a notebook shows: a player, the spectrogram where matplotlib is installed, and facts."""
        from noisebook.audio.html import sound_html

        return sound_html(self)

    def blocks(self) -> Iterator[np.ndarray]:
        """The samples, `[C, n]` at a time."""
        for start in range(0, self.sample_count, _BLOCK):
            yield self.samples[:, start : start + _BLOCK]


@dataclass(frozen=True)
class Processed:
    """A sound that need not be held whole, with something done to its blocks on their way.

    Attributes:
        sound: what it is made of.
        process: blocks `[C, n]` to as many samples, in order; called anew for each run through the sound.
        channels: of the result.
    """

    sound: Sound
    process: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]]
    channels: int

    @property
    def sample_rate(self) -> int:
        return self.sound.sample_rate

    @property
    def sample_count(self) -> int:
        return self.sound.sample_count

    def blocks(self) -> Iterator[np.ndarray]:
        return self.process(self.sound.blocks())


def as_sound(sound: Sound | ArrayLike, sample_rate: int | None) -> Sound:
    """A sound as it is, or a `Waveform` of an array `[N]` or `[C, N]` with its `sample_rate` in Hz.

    Raises:
        AudioError: no sound.
        ConfigError: an array without a rate, or a rate that disagrees with the sound's.
    """
    if isinstance(sound, Sound):
        if sample_rate not in (None, sound.sample_rate):
            raise ConfigError(f"sample_rate {sample_rate} disagrees with the waveform's {sound.sample_rate}")
        return sound
    if sample_rate is None:
        raise ConfigError("an array needs its sample_rate in Hz")
    return Waveform.of(sound, sample_rate)


@overload
def downmix(sound: Waveform) -> Waveform: ...
@overload
def downmix(sound: Sound) -> Sound: ...
def downmix(sound: Sound) -> Sound:
    """Mean of all channels, `[1, N]`: a waveform of a waveform; a mono sound comes back as it is."""
    if sound.channels == 1:
        return sound
    if isinstance(sound, Waveform):
        return Waveform(sound.samples.mean(axis=0, keepdims=True), sound.sample_rate)
    return Processed(sound, lambda blocks: (block.mean(axis=0, keepdims=True) for block in blocks), 1)


def pieces(count: int, size: int, margin: int) -> Iterator[tuple[slice, slice, slice]]:
    """A timeline of `count` places in pieces of `size`, for what looks `margin` places around: the places that each
    piece is made of, its part of them, and the same part on the timeline."""
    for start in range(0, count, size):
        first, end = max(0, start - margin), min(count, start + size)
        yield slice(first, min(count, end + margin)), slice(start - first, end - first), slice(start, end)


def check_sample_rate(sample_rate: int) -> int:
    """The rate as a plain int. AudioError if it is not whole, or not `MIN_SAMPLE_RATE` to `MAX_SAMPLE_RATE` Hz."""
    try:
        rate = index(sample_rate)
    except TypeError:
        raise AudioError(f"a sample rate of {sample_rate!r}: give a whole number of Hz") from None
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise AudioError(f"a sample rate of {rate} Hz: allowed are {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz")
    return rate


def _to_float32(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, which the checks name
            return array.astype(np.float32, copy=False)
    if array.dtype.kind not in "iu":
        raise AudioError(f"samples of type {array.dtype}: give real floats or integers")
    full_scale = 2.0 ** (8 * array.dtype.itemsize - 1)
    centre = full_scale if array.dtype.kind == "u" else 0.0
    return ((array - centre) / full_scale).astype(np.float32)


def check_finite(samples: np.ndarray, *, first: int = 0) -> None:
    """Refuse samples `[C, N]`, of which the first is sample `first` of the sound, that are no numbers. The AudioError
    says how many and where."""
    starts = range(0, samples.shape[1], _BLOCK)
    if all(np.isfinite(samples[:, start : start + _BLOCK]).all() for start in starts):
        return
    finite = np.isfinite(samples)
    place = int(np.argmin(finite.all(axis=0)))
    channel = int(np.argmin(finite[:, place]))
    raise AudioError(
        f"{finite.size - np.count_nonzero(finite)} of {finite.size} samples{f' from {first} on' if first else ''} are "
        f"NaN or infinite, the first at sample {first + place} of channel {channel}: repair or cut the sound there"
    )
