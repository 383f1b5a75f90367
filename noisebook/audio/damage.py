"""Damage to a sound: finding it, and making it for measurements.

what       found by                                          made by
gaps       runs of digital silence that break off a sound    silence
bandwidth  a cliff in the average spectrum                   low_pass
clipping   samples crowded at the largest magnitude          clip
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from noisebook.audio.resample import resample
from noisebook.audio.waveform import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Waveform
from noisebook.errors import ConfigError

__all__ = [
    "Span",
    "clip",
    "clipped_samples",
    "find_cutoff",
    "find_gaps",
    "find_threshold",
    "low_pass",
    "runs",
    "silence",
]

Span = tuple[int, int]  # first sample, and the one after the last

_SHORTEST_GAP, _LONGEST_GAP = 0.005, 2.0  # seconds; a longer silence is a pause, not a loss
_EDGE, _EDGE_RMS = 0.005, 1e-3  # seconds before or after a gap, and how loud they are if it broke something off
_FLAT = 2 / 32768  # samples nearer than this to the peak lie on it
_CROWD = 8  # how many times as many samples are on the peak as just below it, at least, and how many at all
_LADDER = 1024  # frequencies at which a spectrum is looked at
_CLIFF_DB = 25.0  # by how much the spectrum falls at a cutoff within `_CLIFF_HZ`, and stays down
_CLIFF_HZ = 400.0
_PASSED = 0.94  # share of a resampler's bandwidth at which it has lost half of the amplitude


def find_gaps(waveform: Waveform) -> tuple[Span, ...]:
    """Runs of samples that are 0 in all channels, 5 ms to 2 s long, within the sound and next to something audible."""
    rate = waveform.sample_rate
    edge = max(1, round(_EDGE * rate))
    found = []
    for start, end in runs((waveform.samples == 0).all(axis=0)):
        inside = start > 0 and end < waveform.sample_count
        if inside and _SHORTEST_GAP * rate <= end - start <= _LONGEST_GAP * rate:
            sides = (waveform.samples[:, max(0, start - edge) : start], waveform.samples[:, end : end + edge])
            if max(float(np.sqrt(np.square(side).mean())) for side in sides) >= _EDGE_RMS:
                found.append((start, end))
    return tuple(found)


def find_cutoff(waveform: Waveform) -> float | None:
    """Frequency in Hz above which the sound has lost its spectrum; None where it falls off no cliff."""
    levels, spacing = _average_levels(waveform)
    width = max(1, round(_CLIFF_HZ / spacing))
    loudest_above = np.maximum.accumulate(levels[::-1])[::-1]  # at k: over k and all beyond
    best, drop = 0, _CLIFF_DB
    for k in range(width, len(levels) - width):
        fall = float(np.mean(levels[k - width : k]) - loudest_above[k + width])
        if fall > drop:
            best, drop = k, fall
    if not best:
        return None
    # The cliff itself: the first place in reach from which on all is nearer to the bottom than to the top.
    middle = np.mean(levels[best - width : best]) - drop / 2
    edge = best - width + int(np.argmax(loudest_above[best - width : best + width + 1] < middle))
    return float(edge * spacing)


def find_threshold(waveform: Waveform) -> float | None:
    """Magnitude at which samples were clipped: the peak, if they crowd there in runs; None if they do not."""
    magnitude = np.abs(waveform.samples)
    peak = float(magnitude.max())
    if peak <= 4 * _FLAT:
        return None
    on_peak = magnitude >= peak - _FLAT
    below = int(np.count_nonzero(magnitude >= peak - 2 * _FLAT)) - int(np.count_nonzero(on_peak))
    crowd = int(np.count_nonzero(on_peak))
    longest = max((end - start for row in on_peak for start, end in runs(row)), default=0)
    if longest < 2 or crowd < _CROWD * max(1, below):
        return None
    return peak - _FLAT


def clipped_samples(samples: np.ndarray, threshold: float) -> np.ndarray:
    """Where samples `[C, N]` lie at or beyond the threshold, bool `[C, N]`."""
    return np.abs(samples) >= threshold


def clip(waveform: Waveform, threshold: float) -> Waveform:
    """The sound limited to `-threshold..threshold`.

    Raises:
        ConfigError: a threshold that is not above 0.
    """
    if not threshold > 0:
        raise ConfigError(f"a threshold of {threshold:g}: give a magnitude above 0")
    return Waveform(np.clip(waveform.samples, -threshold, threshold), waveform.sample_rate)


def low_pass(waveform: Waveform, cutoff: float) -> Waveform:
    """The sound without what is above `cutoff` Hz: through a lower sample rate and back, linear phase, no delay.

    Raises:
        ConfigError: a cutoff that is not below the sound's Nyquist frequency, or lower than a sample rate can carry.
    """
    rate = round(2 * cutoff / _PASSED) if isfinite(cutoff) else 0
    if not (rate >= MIN_SAMPLE_RATE and cutoff < waveform.sample_rate / 2):
        lowest = MIN_SAMPLE_RATE * _PASSED / 2
        raise ConfigError(f"a cutoff of {cutoff:g} Hz: {lowest:g} to {waveform.sample_rate / 2:g} Hz are possible")
    if rate >= min(waveform.sample_rate, MAX_SAMPLE_RATE):
        return waveform
    back = resample(resample(waveform, rate), waveform.sample_rate).samples
    return Waveform(np.ascontiguousarray(back[:, : waveform.sample_count]), waveform.sample_rate)


def silence(waveform: Waveform, spans: tuple[Span, ...]) -> Waveform:
    """The sound with zeros in the spans."""
    samples = waveform.samples.copy()
    for start, end in spans:
        samples[:, start:end] = 0
    return Waveform(samples, waveform.sample_rate)


def runs(flags: np.ndarray) -> list[Span]:
    """First and end index of each run of true values in `[N]`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _average_levels(waveform: Waveform) -> tuple[np.ndarray, float]:
    """Mean power spectrum in dB over all channels, and the distance of its frequencies in Hz."""
    size = 2 * _LADDER
    samples = np.pad(waveform.samples, ((0, 0), (0, max(0, size - waveform.sample_count))))
    window = np.hanning(size)
    total, count = np.zeros(_LADDER + 1), 0
    for start in range(0, samples.shape[1] - size + 1, size // 2):
        total += np.square(np.abs(np.fft.rfft(samples[:, start : start + size] * window))).sum(axis=0)
        count += 1
    return 10 * np.log10(total / count + 1e-12), waveform.sample_rate / size
