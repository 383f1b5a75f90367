"""From what a model makes of latents to what a decoder gives: left and right, nothing below hearing, silent pauses.

All goes block by block with a margin, so that an hour needs no more memory than a block, and a part of a sound comes
out as of the whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from noisebook.audio.image import SPREAD_MARGIN_SECONDS, StereoImage, spread
from noisebook.audio.level import SETTLED_SECONDS, high_passed_blocks
from noisebook.audio.waveform import Waveform
from noisebook.codec.allocation import CELL_FRAMES
from noisebook.codec.signal import restored, synthesised
from noisebook.codec.stereo import read_image
from noisebook.codec.timeline import Timeline
from noisebook.coding.container import ChannelMode, Header
from noisebook.diffusion.backend import Backend

__all__ = ["Rendered", "rendered", "sound_of"]

_FADE_SECONDS = 0.005


@dataclass(frozen=True, eq=False)
class Rendered:
    """What a model makes of the latents of a sound, as it is heard: a `Sound` at the model's rate.

    Attributes:
        pieces: of the model, `[latents or audio channels, n]`, in order.
        channel_mode: of the sound.
        timeline: of the sound.
        image: of a sound with the channel mode IMAGE.
        start: sample of the timeline with which the pieces begin.
    """

    pieces: Iterable[np.ndarray]
    channel_mode: ChannelMode
    timeline: Timeline
    image: StereoImage | None = None
    start: int = 0

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.timeline.info.sample_rate

    @property
    def channels(self) -> int:
        """C."""
        return self.channel_mode.channels

    @property
    def sample_count(self) -> int:
        """Of the timeline."""
        return self.timeline.sample_count

    @property
    def margin(self) -> int:
        """Samples beyond which a cut of the pieces is no longer noticed."""
        settled = ceil(SETTLED_SECONDS * self.sample_rate)
        return settled + self._spread_margin if self.channel_mode is ChannelMode.IMAGE else settled

    def blocks(self) -> Iterator[np.ndarray]:
        """`[C, n]`, held no longer than the margin asks for."""
        pieces = high_passed_blocks(self.pieces, self.sample_rate)
        if self.image is not None:
            pieces = self._spread(pieces, self.image)
        elif self.channel_mode is ChannelMode.EQUAL:
            pieces = (np.repeat(piece, 2, axis=0) for piece in pieces)
        return self._silenced(pieces) if self.timeline.pauses else pieces

    @property
    def _spread_margin(self) -> int:
        return ceil(SPREAD_MARGIN_SECONDS * self.sample_rate)

    def _spread(self, pieces: Iterable[np.ndarray], image: StereoImage) -> Iterator[np.ndarray]:
        """Of what is held only that which is a margin away from where it breaks off."""
        rate, margin = self.sample_rate, self._spread_margin
        held, start, done = np.empty(0, np.float32), self.start, self.start
        for piece in pieces:
            held = np.concatenate([held, piece[0]])
            ready = start + len(held) - margin
            if ready <= done:
                continue
            yield spread(held, image, rate, start=start)[:, done - start : ready - start]
            drop = max(0, ready - margin - start)
            held, start, done = held[drop:], start + drop, ready
        if start + len(held) > done:
            yield spread(held, image, rate, start=start)[:, done - start :]

    def _silenced(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """With silence in the pauses, faded out and in within them, so that what sounds beside stays whole."""
        timeline, start = self.timeline, self.start
        cell = CELL_FRAMES * timeline.info.frame_samples
        cells, total = -(-timeline.frames // CELL_FRAMES), timeline.frames * timeline.info.frame_samples
        for block in blocks:
            quiet, end = block.copy(), start + block.shape[1]
            for channel in range(timeline.channels):
                row, before = quiet[channel : channel + 1] if timeline.channels > 1 else quiet, channel * cells
                first = bisect_right(timeline.pauses, before + start // cell, key=lambda pause: pause[1])
                last = bisect_left(timeline.pauses, before - -end // cell, key=lambda pause: pause[0])
                for low, high in timeline.pauses[first:last]:
                    edges = max(0, (low - before) * cell), min(total, (high - before) * cell)
                    left, right = max(edges[0], start), min(edges[1], end)
                    if left < right:
                        row[:, left - start : right - start] *= self._faded(left, right, edges, total)
            yield quiet
            start = end

    def _faded(self, first: int, last: int, edges: tuple[int, int], total: int) -> np.ndarray:
        """`[last - first]`: gains of samples of a pause between `edges`: 0, but for a raised cosine at either side
        where the sound goes on."""
        places = np.arange(first, last)
        depth = np.full(last - first, np.inf)
        if edges[0] > 0:
            depth = np.minimum(depth, places - edges[0])
        if edges[1] < total:
            depth = np.minimum(depth, edges[1] - 1 - places)
        share = np.clip(depth / (_FADE_SECONDS * self.sample_rate), 0, 1)
        return (0.5 + 0.5 * np.cos(np.pi * share)).astype(np.float32)


def sound_of(latent: torch.Tensor, header: Header, backend: Backend, image: bytes | None = None) -> Waveform:
    """The sound of a latent `[latents, C, L, F']` at the rate, level and length of the header: ends a decode.

    Args:
        latent: decoded.
        header: of its stream.
        backend: the model.
        image: the message of the stream's image, where the channel mode has one.

    Raises:
        CorruptStream: an image that no encoder writes.
    """
    return restored(rendered(latent, header, backend, image), header)


def rendered(latent: torch.Tensor, header: Header, backend: Backend, image: bytes | None = None) -> Rendered:
    """`sound_of` at the model's rate and level, for one listening."""
    timeline = Timeline.of(header, backend.info, pauses=header.pauses)
    pieces = synthesised(latent, timeline, backend)
    return Rendered(pieces, header.channel_mode, timeline, read_image(image, timeline))
