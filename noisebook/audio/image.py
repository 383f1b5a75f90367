"""The image of a stereo sound: where each band lies between left and right, and how coherent the two are.

    left, right --measure_image--> StereoImage          mono, StereoImage --spread--> left, right

Parametric stereo as in HE-AAC v2 (ISO/IEC 14496-3, 8.6.4; Breebaart, van de Par, Kohlrausch, Schuijers, "Parametric
coding of stereo audio", EURASIP JASP 2005): per band and frame a level difference and a coherence. The mono sound has
the power mean of left and right, `sqrt((|L|^2 + |R|^2) / 2)`, in which nothing cancels. `spread` turns it and a
decorrelated companion by angles whose difference has the coherence as cosine, and weights the two results by
gains whose squares sum to 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi

import numpy as np

from noisebook.audio.waveform import pieces
from noisebook.errors import AudioError, ConfigError

# An image frame is 4 / 25 s; integers, so that a count of frames is the same everywhere.
_FRAME = 4, 25
FRAME_SECONDS = _FRAME[0] / _FRAME[1]
_BANDS, _TOP_HZ = 40, 24000.0
# Level differences of the indices 0, 1, ... to the left, in dB; negative indices are to the right. The last is one
# side alone. Steps grow with the difference, as what is just heard does (ISO/IEC 14496-3, table 8.25).
_SIDE_DB = np.array([0, 2, 4, 6, 8, 10, 13, 16, 20, 25, 32, np.inf])
LEVELS = len(_SIDE_DB) - 1  # level indices are -LEVELS .. LEVELS
_ALONE_DB = 38.0  # from here on the other side is silent
COHERENCES = np.array([1, 0.94, 0.84, 0.7, 0.52, 0.32, 0.1, -0.15, -0.4, -0.7, -1])  # by index
_SILENCE = 1e-12  # energy of a band in a frame below which nothing is measured, some -120 dB of full scale

SPREAD_MARGIN_SECONDS = 0.25
_BLOCK = 2**18  # samples at a time
_COMPANION_SECONDS = 0.025  # how long the decorrelator rings
_MOST_ALIKE = 0.9  # of companion and mono: what goes beyond is left alike instead of being amplified
_MOST_GAIN = 4.0  # of the companion: behind an attack it is as loud as the mono there, before it there is none
_LONG, _SHORT = 9, 3  # spectra over which likeness and energies are taken: 105 and 35 ms


@dataclass(frozen=True, eq=False)
class StereoImage:
    """Quantised level differences and coherences, the only form that there is.

    Attributes:
        level: `[bands, frames]` int8, an index from -LEVELS (right alone) over 0 (equal) to LEVELS (left alone).
        coherence: `[bands, frames]` int8, an index into `COHERENCES`; 0 is 1, the last -1.
        weight: `[bands, frames]` float32, how much a value is heard, for a coder that has to choose; 1 if None.
    """

    level: np.ndarray
    coherence: np.ndarray
    weight: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = self.level.shape
        if len(shape) != 2 or 0 in shape or self.coherence.shape != shape:
            raise ConfigError(f"an image of levels {shape} and coherences {self.coherence.shape}: give [bands, frames]")
        if self.weight is not None and self.weight.shape != shape:
            raise ConfigError(f"weights {self.weight.shape} of an image {shape}: give one a value")
        if np.abs(self.level.astype(int)).max() > LEVELS:
            raise ConfigError(f"level indices go from {-LEVELS} to {LEVELS}")
        if not 0 <= self.coherence.min() <= self.coherence.max() < len(COHERENCES):
            raise ConfigError(f"coherence indices go from 0 to {len(COHERENCES) - 1}")

    @property
    def bands(self) -> int:
        """Bands, from 0 Hz up."""
        return int(self.level.shape[0])

    @property
    def frames(self) -> int:
        """Frames of `FRAME_SECONDS`, from the start of the sound."""
        return int(self.level.shape[1])

    @property
    def level_db(self) -> np.ndarray:
        """`[bands, frames]` left over right in dB, +-inf where one side is alone."""
        return np.sign(self.level) * _SIDE_DB[np.abs(self.level.astype(int))]

    @classmethod
    def equal(cls, bands: int, frames: int) -> StereoImage:
        """The image of two equal channels."""
        return cls(np.zeros((bands, frames), np.int8), np.zeros((bands, frames), np.int8))


def image_frames(sample_count: int, sample_rate: int) -> int:
    """Frames that cover so many samples."""
    return max(1, -(-sample_count * _FRAME[1] // (sample_rate * _FRAME[0])))


def image_shape(sample_count: int, sample_rate: int) -> tuple[int, int]:
    """Bands and frames of the image of so many samples."""
    return image_bands(sample_rate), image_frames(sample_count, sample_rate)


def image_bands(sample_rate: int) -> int:
    """Bands that begin below half the sample rate."""
    return int((_band_edges()[:-1] < sample_rate / 2).sum())


def measure_image(samples: np.ndarray, sample_rate: int) -> StereoImage:
    """The image of `[2, N]`, of the size `image_shape(N, sample_rate)`.

    A band keeps its values while it is silent, of weight 0; a channel that is silent in a frame is so in all bands.
    AudioError for other shapes.
    """
    if samples.ndim != 2 or len(samples) != 2:
        raise AudioError(f"samples of shape {list(samples.shape)} are not stereo: give [2, N]")
    size, hop, count = _window_size(sample_rate), _hop(sample_rate), samples.shape[1]
    bands, frames = image_shape(count, sample_rate)
    total = np.zeros((3, frames, bands))
    steps = max(1, -(-count // hop))  # spectrum t is centred on sample t hop
    for first in range(0, steps, _BLOCK // hop):
        last = min(steps, first + _BLOCK // hop)
        start, end = first * hop - size // 2, (last - 1) * hop + size // 2
        piece = np.pad(samples[:, max(0, start) : end], ((0, 0), (max(0, -start), max(0, end - count))))
        left, right = _spectra(piece, size, hop)
        frame = np.arange(first, last) * hop * _FRAME[1] // (sample_rate * _FRAME[0])
        for sums, power in zip(total, (_power(left), _power(right), (left * right.conj()).real), strict=True):
            np.add.at(sums, frame, _by_band(power, sample_rate, bands))
    return _quantised(*total.transpose(0, 2, 1) / size**2)


def _quantised(left: np.ndarray, right: np.ndarray, cross: np.ndarray) -> StereoImage:
    """The image of energies and real cross-spectra, all `[bands, frames]`."""
    heard = left + right > _SILENCE
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = np.where(heard, 10 * np.log10(left / right), 0.0)
        coherence = np.where((left > 0) & (right > 0), cross / np.sqrt(left * right), 1.0)
    bounds = np.append((_SIDE_DB[1:-1] + _SIDE_DB[:-2]) / 2, _ALONE_DB)
    level = np.sign(decibels) * np.searchsorted(bounds, np.abs(decibels))
    thresholds = -(COHERENCES[1:] + COHERENCES[:-1]) / 2
    alike = np.where(heard & (np.abs(level) < LEVELS), np.searchsorted(thresholds, -coherence), 0)
    for side, silent in ((LEVELS, right), (-LEVELS, left)):
        level[:, heard.any(0) & ~silent.any(0)] = side  # bands without sound too, so that silence stays silence
    known = np.array(heard | (heard.any(0) & (np.abs(level) == LEVELS)))
    return StereoImage(_held(level, known), _held(alike, known), _weights(np.where(heard, left + right, 0)))


def _weights(energy: np.ndarray) -> np.ndarray:
    """`[bands, frames]` float32: a band's share in the loudness (energy to the power of 0.3) of it and its neighbours.

    Bands are finer than the ear's, so that a weak one is heard with those beside it, and less than they.
    """
    padded = np.pad(energy, ((1, 1), (0, 0)))
    around = padded[:-2] + energy + padded[2:]
    return np.where(energy > 0, energy / np.maximum(around, 1e-30) ** 0.7, 0).astype(np.float32)


def _held(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`[bands, frames]` int8 where what is not known is as before, at the start as at the first that is, else 0."""
    frames = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(known, frames, -1), axis=1)
    source = np.where(last >= 0, last, known.argmax(1)[:, None])
    return np.where(known.any(axis=1, keepdims=True), np.take_along_axis(values, source, axis=1), 0).astype(np.int8)


