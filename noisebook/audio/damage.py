"""Damage to a sound: finding it, making it for measurements, and the part of its repair that needs no model.

what       found by                                          made by    repaired by
gaps       runs of digital silence that break off a sound    silence    faded_in: restored sound at a fitting level
bandwidth  a cliff in the average spectrum                   low_pass   with_band_above: restored sound above the cliff
clipping   samples crowded at the largest magnitude          clip       sparsely_declipped

Declipping goes by the sparsity of spectra alone, by iterative hard thresholding with the samples as constraints (after
Kitic et al., "Consistent iterative hard thresholding for signal declipping", 2013): keep the strongest coefficients of
each short spectrum, put back what is known, and lower the bar.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from noisebook.audio.level import SPECTRUM_FRAME, power_spectrum
from noisebook.audio.resample import resample
from noisebook.audio.waveform import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Waveform, pieces
from noisebook.errors import ConfigError

Span = tuple[int, int]  # first sample, and the one after the last

_SHORTEST_GAP, _LONGEST_GAP = 0.005, 2.0  # seconds; a longer silence is a pause, not a loss
_EDGE, _EDGE_RMS = 0.005, 1e-3  # seconds before or after a gap, and how loud they are if it broke something off
_FLAT = 2 / 32768  # samples nearer than this to the peak lie on it
_CROWD = 8  # how many times as many samples are on the peak as just below it, at least, and how many at all
_CLIFF_DB = 25.0  # by how much the spectrum falls at a cutoff within `_CLIFF_HZ`, and stays down
_CLIFF_HZ = 400.0
_PASSED = 0.94  # share of a resampler's bandwidth at which it has lost half of the amplitude

FADE = 0.01  # seconds on either side of a gap
_CONTEXT = 0.05  # seconds on either side in which levels are compared
_MOST_GAIN = 2.0  # and half of it is the least

_WINDOW = 0.064  # seconds
_OVERLAP = 4
_ROUNDS, _FIRST_DB, _LAST_DB = 30, 10.0, 60.0  # the bar below the strongest coefficient of a frame, first and last
_BLOCK = 2**19  # samples that are worked on at a time
_HEADROOM = 8.0  # times the threshold: as far as a sample may go


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
    levels = 10 * np.log10(power_spectrum(waveform.samples) + 1e-12)
    spacing = waveform.sample_rate / SPECTRUM_FRAME
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
    """The sound limited to `-threshold..threshold`. ConfigError for a threshold that is not above 0."""
    if not threshold > 0:
        raise ConfigError(f"a threshold of {threshold:g}: give a magnitude above 0")
    return Waveform(np.clip(waveform.samples, -threshold, threshold), waveform.sample_rate)


def low_pass(waveform: Waveform, cutoff: float) -> Waveform:
    """The sound without what is above `cutoff` Hz: through a lower sample rate and back, linear phase, no delay.
    ConfigError for a cutoff that is not below the sound's Nyquist frequency, or lower than a sample rate can carry."""
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


# ---------------------------------------------------------------- repair


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
        for seen, kept, place in pieces(len(row), _BLOCK, 2 * size):
            if flags[place].any():
                row[place] = _declipped(row[seen].copy(), flags[seen], threshold, size)[kept]
    return Waveform(samples, waveform.sample_rate)


def consistent(clipped: np.ndarray, restored: np.ndarray, lost: np.ndarray, threshold: float) -> np.ndarray:
    """`restored` made to agree with `clipped`, arrays of one shape: the clipped sound to the bit where nothing is lost,
    and elsewhere with the sign of the clipped sample and at least its magnitude."""
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
