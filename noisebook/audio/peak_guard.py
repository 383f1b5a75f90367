"""A synthesised sound within full scale, where its samples are to be whole numbers.

A decode may peak above its original, and an integer format would cut that off. A limiter turns it down instead, around
a peak and by `_MOST_DB` at most. What is higher is clipped: that is a sound that was clipped before it was coded, and
would lose its loudness otherwise. What is 2 ms away from all that is beyond full scale is kept to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from noisebook.audio.waveform import Waveform

__all__ = ["PeakGuard", "guard_margin", "guarded"]

_MOST_DB = 4.0
_REACH_SECONDS = 0.001  # of the least gain to either side, and again of its smoothing


def guard_margin(sample_rate: int) -> int:
    """Samples beyond which the guard does not notice a cut."""
    return 2 * _reach(sample_rate)


def guarded(waveform: Waveform) -> tuple[Waveform, int]:
    """A whole sound through a `PeakGuard`, and how many samples were beyond full scale."""
    guard = PeakGuard(waveform.sample_rate)
    samples = np.concatenate(list(guard.blocks([waveform.samples])), axis=1)
    return (waveform if not guard.held else Waveform(samples, waveform.sample_rate)), guard.held


class PeakGuard:
    """Holds a sound within [-1, 1], all channels by the same gain, block by block: the same however it is cut.

    Args:
        sample_rate: Hz.

    Attributes:
        held: samples that were beyond full scale, so far.
    """

    def __init__(self, sample_rate: int) -> None:
        self._reach, self.held = _reach(sample_rate), 0

    def blocks(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """`[C, n]` in order to the same samples, held; a little later, as it looks ahead."""
        margin, waiting = 2 * self._reach, np.empty((0, 0), np.float32)
        for block in blocks:
            self.held += int(np.count_nonzero(np.abs(block) > 1))
            before = waiting if waiting.size else np.zeros((len(block), margin), np.float32)
            waiting = np.concatenate([before, block], axis=1)
            if waiting.shape[1] > 2 * margin:
                yield self._within(waiting)
                waiting = waiting[:, -2 * margin :]
        if waiting.shape[1] > margin:
            yield self._within(np.pad(waiting, ((0, 0), (0, margin))))

    def _within(self, samples: np.ndarray) -> np.ndarray:
        """What is a margin away from either end of `[C, n]`."""
        margin = 2 * self._reach
        kept = samples[:, margin : samples.shape[1] - margin]
        peaks = np.abs(samples).max(axis=0)
        if peaks.max() <= 1:
            return kept
        return np.clip(kept * self._gain(peaks), -1, 1).astype(np.float32)

    def _gain(self, peaks: np.ndarray) -> np.ndarray:
        """`[n - 2 margin]`: means, by a Hann window, of the least gains around: none exceeds what its peak needs."""
        from scipy.ndimage import minimum_filter1d

        needed = np.maximum(1 / np.maximum(peaks.astype(np.float64), 1), 10 ** (-_MOST_DB / 20))
        least = minimum_filter1d(needed, 2 * self._reach + 1)[self._reach : len(peaks) - self._reach]
        window = np.hanning(2 * self._reach + 3)[1:-1]
        return 1 - np.convolve(1 - least, window / window.sum(), mode="valid")


def _reach(sample_rate: int) -> int:
    return max(1, round(_REACH_SECONDS * sample_rate))
