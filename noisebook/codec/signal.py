"""Between the sound of a file and the latent that is coded: level, rate, autoencoder, vocoder, left and right.

Waveform --levelled--> [channels, N'] --analyse--> latent [latents, C, L, F']
Waveform <-restored--- [channels, N'] <-Rendered--- [channels of the model, N'] <-synthesised--- latent

A latent carries one channel, or both. Of both a model of mono sound gives back one, which the image spreads. All of the
way back goes block by block with a margin, so that an hour needs no more memory than a block, and a part of a sound
comes out as of the whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.image import SPREAD_MARGIN_SECONDS, StereoImage, spread
from noisebook.audio.level import SETTLED_SECONDS, apply_gain, high_passed, high_passed_blocks
from noisebook.audio.resample import resample, resampled_blocks
from noisebook.audio.waveform import Sound, Waveform
from noisebook.codec.stereo import read_image
from noisebook.codec.timeline import CELL_FRAMES, SoundFormat, Timeline
from noisebook.coding.container import ChannelMode, Header, Spans
from noisebook.diffusion.backend import Backend, FeatureBackend

_FADE_SECONDS = 0.005
_NOTHING = 1e-9  # of the full scale of the codec: a sound that stays below is silence


def levelled(sound: Sound, gain_half_db: int, sample_rate: int) -> np.ndarray:
    """`[channels, N']` at that rate, without what lies below hearing, with a gain in steps of 0.5 dB."""
    return resample(high_passed(sound), sample_rate, before=partial(apply_gain, half_db=gain_half_db)).samples


def restored(sound: Sound, to: SoundFormat) -> Waveform:
    """The inverse of `levelled`: the rate, level and exact length of a format. The sound need not be held whole."""
    return resample(sound, to.sample_rate, after=partial(apply_gain, half_db=-to.gain_half_db), count=to.sample_count)


def restored_blocks(blocks: Iterable[np.ndarray], sample_rate: int, to: SoundFormat) -> Iterator[np.ndarray]:
    """`restored` of `[channels, n]` blocks to blocks, holding none of them."""
    return resampled_blocks(
        blocks,
        sample_rate,
        to.sample_rate,
        count=to.sample_count,
        after=partial(apply_gain, half_db=-to.gain_half_db),
    )


def silent_spans(samples: np.ndarray, timeline: Timeline, below_db: float) -> Spans:
    """Runs of cells in which `[channels, N']` is silent throughout, channel after channel.

    Args:
        below_db: under the peak of the sound, what counts as silence.
    """
    peaks = np.stack([_frame_peaks(channel, timeline) for channel in samples])
    if timeline.joint:
        peaks = peaks.max(0, keepdims=True)
    silent = peaks <= max(_NOTHING, peaks.max() * 10 ** (-below_db / 20))
    cells = np.pad(silent, ((0, 0), (0, -silent.shape[1] % CELL_FRAMES)), constant_values=True)
    changes = np.flatnonzero(np.diff(cells.reshape(-1, CELL_FRAMES).all(1).astype(np.int8), prepend=0, append=0))
    return tuple((int(first), int(end)) for first, end in changes.reshape(-1, 2))


def _frame_peaks(samples: np.ndarray, timeline: Timeline) -> np.ndarray:
    """`[frames]`: the peak of each latent frame and of its two neighbours, which its features see too."""
    starts = np.arange(0, len(samples), timeline.info.frame_samples)
    highest, lowest = (pick.reduceat(samples, starts) for pick in (np.maximum, np.minimum))
    peaks = np.pad(np.maximum(highest, -lowest), (1, 1 + timeline.frames - len(starts)))  # no copy of an hour
    return np.max([peaks[:-2], peaks[1:-1], peaks[2:]], axis=0)


def analyse(samples: np.ndarray, timeline: Timeline, backend: Backend) -> torch.Tensor:
    """`[channels, N']` -> latent `[latents, C, L, F']`, a segment at a time with its margins: no joints."""

    def encode(piece: torch.Tensor) -> torch.Tensor:
        return backend.to_latent(piece.unflatten(0, (timeline.channels, -1)).to(backend.device))

    return segmentwise(encode, torch.from_numpy(samples), timeline, reads=timeline.info.frame_samples, writes=1)


def features_of(samples: np.ndarray, timeline: Timeline, backend: FeatureBackend) -> torch.Tensor:
    """`[channels, N']` -> the input of the autoencoder, `[latents, 1, T, bins]`, likewise."""

    def front_end(piece: torch.Tensor) -> torch.Tensor:
        return backend.features(by_latent(piece, timeline).to(backend.device))

    info = timeline.info
    return segmentwise(
        front_end, torch.from_numpy(samples), timeline, reads=info.frame_samples, writes=info.feature_frames
    )


def by_latent(samples: torch.Tensor, timeline: Timeline) -> torch.Tensor:
    """`[channels, n]` to what a mel takes: `[latents, n]`, or `[latents, 2, n]` of latents that carry both channels."""
    rows = samples.unflatten(0, (timeline.channels, -1))
    return rows if rows.shape[1] > 1 else rows[:, 0]


def synthesise(latent: torch.Tensor, timeline: Timeline, backend: Backend) -> np.ndarray:
    """Latent -> `[channels of the model, N']`, a segment at a time with its margins: no joints."""
    return joined(synthesised(latent, timeline, backend), timeline.sample_count)


def joined(pieces: Iterable[np.ndarray], count: int) -> np.ndarray:
    """`[channels, count]` of pieces `[channels, n]`, at least one."""
    whole, filled = np.empty(0, np.float32), 0
    for piece in pieces:
        if not filled:  # pieces in a list would take their memory twice
            whole = np.empty((len(piece), count), np.float32)
        whole[:, filled : filled + piece.shape[1]] = piece
        filled += piece.shape[1]
    return whole


def synthesised(latent: torch.Tensor, timeline: Timeline, backend: Backend) -> Iterator[np.ndarray]:
    """`synthesise`, `[channels, n]` of a segment at a time, none of which is held."""
    per_frame = timeline.info.frame_samples
    for start, end in timeline.segments():
        left, right = timeline.margins(start, end)
        samples = to_samples(latent[:, :, left:right], left, timeline, backend)
        last = min(end * per_frame, timeline.sample_count) - left * per_frame
        yield samples[:, (start - left) * per_frame : last]


def to_samples(latent: torch.Tensor, first_frame: int, timeline: Timeline, backend: Backend) -> np.ndarray:
    """Of all frames given, from frame `first_frame` of the timeline on, as a model of stereo sound or of mono sound
    gives it: `[channels, N']`."""
    sound = backend.to_waveform(latent, first_frame).cpu()
    return (sound.flatten(0, 1) if timeline.joint else sound.mean(1)).numpy()


def segmentwise(
    stage: Callable[..., torch.Tensor],
    x: torch.Tensor,
    timeline: Timeline,
    *,
    reads: int,
    writes: int,
    placed: bool = False,
) -> torch.Tensor:
    """A stage over the whole timeline, a segment at a time with its margins: no joints, and memory for one segment.

    Args:
        stage: maps the whole of `x`, or a stretch of it, and does not notice a cut that is a margin away.
        x: time is axis 1 of `[B, N]`, which may end early and is followed by silence, axis 2 of `[B, C, T, F]`;
            likewise in what `stage` returns.
        reads, writes: steps of time to a latent frame, of `x` and of the result.
        placed: the stage is also given where a stretch begins, in steps of `x`.
    """
    whole = torch.empty(0)
    for start, end in timeline.segments():
        left, right = timeline.margins(start, end)
        stretch = _stretch(x, left * reads, right * reads)
        result = stage(stretch, left * reads) if placed else stage(stretch)
        if not start:  # now it is known what the stage gives; pieces in a list would take their memory twice
            shape = list(result.shape)
            shape[_time_axis(result)] = timeline.frames * writes
            whole = result.new_empty(shape)
        piece = _stretch(result, (start - left) * writes, (end - left) * writes)
        _stretch(whole, start * writes, end * writes).copy_(piece)
    return whole


def _stretch(x: torch.Tensor, start: int, end: int) -> torch.Tensor:
    axis = _time_axis(x)
    piece = x.narrow(axis, start, min(end, x.shape[axis]) - start)
    missing = end - start - piece.shape[axis]
    return F.pad(piece, (0, missing)) if missing else piece


def _time_axis(x: torch.Tensor) -> int:
    return 1 if x.ndim == 2 else 2


@dataclass(frozen=True, eq=False)
class Rendered:
    """What a model makes of the latents of a sound, with nothing below hearing, spread over left and right, and with
    digital silence in the pauses: a `Sound` at the model's rate."""

    pieces: Iterable[np.ndarray]  # of the model, `[latents or audio channels, n]`, in order
    channel_mode: ChannelMode
    timeline: Timeline
    image: StereoImage | None = None  # of the channel mode IMAGE
    start: int = 0  # sample of the timeline with which the pieces begin

    @property
    def sample_rate(self) -> int:
        return self.timeline.info.sample_rate

    @property
    def channels(self) -> int:
        return self.channel_mode.channels

    @property
    def sample_count(self) -> int:
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
        timeline, start, cell = self.timeline, self.start, CELL_FRAMES * self.timeline.info.frame_samples
        cells, total = -(-timeline.frames // CELL_FRAMES), timeline.frames * timeline.info.frame_samples
        for block in blocks:
            quiet, end = block.copy(), start + block.shape[1]
            for channel in range(timeline.channels):
                row, before = quiet[channel : channel + 1] if timeline.channels > 1 else quiet, channel * cells
                first = bisect_right(timeline.pauses, before + start // cell, key=lambda pause: pause[1])
                last = bisect_left(timeline.pauses, before + -(-end // cell), key=lambda pause: pause[0])
                for low, high in timeline.pauses[first:last]:
                    edges = max(0, (low - before) * cell), min(total, (high - before) * cell)
                    left, right = max(edges[0], start), min(edges[1], end)
                    if left < right:
                        row[:, left - start : right - start] *= self._faded(left, right, edges, total)
            yield quiet
            start = end

    def _faded(self, first: int, last: int, edges: tuple[int, int], total: int) -> np.ndarray:
        """Gains of samples of a pause between `edges`: 0, but for a raised cosine at either side where the sound goes
        on; `[last - first]`, or one for all."""
        places = np.arange(first, last)
        from_left = places - edges[0] if edges[0] > 0 else np.inf
        from_right = edges[1] - 1 - places if edges[1] < total else np.inf
        share = np.clip(np.minimum(from_left, from_right) / (_FADE_SECONDS * self.sample_rate), 0, 1)
        return (0.5 + 0.5 * np.cos(np.pi * share)).astype(np.float32)


def sound_of(latent: torch.Tensor, header: Header, backend: Backend, image: bytes | None = None) -> Waveform:
    """The sound of a decoded latent `[latents, C, L, F']` at the rate, level and length of the header of its stream,
    with the message of its image, where it has one; CorruptStream for one that no encoder writes."""
    return restored(rendered(latent, header, backend, image), header)


def rendered(latent: torch.Tensor, header: Header, backend: Backend, image: bytes | None = None) -> Rendered:
    """`sound_of` at the model's rate and level, to be read once."""
    timeline = Timeline.of(header, backend.info, pauses=header.pauses)
    pieces = synthesised(latent, timeline, backend)
    return Rendered(pieces, header.channel_mode, timeline, read_image(image, timeline))
