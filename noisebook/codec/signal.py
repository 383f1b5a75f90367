"""Between the sound of a file and the latent that is coded: level, channels, rate, autoencoder, vocoder.

Waveform --levelled--> [channels, N'] --analyse--> latent [latents, C, L, F']
Waveform <-restored--- [channels, N'] <-synthesise-'

A latent carries one channel, or both of a model of stereo sound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from noisebook.audio.channels import from_mid_side, to_mid_side
from noisebook.audio.level import apply_gain
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec.layout import Timeline
from noisebook.coding.container import ChannelMode, Header
from noisebook.diffusion.backend import Backend, BackendInfo

__all__ = ["analyse", "heard_by", "levelled", "levelled_at", "restored", "segmentwise", "synthesise"]


def levelled(waveform: Waveform, header: Header, info: BackendInfo) -> np.ndarray:
    """`[channels, N']` at the model's rate and the header's gain, in its channel mode."""
    return levelled_at(info.sample_rate, waveform, header)


def levelled_at(sample_rate: int, waveform: Waveform, header: Header) -> np.ndarray:
    """`levelled` at any rate, for a front end that does not listen at the model's."""
    samples = apply_gain(waveform.samples, header.gain_half_db)
    if header.channel_mode == ChannelMode.MID_SIDE:
        samples = to_mid_side(samples)
    return resample(Waveform(samples, waveform.sample_rate), sample_rate).samples


def restored(samples: np.ndarray, header: Header, info: BackendInfo) -> Waveform:
    """The inverse of `levelled`, with the header's rate and exact length."""
    at_rate = resample(Waveform(samples, info.sample_rate), header.sample_rate).samples[:, : header.sample_count]
    if header.channel_mode == ChannelMode.MID_SIDE:
        at_rate = from_mid_side(at_rate)
    return Waveform(np.ascontiguousarray(apply_gain(at_rate, -header.gain_half_db)), header.sample_rate)


def analyse(samples: np.ndarray, layout: Timeline, backend: Backend) -> torch.Tensor:
    """`[channels, N']` -> latent `[latents, C, L, F']`, a segment at a time with its margins: no joints."""

    def encode(piece: torch.Tensor) -> torch.Tensor:
        return backend.to_latent(piece.unflatten(0, (layout.channels, -1)).to(backend.device))

    return heard_by(encode, samples, layout, per_frame=layout.info.frame_samples, writes=1)


def synthesise(latent: torch.Tensor, layout: Timeline, backend: Backend) -> np.ndarray:
    """Latent -> `[channels, N']`, a segment at a time with its margins: no joints."""

    def decode(piece: torch.Tensor) -> torch.Tensor:
        sound = backend.to_waveform(piece).cpu()
        return sound.flatten(0, 1) if layout.joint else sound.mean(1)

    waveform = segmentwise(decode, latent, layout, reads=1, writes=layout.info.frame_samples)
    return waveform.numpy()[:, : layout.sample_count]


def heard_by(
    stage: Callable[[torch.Tensor], torch.Tensor], samples: np.ndarray, layout: Timeline, *, per_frame: int, writes: int
) -> torch.Tensor:
    """`segmentwise` for a stage that listens to `[channels, N]`, `per_frame` samples to a latent frame; silence follows
    the end of the sound up to a whole frame."""
    padding = layout.frames * per_frame - samples.shape[1]
    padded = torch.from_numpy(np.pad(samples, ((0, 0), (0, padding))))
    return segmentwise(stage, padded, layout, reads=per_frame, writes=writes)


def segmentwise(
    stage: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, layout: Timeline, *, reads: int, writes: int
) -> torch.Tensor:
    """A stage over the whole timeline, a segment at a time with its margins: no joints, and memory for one segment.

    Args:
        stage: maps the whole of `x`, or a stretch of it, and does not notice a cut that is a margin away.
        x: time is axis 1 of `[B, N]`, axis 2 of `[B, C, T, F]`; likewise in what `stage` returns.
        reads, writes: steps of time to a latent frame, of `x` and of the result.
    """
    pieces = []
    for start, end in layout.segments():
        left, right = _margins(start, end, layout.frames, layout.info)
        result = stage(_stretch(x, left * reads, right * reads))
        pieces.append(_stretch(result, (start - left) * writes, (end - left) * writes))
    return torch.cat(pieces, dim=_time_axis(pieces[0]))


def _stretch(x: torch.Tensor, start: int, end: int) -> torch.Tensor:
    return x.narrow(_time_axis(x), start, end - start)


def _time_axis(x: torch.Tensor) -> int:
    return 1 if x.ndim == 2 else 2


def _margins(start: int, end: int, frames: int, info: BackendInfo) -> tuple[int, int]:
    return max(0, start - info.margin_frames), min(frames, end + info.margin_frames)
