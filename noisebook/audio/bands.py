"""A front end that resolves pitch: log magnitudes of bands, fine enough for chords below, quick enough above.

Two banks of triangles share one hop. One, behind a long window, ends at 1.5 kHz and has bands of 5 Hz at its bottom and
23 Hz at its top: it keeps of a chord what the spectrum itself holds. The other, behind a short window, covers the whole
band: it says when something happens (docs/training.md has the comparison).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SAMPLE_RATE, HOP_LENGTH = 48_000, 480
PADDING = 2  # times as fine as those of the window are the bins: bands of few Hz take their share of each
_BEND = 400.0  # Hz; far below it the scale of the bands is linear, far above it logarithmic
_CLAMP = 1e-5
BAND_FLOOR = log(_CLAMP)  # the value of silence, -11.513: 100 dB below a sine of full scale
PHASE_BLOCK = 256  # frames of a timeline, 2.56 s: how far the phases of a synthesis remember (`band_synthesis`)
SYNTHESIS_REACH = PHASE_BLOCK + 64  # frames from a cut, beyond which a synthesis does not notice it
_AT_ONCE = 512  # frames of an STFT that are held


@dataclass(frozen=True)
class Bank:
    """`count` triangular bands from `low` to `high` Hz behind a periodic Hann window of `n_fft` samples, their edges
    evenly spaced on the scale `log(f + 400)`."""

    n_fft: int
    low: float
    high: float
    count: int

    @property
    def edges(self) -> np.ndarray:
        """Hz, `[count + 2]`: band i rises from edge i to edge i + 1 and falls to edge i + 2."""
        return np.exp(np.linspace(log(self.low + _BEND), log(self.high + _BEND), self.count + 2)) - _BEND


BANKS = (Bank(6144, 24.0, 1500.0, 120), Bank(1536, 60.0, 20_000.0, 72))


def log_bands(waveform: torch.Tensor) -> torch.Tensor:
    """Natural-log magnitudes, the mean of a band's bins, where a sine of amplitude 1 has a peak of 1: `[B, N]` ->
    `[B, 1, N // HOP_LENGTH, bands]`, values >= `BAND_FLOOR`.

    N is a positive multiple of `HOP_LENGTH`, and silence surrounds the sound. `[B, 2, N]` are left and right, of which
    the power mean is taken.
    """
    import torch

    return torch.cat([_magnitudes(waveform, bank) for bank in BANKS], dim=-1).clamp_min(_CLAMP).log().unsqueeze(1)


def _magnitudes(waveform: torch.Tensor, bank: Bank) -> torch.Tensor:
    """`[B, T, count]` of one bank."""
    import torch
    import torch.nn.functional as F

    n_fft = PADDING * bank.n_fft
    pad, silent = (n_fft - HOP_LENGTH) // 2, (n_fft - bank.n_fft) // 2
    window = F.pad(torch.hann_window(bank.n_fft, device=waveform.device), (silent, silent))
    filters = band_filters(bank, waveform.device)

    def magnitudes(frames: torch.Tensor) -> torch.Tensor:
        magnitude = torch.fft.rfft(frames * window)[..., : len(filters)].abs()
        if waveform.ndim == 3:
            magnitude = magnitude.unflatten(0, (len(waveform), -1)).square().mean(1).sqrt()
        return magnitude @ filters

    frames = F.pad(waveform.reshape(-1, waveform.shape[-1]), (pad, pad)).unfold(1, n_fft, HOP_LENGTH)
    return torch.cat([magnitudes(piece) for piece in frames.split(_AT_ONCE, 1)], 1)


@lru_cache(maxsize=8)
def band_filters(bank: Bank, device: torch.device) -> torch.Tensor:
    """Triangles of a bank over the bins of its STFT up to `high`, `[bins, count]`, columns of sum `2 / sum(window)`.

    Kept on the device, since a copy would make it wait.
    """
    import torch

    n_fft = PADDING * bank.n_fft
    bins = np.arange(int(bank.high * n_fft / SAMPLE_RATE) + 1) * SAMPLE_RATE / n_fft
    low, centre, high = (bank.edges[first : first + bank.count, None] for first in range(3))
    triangles = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    scaled = triangles / triangles.sum(1, keepdims=True) * (2 / (bank.n_fft / 2))
    return torch.from_numpy(scaled.T.astype(np.float32)).to(device)