# ---------------------------------------------------------------- spread


def spread(mono: np.ndarray, image: StereoImage, sample_rate: int, *, start: int = 0) -> np.ndarray:
    """Left and right of a mono sound that has their power mean.

    Args:
        mono: `[N]` float32, the timeline from sample `start` on. Samples further than `SPREAD_MARGIN_SECONDS` from a
            cut do not notice it.
        image: of the whole timeline; behind its end its last frame goes on.
        sample_rate: Hz of the sound.
        start: index of `mono[0]`.

    Returns:
        `[2, N]` float32. Where all bands are equal both are `mono`, where one side is alone the other is 0, exactly.
    """
    result = np.empty((2, len(mono)), np.float32)
    for seen, kept, place in pieces(len(mono), _BLOCK, round(SPREAD_MARGIN_SECONDS * sample_rate)):
        result[:, place] = _spread(mono[seen], image, sample_rate, start + seen.start)[:, kept]
    return result


def _spread(mono: np.ndarray, image: StereoImage, sample_rate: int, start: int) -> np.ndarray:
    size, hop = _window_size(sample_rate), _hop(sample_rate)
    # Spectra lie on the grid of the timeline, and every sample is under four of them.
    first = start // hop - 1
    steps = (start + len(mono) - 1) // hop - start // hop + 4
    before = start - first * hop + size // 2
    after = (steps - 1) * hop + size - before - len(mono)
    padded = np.pad(np.stack([mono, _companion(mono, sample_rate)]), ((0, 0), (before, after)))
    spectra = _spectra(padded, size, hop)  # [2, T, bins]
    pan, turn = _angles(image, (first + np.arange(steps)) * hop / sample_rate)
    sides = _mixed(spectra, pan, turn, sample_rate)
    sound = _overlapped(sides, size, hop)
    _make_exact(sound, padded[0], pan, turn, hop)
    return sound[:, before : before + len(mono)]


