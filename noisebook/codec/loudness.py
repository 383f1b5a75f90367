"""A decode is as loud as its original: the encoder hears what it has written, and writes what is missing into the gain.

A decode is quieter, by what the model leaves open: the tail ends near the mean of what may be meant, which has less
energy than each, the more so the fewer bits (docs/studies.md). One number makes up for it: the gain in the header,
by which a decoder divides, need not be the one that the encoder applied.

A sound that was clipped peaks higher when it is decoded, and the peak guard takes some of its loudness; so that much is
added as brings what the guard leaves within half a unit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from noisebook.audio.level import PeakGuard, apply_gain, high_passed, loudness_of
from noisebook.audio.waveform import Sound
from noisebook.coding.container import Header

__all__ = ["matched"]

_GATE = -70.0  # LUFS: what is below counts as that
_LEAST, _MOST = -128, 127  # half dB
_NEAR, _MOST_ADDED = 0.5, 12  # LU; half dB that are added for what the peak guard takes


def matched(header: Header, sound: Sound, decoded: Callable[[], Iterable[np.ndarray]]) -> Header:
    """The header with the gain that gives a decode the loudness (ITU-R BS.1770-4) of the original.

    Args:
        header: with the gain that was applied before encoding.
        sound: the original.
        decoded: what a decoder makes of the stream before it divides by the gain, `[C, n]` at the rate of the sound;
            called once, or a few times where something is added.
    """
    gain, rate = header.gain_half_db, sound.sample_rate
    original = (apply_gain(block, gain) for block in high_passed(sound).blocks())
    wanted = max(_GATE, loudness_of(original, rate))
    if wanted == _GATE and not any(block.any() for block in sound.blocks()):
        return replace(header, gain_half_db=_MOST)  # digital silence, of which no decode may make a noise
    peak = _Peak()
    found = max(_GATE, loudness_of(peak.of(decoded()), rate))
    written = _clamped(gain + round(2 * (found - wanted)))
    if peak.value > 10 ** (written / 40) and all(np.abs(block).max() <= 1 for block in sound.blocks()):
        lost = partial(_lost, sound_loudness=wanted - gain / 2, decoded=decoded, sample_rate=rate)
        steps = [_clamped(written - step) for step in range(_MOST_ADDED + 1)]
        written = steps[bisect_left(steps[:-1], True, key=lambda step: lost(step) <= _NEAR)]
    return replace(header, gain_half_db=written)


def _lost(gain: int, *, sound_loudness: float, decoded: Callable[[], Iterable[np.ndarray]], sample_rate: int) -> float:
    """LU that a decode with that gain in its header lacks behind the peak guard."""
    heard = PeakGuard(sample_rate).blocks(apply_gain(block, -gain) for block in decoded())
    return sound_loudness - loudness_of(heard, sample_rate)


def _clamped(half_db: int) -> int:
    return max(_LEAST, min(_MOST, half_db))


class _Peak:
    """The largest magnitude of blocks that pass."""

    def __init__(self) -> None:
        self.value = 0.0

    def of(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.value = max(self.value, float(np.abs(block).max(initial=0)))
            yield block
