"""The way down to one channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from noisebook.audio.waveform import Sound, Waveform

__all__ = ["Downmix", "downmix"]


def downmix(waveform: Waveform) -> Waveform:
    """Mean of all channels, `[1, N]`; a mono waveform comes back as it is."""
    if waveform.channels == 1:
        return waveform
    return Waveform(waveform.samples.mean(axis=0, keepdims=True), waveform.sample_rate)


@dataclass(frozen=True)
class Downmix:
    """`downmix` of a sound that is not held whole, block by block.

    Attributes:
        sound: what is mixed down.
    """

    sound: Sound
    channels: int = 1

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.sound.sample_rate

    @property
    def sample_count(self) -> int:
        """N."""
        return self.sound.sample_count

    def blocks(self) -> Iterator[np.ndarray]:
        """Means of all channels, `[1, n]`."""
        return (block.mean(axis=0, keepdims=True) for block in self.sound.blocks())
