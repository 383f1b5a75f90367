"""Mel-to-waveform network with an inverse-STFT head (after Vocos, Siuzdak 2024).

mel [B, 1, T, 64] -> blocks on frames [B, T, dim] -> log-magnitude, phase [B, T, n_fft/2 + 1] -> inverse STFT
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from noisebook.networks.blocks import ResidualBlock, Taps
from noisebook.networks.configs import VocoderConfig

__all__ = ["Vocoder", "VocoderConfig"]


class Vocoder(nn.Module):
    """Reaches `blocks + 1` frames, and half an STFT window, to either side of a sample."""

    window: torch.Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = c = config
        bins = c.n_fft // 2 + 1
        self.input = Taps(c.n_mels, c.dim)
        self.blocks = nn.Sequential(*(ResidualBlock(c.dim, c.hidden) for _ in range(c.blocks)))
        self.norm = nn.LayerNorm(c.dim)
        self.magnitude = nn.Linear(c.dim, bins)
        self.phase = nn.Linear(c.dim, 2 * bins)
        self.register_buffer("window", torch.hann_window(c.n_fft), persistent=False)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """`[B, 1, T, n_mels] -> [B, hop_length * T]`."""
        c = self.config
        hidden = self.norm(self.blocks(self.input((mel[:, 0] - c.mel_mean) / c.mel_std)))
        return self.inverse_stft(self._spectrum(hidden))

    def _spectrum(self, hidden: torch.Tensor) -> torch.Tensor:
        # A direction in the plane instead of an angle: no wrap-around for the network to learn.
        magnitude = self.magnitude(hidden).float().clamp(max=7.0).exp()
        real, imaginary = self.phase(hidden).float().chunk(2, dim=-1)
        scale = magnitude * torch.rsqrt(real.square() + imaginary.square() + 1e-8)
        return torch.complex(scale * real, scale * imaginary)

    def inverse_stft(self, spectrum: torch.Tensor) -> torch.Tensor:
        """`[B, T, n_fft/2 + 1]` complex -> `[B, hop_length * T]`: windowed overlap-add over the windows' power."""
        frames = torch.fft.irfft(spectrum, n=self.config.n_fft) * self.window
        power = self.window.square().expand(1, spectrum.shape[1], -1)
        return self._overlap_add(frames) / self._overlap_add(power)

    def _overlap_add(self, frames: torch.Tensor) -> torch.Tensor:
        c = self.config
        overlap = c.n_fft // c.hop_length
        pieces = frames.unflatten(-1, (overlap, c.hop_length))
        padded = (F.pad(pieces[:, :, k], (0, 0, k, overlap - 1 - k)) for k in range(overlap))
        trim = (c.n_fft - c.hop_length) // 2  # the framing of the mel front end: frame t is centred on hop t
        signal = sum(padded).flatten(1)  # type: ignore[union-attr]
        return signal[:, trim : trim + frames.shape[1] * c.hop_length]
