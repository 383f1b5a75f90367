"""Pauses: which units of a sound are silence, so that they need no choices, and what a decoder puts there.

Where all frames of a unit lie in a pause of the header, encoder and decoder know the clean latent: that of silence. The
denoiser is told so (`SegmentCoder.rested`), and the noise of such a unit is atom 0 of its parts (format.md 5.9). What
the vocoder makes of it is nearly silence, and a decoder makes it silence.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from noisebook.audio.waveform import Sound
from noisebook.codec.layout import layout_of, timeline_of
from noisebook.codec.presets import engine_of
from noisebook.coding import container
from noisebook.coding.container import Header
from noisebook.coding.stretches import CELL_FRAMES, Stretches, stretches_of
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.errors import CorruptStream

if TYPE_CHECKING:
    import torch

__all__ = ["BELOW_DB", "DIGITAL_DB", "check_stretches", "hushed", "silence_of", "worthwhile"]

BELOW_DB = 60.0  # under the peak of the sound: what a variable rate takes for silence
DIGITAL_DB = 110.0  # what is silence to all: no step of 16 bits, and what filters leave behind a sound
_NOTHING = 1e-9  # of the full scale of the codec: a sound of nothing but that is silence
_FADE_SECONDS = 0.005


def worthwhile(sound: Sound, header: Header, info: BackendInfo, *, below_db: float = BELOW_DB) -> Stretches:
    """The pauses of a sound that save more bytes of choices than they take of the header.

    None of them where they leave a progressive stream fewer bits than segments: hours of nothing but silence.

    Args:
        sound: the original.
        header: of its stream.
        info: of the model.
        below_db: so far under the peak of the sound is silence.
    """
    found = replace(header, pauses=_silent(sound, header, info, below_db))
    sizes = [_size(each, info) for each in (found, replace(header, pauses=()))]
    return found.pauses if sizes[0] < sizes[1] and _is_bounded(found, info) else ()


def check_stretches(header: Header, info: BackendInfo) -> None:
    """CorruptStream for pauses behind the end of the sound, and for too many segments of pauses (format.md 3.1)."""
    if not header.pauses:
        return
    timeline = timeline_of(header, info)
    cells = timeline.channels * -(-timeline.frames // CELL_FRAMES)
    if header.pauses[-1][1] > cells:
        raise CorruptStream(f"a pause ends at cell {header.pauses[-1][1]}, the sound at {cells}")
    if not _is_bounded(header, info):
        raise CorruptStream("header and first step of a progressive stream have fewer bits than there are segments")


def silence_of(backend: Backend) -> torch.Tensor:
    """`[1, C, 1, F']`: a latent frame of digital silence, out of reach of either end."""
    import torch

    info = backend.info
    frames = -(-(2 * info.margin_frames + 1) // info.frame_multiple) * info.frame_multiple
    latent = backend.to_latent(torch.zeros(1, info.audio_channels, frames * info.frame_samples, device=backend.device))
    return latent[:, :, frames // 2 : frames // 2 + 1]


def hushed(blocks: Iterable[np.ndarray], header: Header, info: BackendInfo, start: int = 0) -> Iterator[np.ndarray]:
    """A decode at the model's rate, `[C, n]` in order from sample `start` on, with silence in the pauses of the header.

    It is faded out and in within the pause, so that what sounds beside it stays whole.
    """
    timeline, cell = timeline_of(header, info), CELL_FRAMES * info.frame_samples
    cells, total = -(-timeline.frames // CELL_FRAMES), timeline.frames * info.frame_samples
    for block in blocks:
        quiet, end = block.copy(), start + block.shape[1]
        for channel in range(timeline.channels):
            row = quiet[channel : channel + 1] if timeline.channels > 1 else quiet
            for low, high in _between(header.pauses, channel * cells + start // cell, channel * cells - -end // cell):
                edges = max(0, (low - channel * cells) * cell), min(total, (high - channel * cells) * cell)
                first, last = max(edges[0], start), min(edges[1], end)
                if first < last:
                    row[:, first - start : last - start] *= _faded(first, last, edges, total, info.sample_rate)
        yield quiet
        start = end


def _between(stretches: Stretches, first: int, end: int) -> Stretches:
    """Those that touch cells `first` to `end`."""
    return stretches[bisect_right(stretches, first, key=_last) : bisect_left(stretches, end, key=_first)]


def _first(stretch: tuple[int, int]) -> int:
    return stretch[0]


def _last(stretch: tuple[int, int]) -> int:
    return stretch[1]


def _faded(first: int, last: int, edges: tuple[int, int], total: int, sample_rate: int) -> np.ndarray:
    """`[last - first]`: gains of samples of a pause between `edges`: 0, but for a raised cosine at either side where
    the sound goes on."""
    places = np.arange(first, last)
    depth = np.full(last - first, np.inf)
    if edges[0] > 0:
        depth = np.minimum(depth, places - edges[0])
    if edges[1] < total:
        depth = np.minimum(depth, edges[1] - 1 - places)
    share = np.clip(depth / (_FADE_SECONDS * sample_rate), 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * share)).astype(np.float32)


def _size(header: Header, info: BackendInfo) -> int:
    layout = layout_of(header, info)
    return container.overhead(header, layout.payload_count) + layout.payload_size


def _is_bounded(header: Header, info: BackendInfo) -> bool:
    """Whether the bytes of a stream bound the number of its segments, those that are all pause too (format.md 3.1)."""
    layout = layout_of(header, info)
    return not header.progressive or layout.segment_count <= 8 * (container.overhead(header, 0) + layout.step_size)


def _silent(sound: Sound, header: Header, info: BackendInfo, below_db: float) -> Stretches:
    """Stretches of silent cells, channel after channel, none shorter than a unit."""
    from noisebook.codec.signal import levelled  # needs torch, which reading a header does not

    timeline = timeline_of(header, info)
    peaks = np.stack([_frame_peaks(channel, timeline.frames, info) for channel in levelled(sound, header, info)])
    if timeline.joint:
        peaks = peaks.max(0, keepdims=True)
    silent = peaks <= max(_NOTHING, peaks.max() * 10 ** (-below_db / 20))
    shortest = engine_of(header).unit_frames
    return tuple(run for run in stretches_of(silent) if (run[1] - run[0]) * CELL_FRAMES >= shortest)


def _frame_peaks(samples: np.ndarray, frames: int, info: BackendInfo) -> np.ndarray:
    """`[frames]`: the peak of each latent frame and of its two neighbours, which its mel hears too."""
    starts = np.arange(0, len(samples), info.frame_samples)
    highest, lowest = (pick.reduceat(samples, starts) for pick in (np.maximum, np.minimum))
    peaks = np.pad(np.maximum(highest, -lowest), (1, 1 + frames - len(starts)))  # no copy of an hour
    return np.max([peaks[:-2], peaks[1:-1], peaks[2:]], axis=0)
