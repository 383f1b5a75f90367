"""Putting restored sound into what is left of the original: in time, or in frequency."""

from __future__ import annotations

import numpy as np

from noisebook.audio.damage import Span, low_pass
from noisebook.audio.waveform import Waveform

__all__ = ["FADE", "faded_in", "with_band_above"]

FADE = 0.01  # seconds on either side of a gap
_CONTEXT = 0.05  # seconds on either side in which levels are compared
_MOST_GAIN = 2.0  # and half of it is the least


def faded_in(original: Waveform, restored: Waveform, spans: tuple[Span, ...]) -> Waveform:
    """The original with the spans taken from `restored`, at the level of their surroundings.

    Samples further than `FADE` from a span are those of the original, to the bit.
    """
    samples = original.samples.copy()
    fade, context = (max(1, round(seconds * original.sample_rate)) for seconds in (FADE, _CONTEXT))
    for start, end in spans:
        first, last = max(0, start - fade), min(original.sample_count, end + fade)
        levels = [
            _level_ratio(original.samples[:, part], restored.samples[:, part])
            for part in (slice(max(0, start - context), start), slice(end, end + context))
        ]
        gain = np.interp(np.arange(first, last), [start, end], _without_none(levels)).astype(np.float32)
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


def _without_none(levels: list[float | None]) -> list[float]:
    """Before and after a span; the other one's, or no gain, where one is unknown."""
    before, after = levels
    first = before if before is not None else after
    last = after if after is not None else before
    return [1.0 if first is None else first, 1.0 if last is None else last]


def _fade_weights(first: int, start: int, end: int, last: int) -> np.ndarray:
    """Share of the restored sound from `first` to `last`: raised-cosine ramps outside of `start..end`, 1 inside."""
    weights = np.ones(last - first, np.float32)
    for part, count in ((slice(None, start - first), start - first), (slice(end - first, None), last - end)):
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(1, count))
        weights[part] = ramp if part.start is None else ramp[::-1]
    return weights
