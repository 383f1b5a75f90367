"""Discriminators on complex spectrograms, cut into bands, for training the vocoder (after DAC, Kumar et al. 2023).

Every convolution is a `Linear` over a 3 x 3 neighbourhood of (time, band) tokens: see `blocks`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["BandDiscriminator", "MultiResolutionDiscriminator"]

_BINS = 8  # frequency bins to one band token


class BandDiscriminator(nn.Module):
    """Scores (time, band) patches of one STFT resolution; hop a quarter of `n_fft`."""

    window: torch.Tensor

    def __init__(self, n_fft: int, dim: int = 64) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.place = nn.Parameter(0.02 * torch.randn(n_fft // 2 // _BINS, dim))
        self.layers = nn.ModuleList((nn.Linear(9 * 2 * _BINS, dim), nn.Linear(9 * dim, dim), nn.Linear(9 * dim, dim)))
        self.score = nn.Linear(dim, 1)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """`[B, N]` -> scores `[B, T', bands]` and the hidden layers `[B, T', bands, dim]`."""
        x = self._tokens(waveform)
        features = []
        for index, layer in enumerate(self.layers):
            x = layer(_neighbourhood(x))
            x = F.leaky_relu(x + self.place if index == 0 else x, 0.1)
            features.append(x)
            if index == 0:
                x = x[:, ::2]
        return self.score(x)[..., 0].float(), features

    def _tokens(self, waveform: torch.Tensor) -> torch.Tensor:
        """Power-compressed spectrum (|X|^0.3, phase kept) as `[B, T, bands, 16]`."""
        hop = self.n_fft // 4
        spectrum = torch.stft(waveform, self.n_fft, hop, window=self.window, center=False, return_complex=True)
        plane = torch.view_as_real(spectrum[:, 1:].transpose(1, 2))
        plane = plane * (plane.square().sum(-1, keepdim=True) + 1e-6) ** -0.35
        return plane.unflatten(2, (-1, _BINS)).flatten(3)


class MultiResolutionDiscriminator(nn.Module):
    """One `BandDiscriminator` for each FFT size."""

    def __init__(self, sizes: tuple[int, ...] = (256, 512, 1024)) -> None:
        super().__init__()
        self.parts = nn.ModuleList(BandDiscriminator(size) for size in sizes)

    def forward(self, waveform: torch.Tensor) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
        return [part(waveform) for part in self.parts]


def _neighbourhood(x: torch.Tensor) -> torch.Tensor:
    """Each token with its eight neighbours in time and band: `[B, T, K, C] -> [B, T, K, 9 C]`."""
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    frames, bands = x.shape[1:3]
    return torch.cat([padded[:, i : i + frames, j : j + bands] for i in range(3) for j in range(3)], dim=-1)
