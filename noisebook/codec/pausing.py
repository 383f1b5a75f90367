"""Variable rate: which units of a sound are silence, so that they need no choices, and what a decoder puts there.

Where all frames of a unit lie in a pause of the header, encoder and decoder know the clean latent: that of silence. The
denoiser is told so (`SegmentCoder.rested`), and the noise of such a unit is atom 0 of its parts (format.md 5.9).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noisebook.audio.waveform import Sound
from noisebook.codec.layout import layout_of, timeline_of
from noisebook.codec.presets import engine_of
from noisebook.codec.signal import levelled
from noisebook.coding import container
from noisebook.coding.container import Codebook, Header, Rule
from noisebook.coding.stretches import CELL_FRAMES, Stretches, stretches_of
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.errors import ConfigError, CorruptStream, UnsupportedStream

__all__ = ["can_vary", "check_stretches", "silence_of", "worthwhile"]

_BELOW_DB = 60.0  # under the peak of the sound: a peak lower than that is silence


def worthwhile(sound: Sound, header: Header, info: BackendInfo) -> Stretches:
    """The pauses of a sound that save more bytes of choices than they take of the header.

    None of them where they leave a progressive stream fewer bits than segments: hours of nothing but silence.

    Raises:
        ConfigError: coding parameters that have no pauses.
    """
    if not can_vary(header):
        raise ConfigError("a variable rate needs the partitioned rule and the structured codebook")
    found = replace(header, pauses=_silent(sound, header, info))
    sizes = [_size(each, info) for each in (found, header)]
    return found.pauses if sizes[0] < sizes[1] and _is_bounded(found, info) else ()


def can_vary(header: Header) -> bool:
    """Whether the coding parameters have pauses and accents."""
    engine = engine_of(header)
    return engine.rule == Rule.PARTITIONED and engine.codebook == Codebook.STRUCTURED


def check_stretches(header: Header, info: BackendInfo) -> None:
    """Refuse pauses and accents behind the end of the sound, those that the coding parameters cannot have, and too many
    segments of pauses (format.md 3.1).

    Raises:
        UnsupportedStream, CorruptStream.
    """
    if not (header.pauses or header.accents):
        return
    if not can_vary(header):
        raise UnsupportedStream(
            "pauses and accents belong to the partitioned rule with the structured codebook: update this build"
        )
    timeline = timeline_of(header, info)
    cells = timeline.channels * -(-timeline.frames // CELL_FRAMES)
    for what, stretches in (("a pause", header.pauses), ("an accent", header.accents)):
        if stretches and stretches[-1][1] > cells:
            raise CorruptStream(f"{what} ends at cell {stretches[-1][1]}, the sound at {cells}")
    if header.pauses and not _is_bounded(header, info):
        raise CorruptStream("header and first step of a progressive stream have fewer bits than there are segments")


def silence_of(backend: Backend) -> torch.Tensor:
    """`[1, C, 1, F']`: a latent frame of digital silence, out of reach of either end."""
    info = backend.info
    frames = -(-(2 * info.margin_frames + 1) // info.frame_multiple) * info.frame_multiple
    latent = backend.to_latent(torch.zeros(1, info.audio_channels, frames * info.frame_samples, device=backend.device))
    return latent[:, :, frames // 2 : frames // 2 + 1]


def _size(header: Header, info: BackendInfo) -> int:
    layout = layout_of(header, info)
    return container.overhead(header, layout.payload_count) + layout.payload_size


def _is_bounded(header: Header, info: BackendInfo) -> bool:
    """Whether the bytes of a stream bound the number of its segments, those that are all pause too (format.md 3.1)."""
    layout = layout_of(header, info)
    return not header.progressive or layout.segment_count <= 8 * (container.overhead(header, 0) + layout.step_size)


def _silent(sound: Sound, header: Header, info: BackendInfo) -> Stretches:
    """Stretches of silent cells, channel after channel, none shorter than a unit."""
    timeline = timeline_of(header, info)
    peaks = np.stack([_frame_peaks(channel, timeline.frames, info) for channel in levelled(sound, header, info)])
    if timeline.joint:
        peaks = peaks.max(0, keepdims=True)
    silent = peaks <= peaks.max() * 10 ** (-_BELOW_DB / 20)
    shortest = engine_of(header).unit_frames
    return tuple(run for run in stretches_of(silent) if (run[1] - run[0]) * CELL_FRAMES >= shortest)


def _frame_peaks(samples: np.ndarray, frames: int, info: BackendInfo) -> np.ndarray:
    """`[frames]`: the peak of each latent frame and of its two neighbours, which its mel hears too."""
    padded = np.zeros(frames * info.frame_samples, np.float32)
    padded[: len(samples)] = np.abs(samples)
    peaks = np.pad(padded.reshape(frames, -1).max(1), 1)
    return np.max([peaks[:-2], peaks[1:-1], peaks[2:]], axis=0)
