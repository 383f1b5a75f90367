"""Image metrics: errors of the level difference and the coherence of left and right, per band and moment.

`reference` and `estimate` are `[2, N]` real samples, aligned and of equal length, else AudioError; a sample rate below
1 kHz, where the bands are empty, is a ConfigError. Both metrics are means over 20 bands, evenly spaced on the ERB-rate
scale up to 8 kHz, and moments of 100 ms, weighted by `E^0.3`, E the energy of the reference there, without what lies
60 dB below its loudest. Against a silent reference: 0 if the estimate is silent too, else the worst.

Sources: Breebaart, van de Par, Kohlrausch, Schuijers, "Parametric coding of stereo audio", EURASIP JASP 2005: level
difference and coherence are two of the three things that a stereo image is heard by. Glasberg and Moore, "Derivation of
auditory filter shapes from notched-noise data", Hearing Research 1990 (bands).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from noisebook.errors import AudioError, ConfigError
from noisebook.metrics.signals import check_lengths, check_rate, check_samples, windows

__all__ = ["image_coherence", "image_level_db", "mean_coherence"]

_WINDOW_SECONDS, _HOP_SECONDS, _FRAMES = 0.0464, 0.02, 5  # means of five spectra: 100 ms
_BANDS, _TOP_HZ = 20, 8000.0
_MOST_DB = 30.0  # a larger level difference is heard as this one
_EXPONENT, _RANGE = 0.3, 1e-6
_BLOCK = 1024  # spectra at a time


class _Image(NamedTuple):
    """Level difference in dB, coherence (the real part) and energy, each `[bands, T]`."""

    level: np.ndarray
    coherence: np.ndarray
    energy: np.ndarray


def image_level_db(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Mean absolute error of the level difference between left and right, cut to +-30 dB, in dB, 0 to 60."""
    true, got = _images(reference, estimate, sample_rate)
    level, level_hat = (np.clip(image.level, -_MOST_DB, _MOST_DB) for image in (true, got))
    return _weighted(np.abs(level - level_hat), true, got, worst=2 * _MOST_DB)


def image_coherence(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Mean absolute error of the coherence (the real part of the normalised cross-spectrum) of left and right, 0 to 2.

    The coherence of unlike channels fluctuates around 0: the right width still has an error of 0.1 to 0.2.
    """
    true, got = _images(reference, estimate, sample_rate)
    return _weighted(np.abs(true.coherence - got.coherence), true, got, worst=2.0)


def mean_coherence(sound: np.ndarray, *, sample_rate: int, weights: np.ndarray | None = None) -> float:
    """Mean coherence of left and right of `[2, N]`, weighted by its energies or by those of `weights`, `[2, N]` too."""
    weighting, image = _images(sound if weights is None else weights, sound, sample_rate)
    weight = _weights(weighting.energy)
    return float((image.coherence * weight).sum() / weight.sum()) if weight.any() else 1.0


def _images(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> tuple[_Image, _Image]:
    check_rate(sample_rate)
    if sample_rate < 1000:
        raise ConfigError(f"a sample rate of {sample_rate} Hz: an image has its bands from 1000 Hz on")
    reference, estimate = _checked("reference", reference), _checked("estimate", estimate)
    check_lengths(reference, estimate)
    return _image(reference, sample_rate), _image(estimate, sample_rate)


def _checked(name: str, sound: np.ndarray) -> np.ndarray:
    sound = np.asarray(sound)
    if sound.ndim != 2 or len(sound) != 2:
        raise AudioError(f"{name} has shape {sound.shape}: an image has two channels, give [2, N]")
    return np.stack([check_samples(f"{name}, channel {channel}", samples) for channel, samples in enumerate(sound)])


def _image(sound: np.ndarray, sample_rate: int) -> _Image:
    """As `scipy.signal.stft` frames and scales: periodic Hann windows, from half a window before the first sample."""
    size, hop = _window_size(sample_rate), int(sample_rate * _HOP_SECONDS)
    starts, end = _band_bins(sample_rate)
    padded = np.pad(sound, ((0, 0), (size // 2, size // 2 + max(0, size - sound.shape[1]))))
    padded = np.pad(padded, ((0, 0), (0, -(padded.shape[1] - size) % hop)))
    frames = windows(padded, size, hop)
    window = np.hanning(size + 1)[:-1]
    sums = []
    for first in range(0, frames.shape[1], _BLOCK):
        left, right = np.fft.rfft(frames[:, first : first + _BLOCK] * (window / window.sum()))[:, :, :end]
        products = (np.abs(left) ** 2, np.abs(right) ** 2, (left * right.conj()).real)
        sums.append(np.stack([np.add.reduceat(product, starts, axis=1) for product in products]))
    around = np.pad(np.concatenate(sums, axis=1), ((0, 0), (_FRAMES // 2, _FRAMES // 2), (0, 0)))
    left, right, cross = np.lib.stride_tricks.sliding_window_view(around, _FRAMES, axis=1).mean(-1).transpose(0, 2, 1)
    level = 10 * np.log10((left + 1e-9) / (right + 1e-9))
    return _Image(level, np.clip(cross / np.sqrt(left * right + 1e-18), -1, 1), left + right)


def _window_size(sample_rate: int) -> int:
    """The power of two nearest to 46 ms: 2048 samples at 44.1 and 48 kHz."""
    return 1 << round(np.log2(_WINDOW_SECONDS * sample_rate))


def _band_bins(sample_rate: int) -> tuple[np.ndarray, int]:
    """First bins of the bands that have any, and the end of the last."""
    hz = np.linspace(0, sample_rate / 2, _window_size(sample_rate) // 2 + 1)
    rate = 21.4 * np.log10(1 + 0.00437 * hz)
    edges = np.linspace(rate[1], 21.4 * np.log10(1 + 0.00437 * min(_TOP_HZ, sample_rate / 2)), _BANDS + 1)
    bins = np.searchsorted(rate, edges)
    return np.unique(bins[:-1]), int(bins[-1])


def _weights(energy: np.ndarray) -> np.ndarray:
    return energy**_EXPONENT * (energy > _RANGE * energy.max())


def _weighted(error: np.ndarray, true: _Image, got: _Image, *, worst: float) -> float:
    weight = _weights(true.energy)
    if not weight.any():
        return worst if got.energy.any() else 0.0
    return float((error * weight).sum() / weight.sum())
