"""Pitch metrics: whether what sounds is in tune with the original, which no envelope and no opinion of a panel notices.

Aim: codecs that synthesise their phases move partials, most of all to multiples of their frame rate.

Conventions: those of `spectral`. The strongest peaks between 60 and 1000 Hz of each quarter of a second of the
reference are looked for in the estimate, as its strongest bin within two and a half semitones. Chance is far from 0:
another clip of music has about an eighth of them within 25 cents.

Metrics: `tuning_10`, `tuning_25`, `tuning_50`, `tuning_cents`, `tuning_grid`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from noisebook.metrics._signals import Scale, judge

__all__ = ["tuning_10", "tuning_25", "tuning_50", "tuning_cents", "tuning_grid"]

_RATE = 16_000  # Hz, of the analysis
_WINDOW, _HOP, _PADDING = 0.25, 0.1, 8  # seconds, seconds, and how much finer the bins are than the window's
_LOWEST, _HIGHEST = 60.0, 1000.0  # Hz
_COUNT = 6  # peaks to a frame
_FAINT, _APART = 0.05, 12  # of the frame's strongest peak, and bins between peaks
_SEARCHED = 2.5 / 12  # octaves to either side
_FURTHEST = 1200 * _SEARCHED  # cents
_GRID, _NEAR = 50.0, 4.0  # Hz


def tuning_10(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Share of the reference's peaks that are within 10 cents in the estimate, 0 to 1.

    Args:
        reference, estimate: `[N]`, aligned. Below a quarter of a second, and where either is silence: 0, unless they
            are identical.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
    """
    return _share(reference, estimate, sample_rate, 10)


def tuning_25(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """The same, within 25 cents."""
    return _share(reference, estimate, sample_rate, 25)


def tuning_50(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """The same, within 50 cents."""
    return _share(reference, estimate, sample_rate, 50)


def tuning_cents(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Median distance in cents of the reference's peaks from what is nearest to them in the estimate, 0 to 250."""

    def median(a: np.ndarray, b: np.ndarray) -> float | None:
        moved = _moved(a, b)
        return float(np.median(moved)) if moved.size else None

    return judge(reference, estimate, sample_rate, _scale(_FURTHEST, 0.0), median)


def tuning_grid(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """How many more of the estimate's peaks than of the reference's lie within 4 Hz of a multiple of 50 Hz: 0 to 1."""

    def excess(a: np.ndarray, b: np.ndarray) -> float | None:
        shares = [_on_grid(signal) for signal in (a, b)]
        return None if shares[0] is None or shares[1] is None else max(0.0, shares[1] - shares[0])

    return judge(reference, estimate, sample_rate, _scale(1.0, 0.0), excess)


@dataclass(frozen=True)
class _Spectra:
    """Magnitudes `[T, bins]` of frames that sound, from `_LOWEST` less the search up, and the frequency of each bin."""

    magnitudes: np.ndarray
    hz: np.ndarray

    def peaks(self) -> Iterator[np.ndarray]:
        """Hz, of the strongest peaks of each frame."""
        from scipy.signal import find_peaks

        inside = np.flatnonzero((self.hz >= _LOWEST) & (self.hz <= _HIGHEST))
        for frame in self.magnitudes[:, inside]:
            found, _ = find_peaks(frame, height=_FAINT * frame.max(), distance=_APART)
            yield self.hz[inside[found[np.argsort(-frame[found])[:_COUNT]]]]


def _share(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, cents: float) -> float:
    def share(a: np.ndarray, b: np.ndarray) -> float | None:
        moved = _moved(a, b)
        return float(np.mean(moved <= cents)) if moved.size else None

    return judge(reference, estimate, sample_rate, _scale(0.0, 1.0), share)


def _scale(worst: float, best: float) -> Scale:
    return Scale(_RATE, _WINDOW, worst, best)


def _moved(reference: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Cents, of each peak of the reference."""
    if np.array_equal(reference, estimate):
        return np.zeros(1)
    sounding = _sounding(reference)
    original, decoded = _spectra(reference, sounding), _spectra(estimate, sounding)
    hz, moved = original.hz, []
    for peaks, frame in zip(original.peaks(), decoded.magnitudes, strict=True):
        for peak in peaks:
            near = np.flatnonzero((hz > peak * 2**-_SEARCHED) & (hz < peak * 2**_SEARCHED))
            moved.append(abs(1200 * np.log2(hz[near[frame[near].argmax()]] / peak)))
    return np.array(moved)


def _on_grid(signal: np.ndarray) -> float | None:
    """Share of the peaks near a multiple of 50 Hz; None where there are none."""
    peaks = np.concatenate([np.empty(0), *_spectra(signal, _sounding(signal)).peaks()])
    if not peaks.size:
        return None
    return float(np.mean(np.abs((peaks + _GRID / 2) % _GRID - _GRID / 2) < _NEAR))


def _frames(signal: np.ndarray) -> np.ndarray:
    """`[T, n]` windows of a quarter of a second."""
    size = int(_WINDOW * _RATE)
    signal = np.pad(signal, (0, max(0, size - signal.size)))  # resampling may have taken a sample
    return np.lib.stride_tricks.sliding_window_view(signal, size)[:: int(_HOP * _RATE)]


def _sounding(signal: np.ndarray) -> np.ndarray:
    """`[T]` bool: frames whose energy is within 26 dB of the loudest one's."""
    energy = np.sqrt(np.square(_frames(signal)).sum(1))
    sounding: np.ndarray = energy > _FAINT * energy.max()
    return sounding


def _spectra(signal: np.ndarray, frames: np.ndarray) -> _Spectra:
    size = int(_WINDOW * _RATE)
    hz = np.fft.rfftfreq(_PADDING * size, 1 / _RATE)
    used = slice(
        int(np.searchsorted(hz, _LOWEST * 2**-_SEARCHED)), int(np.searchsorted(hz, _HIGHEST * 2**_SEARCHED)) + 1
    )
    spectrum = np.fft.rfft(_frames(signal)[frames] * np.hanning(size), _PADDING * size)
    return _Spectra(np.abs(spectrum[:, used]), hz[used])
