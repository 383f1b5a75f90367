"""Stereo as mid and side, and the way down to one channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from noisebook.audio.waveform import Sound, Waveform
from noisebook.errors import AudioError

__all__ = ["Downmix", "downmix", "from_mid_side", "to_mid_side"]


def to_mid_side(samples: np.ndarray) -> np.ndarray:
    """`[2, N]` left and right to `[2, N]` mid `(l + r) / 2` and side `(l - r) / 2`.

    Neither exceeds the louder of left and right. The inverse is `from_mid_side`: to the bit for samples of
    up to 23 bits (any 16-bit file), to the last place of the louder channel for others.

    Raises:
        AudioError: the array is not `[2, N]`.
    """
    left, right = _pair(samples)
    return np.stack([(left + right) / 2, (left - right) / 2])


def from_mid_side(samples: np.ndarray) -> np.ndarray:
    """`[2, N]` mid and side to `[2, N]` left `m + s` and right `m - s`.

    Raises:
        AudioError: the array is not `[2, N]`.
    """
    mid, side = _pair(samples)
    return np.stack([mid + side, mid - side])


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


def _pair(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if samples.ndim != 2 or samples.shape[0] != 2:
        raise AudioError(f"an array of shape {list(samples.shape)} is not stereo: give [2, N]")
    return samples[0], samples[1]
