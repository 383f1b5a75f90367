"""Between the sound of a file and the latent that is coded: level, rate, autoencoder, vocoder.

Waveform --levelled--> [channels, N'] --analyse--> latent [latents, C, L, F']
Waveform <-restored--- [channels, N'] <-synthesise-'

A latent carries one channel, or both. Of both a model of mono sound gives back one, to be spread (`codec.rendering`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.level import apply_gain, high_passed
from noisebook.audio.resample import resample, resampled_blocks
from noisebook.audio.waveform import Sound, Waveform
from noisebook.codec.timeline import SoundFormat, Timeline
from noisebook.diffusion.backend import Backend, FeatureBackend

__all__ = [
    "analyse",
    "by_latent",
    "features_of",
    "levelled",
    "restored",
    "restored_blocks",
    "segmentwise",
    "synthesise",
    "synthesised",
    "to_samples",
]


def levelled(sound: Sound, gain_half_db: int, sample_rate: int) -> np.ndarray:
    """`[channels, N']` at that rate, without what lies below hearing, with a gain in steps of 0.5 dB."""
    return resample(high_passed(sound), sample_rate, before=lambda block: apply_gain(block, gain_half_db)).samples


def restored(sound: Sound, to: SoundFormat) -> Waveform:
    """The inverse of `levelled`: the rate, level and exact length of a format. The sound need not be held whole."""
    return resample(
        sound, to.sample_rate, after=lambda block: apply_gain(block, -to.gain_half_db), count=to.sample_count
    )


def restored_blocks(blocks: Iterable[np.ndarray], sample_rate: int, to: SoundFormat) -> Iterator[np.ndarray]:
    """`restored` of `[channels, n]` blocks to blocks, holding none of them."""
    return resampled_blocks(
        blocks,
        sample_rate,
        to.sample_rate,
        count=to.sample_count,
        after=lambda block: apply_gain(block, -to.gain_half_db),
    )


def analyse(samples: np.ndarray, timeline: Timeline, backend: Backend) -> torch.Tensor:
    """`[channels, N']` -> latent `[latents, C, L, F']`, a segment at a time with its margins: no joints."""

    def encode(piece: torch.Tensor) -> torch.Tensor:
        return backend.to_latent(piece.unflatten(0, (timeline.channels, -1)).to(backend.device))

    return segmentwise(encode, torch.from_numpy(samples), timeline, reads=timeline.info.frame_samples, writes=1)


def features_of(samples: np.ndarray, timeline: Timeline, backend: FeatureBackend) -> torch.Tensor:
    """`[channels, N']` -> what the autoencoder hears, `[latents, 1, T, bins]`, likewise."""

    def hear(piece: torch.Tensor) -> torch.Tensor:
        return backend.features(by_latent(piece, timeline).to(backend.device))

    info = timeline.info
    return segmentwise(hear, torch.from_numpy(samples), timeline, reads=info.frame_samples, writes=info.feature_frames)


def by_latent(samples: torch.Tensor, timeline: Timeline) -> torch.Tensor:
    """`[channels, n]` to what a mel takes: `[latents, n]`, or `[latents, 2, n]` of latents that carry both channels."""
    rows = samples.unflatten(0, (timeline.channels, -1))
    return rows if rows.shape[1] > 1 else rows[:, 0]


def synthesise(latent: torch.Tensor, timeline: Timeline, backend: Backend) -> np.ndarray:
    """Latent -> `[channels of the model, N']`, a segment at a time with its margins: no joints."""
    whole, filled = np.empty(0, np.float32), 0
    for piece in synthesised(latent, timeline, backend):
        if not filled:  # pieces in a list would take their memory twice
            whole = np.empty((len(piece), timeline.sample_count), np.float32)
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
        timeline: of `x`.
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
