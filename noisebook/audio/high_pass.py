"""What lies below hearing is taken away before analysis, and behind a vocoder: an offset, and rumble below 20 Hz.

An offset is no sound, yet it would set the coding gain, and what a model makes of it in a pause is a burst. Vocoders
make offsets of their own beside loud bass, of some hundredths of its peak.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from noisebook.audio.waveform import Processed, Sound

__all__ = ["CUTOFF", "SETTLED_SECONDS", "high_passed", "high_passed_blocks"]

CUTOFF = 20.0  # Hz, where 3 dB are lost; at 40 Hz it is 0.26 dB, and below 0.2 dB from 43 Hz on
SETTLED_SECONDS = 0.25  # until what came before counts for less than 1e-9: it fades as exp(-2 pi CUTOFF t / sqrt(2))


def high_passed(sound: Sound) -> Processed:
    """A sound without what lies below `CUTOFF`: a Butterworth filter of second order, block by block.

    Its state begins as if the first sample had lasted for ever, so that an offset is gone from the start.
    """
    return Processed(sound, lambda blocks: high_passed_blocks(blocks, sound.sample_rate), sound.channels)


def high_passed_blocks(blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
    """`high_passed` of blocks `[C, n]`, in order."""
    from scipy.signal import butter, sosfilt, sosfilt_zi

    sections = butter(2, CUTOFF, "highpass", fs=sample_rate, output="sos")
    state = None
    for block in blocks:
        samples = block.astype(np.float64)
        if state is None:  # [sections, C, 2]
            state = sosfilt_zi(sections)[:, None] * samples[None, :, :1]
        filtered, state = sosfilt(sections, samples, axis=1, zi=state)
        yield filtered.astype(np.float32)
