"""Between the sound of a file and the latent that is coded: level, channels, rate, autoencoder, vocoder.

Waveform --levelled--> [channels, N'] --analyse--> latent [channels, C, L, F']
Waveform <-restored--- [channels, N'] <-synthesise-'
"""

from __future__ import annotations

import numpy as np
import torch

from noisebook.audio.channels import from_mid_side, to_mid_side
from noisebook.audio.level import apply_gain
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec.layout import Layout
from noisebook.coding.container import ChannelMode, Header
from noisebook.diffusion.backend import Backend, BackendInfo

__all__ = ["analyse", "levelled", "restored", "synthesise"]


def levelled(waveform: Waveform, header: Header, info: BackendInfo) -> np.ndarray:
    """`[channels, N']` at the model's rate and the header's gain, in its channel mode."""
    samples = apply_gain(waveform.samples, header.gain_half_db)
    if header.channel_mode == ChannelMode.MID_SIDE:
        samples = to_mid_side(samples)
    return resample(Waveform(samples, waveform.sample_rate), info.sample_rate).samples


def restored(samples: np.ndarray, header: Header, info: BackendInfo) -> Waveform:
    """The inverse of `levelled`, with the header's rate and exact length."""
    at_rate = resample(Waveform(samples, info.sample_rate), header.sample_rate).samples[:, : header.sample_count]
    if header.channel_mode == ChannelMode.MID_SIDE:
        at_rate = from_mid_side(at_rate)
    return Waveform(np.ascontiguousarray(apply_gain(at_rate, -header.gain_half_db)), header.sample_rate)


def analyse(samples: np.ndarray, layout: Layout, backend: Backend) -> torch.Tensor:
    """`[channels, N']` -> latent `[channels, C, L, F']`, a segment at a time with its margins: no joints."""
    info = backend.info
    padded = np.pad(samples, ((0, 0), (0, layout.frames * info.frame_samples - samples.shape[1])))
    pieces = []
    for start, end in layout.segments():
        left, right = _margins(start, end, layout.frames, info)
        piece = torch.from_numpy(padded[:, left * info.frame_samples : right * info.frame_samples])
        latent = backend.encode(backend.mel(piece.to(backend.device)))
        pieces.append(latent[:, :, start - left : end - left])
    return torch.cat(pieces, dim=2)


def synthesise(latent: torch.Tensor, layout: Layout, backend: Backend) -> np.ndarray:
    """Latent -> `[channels, N']`, a segment at a time with its margins: no joints."""
    info = backend.info
    pieces = []
    for start, end in layout.segments():
        left, right = _margins(start, end, layout.frames, info)
        waveform = backend.vocode(backend.decode(latent[:, :, left:right])).cpu()
        first = (start - left) * info.frame_samples
        pieces.append(waveform[:, first : first + (end - start) * info.frame_samples].numpy())
    return np.concatenate(pieces, axis=1)[:, : layout.sample_count]


def _margins(start: int, end: int, frames: int, info: BackendInfo) -> tuple[int, int]:
    return max(0, start - info.margin_frames), min(frames, end + info.margin_frames)
