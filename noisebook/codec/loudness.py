"""A decode is as loud as its original: the encoder hears what it has written, and writes what is missing into the gain.

A decode is quieter, by what the model leaves open: the tail ends near the mean of what may be meant, which has less
energy than each of it; the more so the fewer bits (docs/level.md). One number makes up for it: the gain in the header,
by which a decoder divides, need not be the one that the encoder applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from noisebook.audio.high_pass import HighPassed
from noisebook.audio.level import apply_gain, loudness_of
from noisebook.audio.waveform import Sound
from noisebook.coding.container import Header

__all__ = ["matched"]

_GATE = -70.0  # LUFS: what is below counts as that
_LEAST, _MOST = -128, 127  # half dB


def matched(header: Header, sound: Sound, decoded: Iterable[np.ndarray]) -> Header:
    """The header with the gain that gives a decode the loudness (ITU-R BS.1770-4) of the original.

    Args:
        header: with the gain that was applied before encoding.
        sound: the original.
        decoded: what a decoder makes of the stream before it divides by the gain, `[C, n]` at the rate of the sound.
    """
    gain = header.gain_half_db
    original = (apply_gain(block, gain) for block in HighPassed(sound).blocks())
    wanted = max(_GATE, loudness_of(original, sound.sample_rate))
    found = max(_GATE, loudness_of(decoded, sound.sample_rate))
    if wanted == _GATE and not any(block.any() for block in sound.blocks()):
        return replace(header, gain_half_db=_MOST)  # digital silence, of which no engine may make a noise
    return replace(header, gain_half_db=max(_LEAST, min(_MOST, gain + round(2 * (found - wanted)))))
