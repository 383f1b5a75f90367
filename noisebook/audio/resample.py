"""Change of sample rate."""

from __future__ import annotations

import numpy as np

from noisebook.audio.waveform import MAX_SAMPLES, Waveform, check_sample_rate
from noisebook.errors import AudioError

__all__ = ["resample", "resampled_count"]


def resampled_count(sample_count: int, sample_rate: int, new_rate: int) -> int:
    """Samples per channel after resampling: `ceil(sample_count * new_rate / sample_rate)`, exactly."""
    return -(-sample_count * new_rate // sample_rate)


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """Band-limited resampling by soxr at quality HQ (20 bit), linear phase, without delay.

    Args:
        waveform: `[C, N]` at any rate.
        sample_rate: the new rate in Hz.

    Returns:
        `[C, resampled_count(N, ...)]`; the waveform itself where the rate is that already. Resampling back
        gives at least N samples, so a cut to N restores the length.

    Raises:
        AudioError: a rate outside the range, or more than `MAX_SAMPLES` samples of result.
    """
    import soxr

    new_rate, old_rate = check_sample_rate(sample_rate), waveform.sample_rate
    if new_rate == old_rate:
        return waveform
    count = resampled_count(waveform.sample_count, old_rate, new_rate)
    if count * waveform.channels > MAX_SAMPLES:
        raise AudioError(
            f"{waveform.duration:.0f} s at {new_rate} Hz are {count * waveform.channels} samples, "
            f"and at most {MAX_SAMPLES} are allowed: cut the sound into parts"
        )
    # soxr rounds its length down or up; a little silence behind the end makes it give `count` at least.
    frames = np.zeros((waveform.sample_count + old_rate // new_rate + 2, waveform.channels), np.float32)
    frames[: waveform.sample_count] = waveform.samples.T
    resampled = soxr.resample(frames, old_rate, new_rate, quality="HQ")[:count]
    return Waveform(np.ascontiguousarray(resampled.T), new_rate)
