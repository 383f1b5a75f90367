"""Damaged sound repaired: restored sound put into what is left of the original, in time or in frequency, and clipped
samples drawn out again.

Declipping needs no model: it goes by the sparsity of spectra alone, by iterative hard thresholding with the samples as
constraints (after Kitic et al., "Consistent iterative hard thresholding for signal declipping", 2013): keep the
strongest coefficients of each short spectrum, put back what is known, and lower the bar.
"""

from __future__ import annotations

import numpy as np

from noisebook.audio.damage import Span, clipped_samples, low_pass
from noisebook.audio.waveform import Waveform

__all__ = ["FADE", "consistent", "faded_in", "sparsely_declipped", "with_band_above"]

FADE = 0.01  # seconds on either side of a gap
_CONTEXT = 0.05  # seconds on either side in which levels are compared
_MOST_GAIN = 2.0  # and half of it is the least

_WINDOW = 0.064  # seconds
_OVERLAP = 4
_ROUNDS, _FIRST_DB, _LAST_DB = 30, 10.0, 60.0  # the bar below the strongest coefficient of a frame, first and last
_BLOCK = 2**19  # samples that are worked on at a time
_HEADROOM = 8.0  # times the threshold: as far as a sample may go


def faded_in(original: Waveform, restored: Waveform, spans: tuple[Span, ...]) -> Waveform:
    """The original with the spans taken from `restored`, at the level of their surroundings.

    Samples further than `FADE` from a span are those of the original, to the bit.
    """
    samples = original.samples.copy()
    fade, context = (max(1, round(seconds * original.sample_rate)) for seconds in (FADE, _CONTEXT))
    for start, end in spans:
        first, last = max(0, start - fade), min(original.sample_count, end + fade)
        before, after = (
            _level_ratio(original.samples[:, part], restored.samples[:, part])
            for part in (slice(max(0, start - context), start), slice(end, end + context))
        )
        levels = [before or after or 1.0, after or before or 1.0]  # where one is unknown, the other
        gain = np.interp(np.arange(first, last), [start, end], levels).astype(np.float32)
        share = _fade_weights(first, start, end, last)
        piece = samples[:, first:last]
        samples[:, first:last] = piece + share * (gain * restored.samples[:, first:last] - piece)
    return Waveform(samples, original.sample_rate)


def with_band_above(original: Waveform, restored: Waveform, cutoff: float) -> Waveform:
    """The original below `cutoff` Hz and the restored sound above; the two filters sum to 1."""
    below, not_above = low_pass(original, cutoff).samples, low_pass(restored, cutoff).samples
    return Waveform(below + (restored.samples - not_above), original.sample_rate)


def _level_ratio(original: np.ndarray, restored: np.ndarray) -> float | None:
    """Gain that brings `restored` to the level of the original; None where there is nothing to compare."""
    wanted, found = (float(np.sqrt(np.square(part, dtype=np.float64).sum())) for part in (original, restored))
    if wanted == 0 or found == 0:
        return None
    return min(_MOST_GAIN, max(1 / _MOST_GAIN, wanted / found))


def _fade_weights(first: int, start: int, end: int, last: int) -> np.ndarray:
    """Share of the restored sound from `first` to `last`: raised-cosine ramps outside of `start..end`, 1 inside."""
    weights = np.ones(last - first, np.float32)
    for part, count in ((slice(None, start - first), start - first), (slice(end - first, None), last - end)):
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(1, count))
        weights[part] = ramp if part.start is None else ramp[::-1]
    return weights


def sparsely_declipped(waveform: Waveform, threshold: float) -> Waveform:
    """The sound with its samples at and beyond the threshold drawn further out, the others as they were to the bit."""
    lost = clipped_samples(waveform.samples, threshold)
    samples = waveform.samples.copy()
    size = 1 << max(4, round(np.log2(_WINDOW * waveform.sample_rate)))
    for row, flags in zip(samples, lost, strict=True):
        for start in range(0, len(row), _BLOCK):
            end = min(len(row), start + _BLOCK)
            if flags[start:end].any():
                left, right = max(0, start - 2 * size), min(len(row), end + 2 * size)
                piece = _declipped(row[left:right].copy(), flags[left:right], threshold, size)
                row[start:end] = piece[start - left : end - left]
    return Waveform(samples, waveform.sample_rate)


def consistent(clipped: np.ndarray, restored: np.ndarray, lost: np.ndarray, threshold: float) -> np.ndarray:
    """`restored` made to agree with `clipped`, arrays of one shape.

    Where nothing is lost it is the clipped sound, to the bit; where something is, it has the sign of the clipped
    sample, and at least its magnitude.
    """
    sign = np.sign(clipped)
    magnitude = np.clip(sign * restored, np.abs(clipped), max(_HEADROOM * threshold, float(np.abs(clipped).max())))
    return np.where(lost, sign * magnitude, clipped).astype(np.float32)


def _declipped(clipped: np.ndarray, lost: np.ndarray, threshold: float, size: int) -> np.ndarray:
    """One channel `[N]`."""
    import torch

    window = torch.hann_window(size)
    hop = size // _OVERLAP
    restored = clipped
    for bar_db in np.linspace(_FIRST_DB, _LAST_DB, _ROUNDS):
        samples = torch.from_numpy(restored)
        spectrum = torch.stft(samples, size, hop, window=window, pad_mode="constant", return_complex=True)
        magnitude = spectrum.abs()
        bar = magnitude.amax(0, keepdim=True) * 10 ** (-float(bar_db) / 20)
        sparse = torch.istft(torch.where(magnitude > bar, spectrum, 0), size, hop, window=window, length=len(samples))
        restored = consistent(clipped, sparse.numpy(), lost, threshold)
    return restored
