"""Pitch metrics: whether what sounds is in tune with the original, which envelopes and opinion scores do not notice.

Codecs that synthesise their phases move partials, most of all to multiples of their frame rate. The strongest peaks
between 60 and 1000 Hz of each quarter of a second of the reference are looked for in the estimate, as its strongest bin
within two and a half semitones. Arguments and errors as in `validate`; undefined cases as in `judged`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noisebook.metrics.signals import MetricFunction, judged, windows

__all__ = ["tuning_10", "tuning_25", "tuning_50", "tuning_cents", "tuning_grid"]

_RATE = 16_000  # Hz, of the analysis
_WINDOW, _HOP, _PADDING = 0.25, 0.1, 8  # seconds, seconds, and how much finer the bins are than the window's
_SIZE = int(_WINDOW * _RATE)
_LOWEST, _HIGHEST = 60.0, 1000.0  # Hz
_COUNT = 6  # peaks to a frame
_FAINT, _APART = 0.05, 12  # of the frame's strongest peak, and bins between peaks
_SEARCHED = 2.5 / 12  # octaves to either side
_GRID, _NEAR = 50.0, 4.0  # Hz


def _tuning_within(cents: float) -> MetricFunction:
    """The share of the reference's peaks that the estimate has within so many cents, 0 to 1."""

    @judged(_RATE, seconds=_WINDOW, worst=0.0, best=1.0)
    def tuning(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        moved = _moved(reference, estimate)
        return float(np.mean(moved <= cents)) if moved.size else None

    return tuning


tuning_10, tuning_25, tuning_50 = map(_tuning_within, (10, 25, 50))


@judged(_RATE, seconds=_WINDOW, worst=1200 * _SEARCHED, best=0.0)
def tuning_cents(reference: np.ndarray, estimate: np.ndarray) -> float | None:
    """Median distance in cents of the reference's peaks from what is nearest to them in the estimate, 0 to 250."""
    moved = _moved(reference, estimate)
    return float(np.median(moved)) if moved.size else None


@judged(_RATE, seconds=_WINDOW, worst=1.0, best=0.0)
def tuning_grid(reference: np.ndarray, estimate: np.ndarray) -> float | None:
    """How many more of the estimate's peaks than of the reference's lie within 4 Hz of a multiple of 50 Hz: 0 to 1."""
    share, share_hat = _on_grid(reference), _on_grid(estimate)
    return None if share is None or share_hat is None else max(0.0, share_hat - share)


def _moved(reference: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Cents, of each peak of the reference."""
    if np.array_equal(reference, estimate):  # even where there are no peaks
        return np.zeros(1)
    sounding = _sounding(reference)
    hz, original = _spectra(reference, sounding)
    _, decoded = _spectra(estimate, sounding)
    moved = []
    for peaks, frame in zip(_peaks(hz, original), decoded, strict=True):
        for peak in peaks:
            near = np.flatnonzero((hz > peak * 2**-_SEARCHED) & (hz < peak * 2**_SEARCHED))
            moved.append(abs(1200 * np.log2(hz[near[frame[near].argmax()]] / peak)))
    return np.array(moved)


def _on_grid(signal: np.ndarray) -> float | None:
    """Share of the peaks near a multiple of 50 Hz; None where there are none."""
    peaks = np.concatenate([np.empty(0), *_peaks(*_spectra(signal, _sounding(signal)))])
    if not peaks.size:
        return None
    return float(np.mean(np.abs((peaks + _GRID / 2) % _GRID - _GRID / 2) < _NEAR))


def _frames(signal: np.ndarray) -> np.ndarray:
    """`[T, n]` windows of a quarter of a second."""
    signal = np.pad(signal, (0, max(0, _SIZE - signal.size)))  # resampling may have taken a sample
    return windows(signal, _SIZE, int(_HOP * _RATE))


def _sounding(signal: np.ndarray) -> np.ndarray:
    """`[T]` bool: frames whose energy is within 26 dB of the loudest one's."""
    energy = np.linalg.norm(_frames(signal), axis=1)
    return np.asarray(energy > _FAINT * energy.max())


def _spectra(signal: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frequency of each bin, from `_LOWEST` less the search up, and their magnitudes `[T, bins]` in some frames."""
    hz = np.fft.rfftfreq(_PADDING * _SIZE, 1 / _RATE)
    first, last = np.searchsorted(hz, (_LOWEST * 2**-_SEARCHED, _HIGHEST * 2**_SEARCHED))
    spectrum = np.fft.rfft(_frames(signal)[frames] * np.hanning(_SIZE), _PADDING * _SIZE)
    return hz[first : last + 1], np.abs(spectrum[:, first : last + 1])


def _peaks(hz: np.ndarray, magnitudes: np.ndarray) -> Iterator[np.ndarray]:
    """Hz, of the strongest peaks of each frame."""
    from scipy.signal import find_peaks

    inside = np.flatnonzero((hz >= _LOWEST) & (hz <= _HIGHEST))
    for frame in magnitudes[:, inside]:
        found, _ = find_peaks(frame, height=_FAINT * frame.max(), distance=_APART)
        yield hz[inside[found[np.argsort(-frame[found])[:_COUNT]]]]