def _angles(image: StereoImage, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pan (0 left alone, pi / 2 right alone) and turn (arc cosine of coherence), each `[T, bands]`, at those times."""
    position = np.clip(seconds / FRAME_SECONDS - 0.5, 0, image.frames - 1)
    before = position.astype(int)
    after = np.minimum(before + 1, image.frames - 1)
    # An encoder holds a value over frames and then changes it, so half a frame is enough to go from one to the next.
    share = np.clip(2 * (position - before) - 0.5, 0, 1)[:, None]
    ratio = 10 ** (-np.abs(image.level_db) / 20)  # of the quieter side to the louder
    off_side = np.arctan(ratio)
    pan = np.where(image.level > 0, off_side, pi / 2 - off_side).T
    pan[image.level.T == 0] = pi / 4
    turn = np.arccos(COHERENCES)[image.coherence.astype(int)].T
    pan, turn = (values[before] + share * (values[after] - values[before]) for values in (pan, turn))
    return pan, turn


def _mixed(spectra: np.ndarray, pan: np.ndarray, turn: np.ndarray, sample_rate: int) -> np.ndarray:
    """Left and right `[2, T, bins]` of mono and companion `[2, T, bins]`.

    Per band and spectrum the companion is made orthogonal to the mono over `_LONG` spectra and as loud over `_SHORT`,
    so that coherence and levels are those asked for, whatever the sound; where it cannot be (an attack that the
    companion does not have yet), the levels are.
    """
    bands = pan.shape[1]
    mono, other = spectra
    energies = (_power(mono), _power(other), (mono * other.conj()).real)
    power, other_power, cross = (_by_band(energy, sample_rate, bands) for energy in energies)
    long_power, long_other, long_cross = (_smoothed(values, _LONG) for values in (power, other_power, cross))
    alike = _ratio(long_cross, np.sqrt(long_power * long_other))
    common = _ratio(long_cross, long_power) * np.minimum(1, _ratio(_MOST_ALIKE, np.abs(alike)))
    short = [_smoothed(values, _SHORT) for values in (power, other_power, cross)]
    rest = short[1] - 2 * common * short[2] + common**2 * short[0]
    gain = np.minimum(_MOST_GAIN, np.sqrt(_ratio(short[0], np.maximum(rest, 0))))
    # The louder side is turned less, and the nearer to -1 the coherence, the more one side keeps the mono:
    # at -1 they are the mono and its negative.
    share = np.sin(pan) ** 2 * np.clip(2 - 2 * turn / pi, 0, 1)
    sides = []
    for level, angle in ((np.cos(pan), turn * share), (np.sin(pan), turn * (share - 1))):
        of_other = np.sin(angle) * gain
        of_mono = np.cos(angle) - of_other * common
        got = of_mono**2 * short[0] + 2 * of_mono * of_other * short[2] + of_other**2 * short[1]
        level = np.sqrt(2) * level * np.clip(np.sqrt(_ratio(short[0], got, otherwise=1.0)), 0.25, 4)
        sides.append(_to_bins((level * of_mono).astype(np.float32), sample_rate) * mono)
        sides[-1] += _to_bins((level * of_other).astype(np.float32), sample_rate) * other
    return np.stack(sides)


def _make_exact(sound: np.ndarray, mono: np.ndarray, pan: np.ndarray, turn: np.ndarray, hop: int) -> None:
    """Write what is known exactly over what the transforms made of it: equal channels, and silent ones.

    `sound` `[2, N]` is changed in place, `mono` is `[N]`, N a multiple of the hop; of pan and turn `[T, bands]` time t
    touches the four hops from the t-th on.
    """
    equal = ((pan == pi / 4) & (turn == 0)).all(1)
    hops = sound.reshape(2, -1, hop)
    for channel, silent in enumerate((pan == pi / 2, pan == 0)):
        for known, value in ((equal, mono.reshape(-1, hop)), (silent.all(1), np.zeros((hops.shape[1], hop)))):
            whole = np.lib.stride_tricks.sliding_window_view(np.pad(known, 3, constant_values=True), 4).all(1)
            hops[channel, whole] = value[whole]


def _companion(mono: np.ndarray, sample_rate: int) -> np.ndarray:
    """`[N]` of the same spectrum and other phases, behind in time, as a decorrelator makes it."""
    response = _decorrelator(sample_rate)
    size = 1 << (len(mono) + len(response) - 1).bit_length()
    product = np.fft.rfft(mono, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(mono)].astype(np.float32)


@lru_cache(maxsize=4)
def _decorrelator(sample_rate: int) -> np.ndarray:
    """Impulse response of magnitude 1 at every multiple of 40 Hz, with phases that follow no pattern."""
    size = 2 * round(_COMPANION_SECONDS * sample_rate / 2)
    phases = np.arange(size // 2 + 1) ** 2 * ((5**0.5 - 1) / 2) % 1
    spectrum = np.exp(2j * pi * phases)
    spectrum[[0, -1]] = 1
    return np.fft.irfft(spectrum, size)


# ---------------------------------------------------------------- spectra and bands


def _window_size(sample_rate: int) -> int:
    """The power of two nearest to 50 ms."""
    return 1 << round(np.log2(0.05 * sample_rate))


def _hop(sample_rate: int) -> int:
    return _window_size(sample_rate) // 4


@lru_cache(maxsize=8)
def _window(size: int) -> np.ndarray:
    """Periodic Hann window; its squares, a quarter apart, sum to 3 / 2."""
    return (0.5 - 0.5 * np.cos(2 * pi * np.arange(size) / size)).astype(np.float32)


def _spectra(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """`[C, N] -> [C, (N - size) // hop + 1, size // 2 + 1]`, none where N < size."""
    if samples.shape[1] < size:
        return np.empty((len(samples), 0, size // 2 + 1), np.complex64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size, axis=1)[:, ::hop]
    return np.fft.rfft(frames * _window(size))


def _overlapped(spectra: np.ndarray, size: int, hop: int) -> np.ndarray:
    """`[C, T, size // 2 + 1] -> [C, (T - 1) hop + size]`: the inverse of `_spectra` where four windows overlap."""
    frames = np.fft.irfft(spectra, size) * (_window(size) / np.float32(1.5))
    channels, steps, _ = frames.shape
    sound = np.zeros((channels, steps + 3, hop), np.float32)
    for part in range(4):
        sound[:, part : part + steps] += frames[:, :, part * hop : (part + 1) * hop]
    return sound.reshape(channels, -1)


@lru_cache(maxsize=1)
def _band_edges() -> np.ndarray:
    """`[_BANDS + 1]` Hz, evenly spaced on the ERB-rate scale (Glasberg and Moore 1990)."""
    rates = np.linspace(0, 21.4 * np.log10(1 + 0.00437 * _TOP_HZ), _BANDS + 1)
    return (10 ** (rates / 21.4) - 1) / 0.00437


def _band_starts(sample_rate: int, bands: int) -> np.ndarray:
    """`[bands]` first bins; the last band has all that is above."""
    frequencies = np.fft.rfftfreq(_window_size(sample_rate), 1 / sample_rate)
    return np.searchsorted(frequencies, _band_edges()[:bands])


def _by_band(values: np.ndarray, sample_rate: int, bands: int) -> np.ndarray:
    """Sums `[T, bands]` of `[T, bins]`."""
    return np.add.reduceat(values, _band_starts(sample_rate, bands), axis=1)


def _to_bins(values: np.ndarray, sample_rate: int) -> np.ndarray:
    """`[T, bands] -> [T, bins]`, the value of its band for each bin."""
    widths = np.diff(_band_starts(sample_rate, values.shape[1]), append=_window_size(sample_rate) // 2 + 1)
    return np.repeat(values, widths, axis=1)


def _power(spectrum: np.ndarray) -> np.ndarray:
    return spectrum.real**2 + spectrum.imag**2


def _smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Sums over `width` spectra of `[T, bands]`, an odd number; beyond the ends is nothing."""
    padded = np.pad(values, ((width // 2, width // 2), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, width, axis=0).sum(-1)


def _ratio(upper: np.ndarray | float, lower: np.ndarray, *, otherwise: float = 0.0) -> np.ndarray:
    """`upper / lower`, and `otherwise` where nothing is below."""
    return np.divide(upper, lower, out=np.full(lower.shape, otherwise), where=lower > 1e-30)
