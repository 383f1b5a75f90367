"""Between the sound of a file and the latent that is coded: level, rate, autoencoder, vocoder.

Waveform --levelled--> [channels, N'] --analyse--> latent [latents, C, L, F']
Waveform <-restored--- [channels, N'] <-synthesise-'

A latent carries one channel, or both. Of both a model of mono sound gives back one, to be spread (`codec.stereo`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.high_pass import high_passed
from noisebook.audio.level import apply_gain
from noisebook.audio.resample import resample, resampled_blocks
from noisebook.audio.waveform import Sound, Waveform
from noisebook.codec.layout import Timeline
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend, BackendInfo

__all__ = [
    "analyse",
    "by_latent",
    "heard_by",
    "levelled",
    "levelled_at",
    "margins",
    "restored",
    "restored_blocks",
    "restored_sound",
    "segmentwise",
    "synthesise",
    "synthesised",
    "to_samples",
]


def levelled(sound: Sound, header: Header, info: BackendInfo) -> np.ndarray:
    """`[channels, N']` at the model's rate and the header's gain."""
    return levelled_at(info.sample_rate, sound, header)


def levelled_at(sample_rate: int, sound: Sound, header: Header) -> np.ndarray:
    """`levelled` at any rate, for a front end that does not listen at the model's."""

    def level(block: np.ndarray) -> np.ndarray:
        return apply_gain(block, header.gain_half_db)

    return resample(high_passed(sound), sample_rate, before=level).samples


def restored(samples: np.ndarray, header: Header, info: BackendInfo) -> Waveform:
    """The inverse of `levelled`, with the header's rate and exact length."""
    return restored_sound(Waveform(samples, info.sample_rate), header)


def restored_sound(sound: Sound, header: Header) -> Waveform:
    """`restored` of a sound at the model's rate, which need not be held whole."""
    return resample(sound, header.sample_rate, after=_level_of(header), count=header.sample_count)


def restored_blocks(blocks: Iterable[np.ndarray], header: Header, info: BackendInfo) -> Iterator[np.ndarray]:
    """`restored` of `[channels, n]` blocks to blocks, holding none of them."""
    return resampled_blocks(
        blocks,
        info.sample_rate,
        header.sample_rate,
        channels=header.channel_mode.channels,
        count=header.sample_count,
        after=_level_of(header),
    )


def _level_of(header: Header) -> Callable[[np.ndarray], np.ndarray]:
    """From the level of the codec to that of the header."""

    def level(block: np.ndarray) -> np.ndarray:
        return apply_gain(block, -header.gain_half_db)

    return level


def analyse(samples: np.ndarray, layout: Timeline, backend: Backend) -> torch.Tensor:
    """`[channels, N']` -> latent `[latents, C, L, F']`, a segment at a time with its margins: no joints."""

    def encode(piece: torch.Tensor) -> torch.Tensor:
        return backend.to_latent(piece.unflatten(0, (layout.channels, -1)).to(backend.device))

    return heard_by(encode, samples, layout, per_frame=layout.info.frame_samples, writes=1)


def by_latent(samples: torch.Tensor, layout: Timeline) -> torch.Tensor:
    """`[channels, n]` to what a mel takes: `[latents, n]`, or `[latents, 2, n]` of latents that carry both channels."""
    rows = samples.unflatten(0, (layout.channels, -1))
    return rows if rows.shape[1] > 1 else rows[:, 0]


def synthesise(latent: torch.Tensor, layout: Timeline, backend: Backend) -> np.ndarray:
    """Latent -> `[channels of the model, N']`, a segment at a time with its margins: no joints."""

    def decode(piece: torch.Tensor, first_frame: int) -> torch.Tensor:
        return to_samples(piece, first_frame, layout, backend)

    waveform = segmentwise(decode, latent, layout, reads=1, writes=layout.info.frame_samples, placed=True)
    return waveform.numpy()[:, : layout.sample_count]


def synthesised(latent: torch.Tensor, layout: Timeline, backend: Backend) -> Iterator[np.ndarray]:
    """`synthesise`, `[channels, n]` of a segment at a time, none of which is held."""
    per_frame = layout.info.frame_samples
    for start, end in layout.segments():
        left, right = margins(start, end, layout.frames, layout.info)
        heard = to_samples(latent[:, :, left:right], left, layout, backend).numpy()
        last = min(end * per_frame, layout.sample_count) - left * per_frame
        yield heard[:, (start - left) * per_frame : last]


def to_samples(latent: torch.Tensor, first_frame: int, layout: Timeline, backend: Backend) -> torch.Tensor:
    """Of all frames given, from frame `first_frame` of the timeline on, as a model of stereo sound or of mono sound
    gives it: `[channels, N']`."""
    sound = backend.to_waveform(latent, first_frame).cpu()
    return sound.flatten(0, 1) if layout.joint else sound.mean(1)


def heard_by(
    stage: Callable[[torch.Tensor], torch.Tensor], samples: np.ndarray, layout: Timeline, *, per_frame: int, writes: int
) -> torch.Tensor:
    """`segmentwise` for a stage that listens to `[channels, N]`, `per_frame` samples to a latent frame; silence follows
    the end of the sound up to a whole frame."""
    return segmentwise(stage, torch.from_numpy(samples), layout, reads=per_frame, writes=writes)


def segmentwise(
    stage: Callable[..., torch.Tensor],
    x: torch.Tensor,
    layout: Timeline,
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
    for start, end in layout.segments():
        left, right = margins(start, end, layout.frames, layout.info)
        stretch = _stretch(x, left * reads, right * reads)
        result = stage(stretch, left * reads) if placed else stage(stretch)
        if not start:  # now it is known what the stage gives; pieces in a list would take their memory twice
            shape = list(result.shape)
            shape[_time_axis(result)] = layout.frames * writes
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


def margins(start: int, end: int, frames: int, info: BackendInfo) -> tuple[int, int]:
    """First and end frame of what a stage has to see so that frames `start` to `end` come out as of the whole."""
    return max(0, start - info.margin_frames), min(frames, end + info.margin_frames)
