"""A front end that hears pitch: log magnitudes of bands that are fine enough for chords below, quick enough above.

Two banks of triangles look at the same hop. One stands behind a long window, ends at 1.5 kHz and has bands of 5 Hz at
its bottom and 23 Hz at its top: what is left of a chord in it is what the spectrum itself holds. The other stands
behind a short window, over the whole band: it says when something happens (docs/training.md has the comparison).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = [
    "BANDS",
    "BAND_FLOOR",
    "PHASE_BLOCK",
    "SYNTHESIS_REACH",
    "Bands",
    "Bank",
    "band_centres",
    "band_filters",
    "log_bands",
]

_CLAMP = 1e-5
_AT_ONCE = 512  # frames of an STFT that are held
PHASE_BLOCK = 256  # frames of a timeline, 2.56 s: how far the phases of a synthesis remember (`band_synthesis`)
SYNTHESIS_REACH = PHASE_BLOCK + 64  # frames from a cut, beyond which a synthesis does not notice it
BAND_FLOOR = log(_CLAMP)  # the value of silence, -11.513: 100 dB below a sine of full scale


@dataclass(frozen=True)
class Bank:
    """Triangular bands behind one window, their edges evenly spaced on the scale `log(f + bend)`.

    Attributes:
        n_fft: samples of the periodic Hann window.
        low, high: Hz, outer edges of the first and the last band.
        count: of the bands.
        bend: Hz; far below it the scale is linear, far above it logarithmic.
        padding: how many times finer the bins are than those of the window: bands of few Hz take their share of each.
    """

    n_fft: int
    low: float
    high: float
    count: int
    bend: float = 400.0
    padding: int = 1

    @property
    def edges(self) -> np.ndarray:
        """Hz, `[count + 2]`: band i rises from edge i to edge i + 1 and falls to edge i + 2."""
        scale = np.linspace(log(self.low + self.bend), log(self.high + self.bend), self.count + 2)
        return np.exp(scale) - self.bend


@dataclass(frozen=True)
class Bands:
    """Geometry of the front end; rates in Hz, lengths in samples."""

    sample_rate: int = 48_000
    hop_length: int = 480
    banks: tuple[Bank, ...] = (Bank(6144, 24.0, 1500.0, 120, padding=2), Bank(1536, 60.0, 20_000.0, 72, padding=2))

    @property
    def count(self) -> int:
        """Bands of all banks."""
        return sum(bank.count for bank in self.banks)


BANDS = Bands()


def log_bands(waveform: torch.Tensor, bands: Bands = BANDS) -> torch.Tensor:
    """Natural-log magnitudes: the mean of a band's bins, where a sine of amplitude 1 has a peak of 1.

    Args:
        waveform: `[B, N]`, or `[B, 2, N]` of left and right, of which the power mean is heard; N a positive multiple of
            `hop_length`. Silence surrounds it.

    Returns:
        `[B, 1, N // hop_length, count]`, values >= `BAND_FLOOR`.
    """
    import torch

    heard = [_magnitudes(waveform, bank, bands) for bank in bands.banks]
    return torch.cat(heard, dim=-1).clamp_min(_CLAMP).log().unsqueeze(1)


def band_centres(bands: Bands = BANDS) -> np.ndarray:
    """Hz, `[count]`."""
    return np.concatenate([bank.edges[1:-1] for bank in bands.banks])


def _magnitudes(waveform: torch.Tensor, bank: Bank, bands: Bands) -> torch.Tensor:
    """`[B, T, count]` of one bank."""
    import torch
    import torch.nn.functional as F

    n_fft = bank.padding * bank.n_fft
    pad = (n_fft - bands.hop_length) // 2
    padded = F.pad(waveform.reshape(-1, waveform.shape[-1]), (pad, pad))
    window = torch.hann_window(bank.n_fft, device=waveform.device)
    silent = (n_fft - bank.n_fft) // 2
    window = F.pad(window, (silent, silent))
    filters = band_filters(bank, bands.sample_rate, waveform.device)

    def heard(frames: torch.Tensor) -> torch.Tensor:
        magnitude = torch.fft.rfft(frames * window)[..., : len(filters)].abs()
        if waveform.ndim == 3:
            magnitude = magnitude.unflatten(0, (len(waveform), -1)).square().mean(1).sqrt()
        return magnitude @ filters

    frames = padded.unfold(1, n_fft, bands.hop_length)
    return torch.cat([heard(piece) for piece in frames.split(_AT_ONCE, 1)], 1)


@lru_cache(maxsize=8)
def band_filters(bank: Bank, sample_rate: int, device: torch.device) -> torch.Tensor:
    """Triangles of a bank over the bins of its STFT up to `high`, `[bins, count]`, columns of sum `2 / sum(window)`.

    Kept on the device, since a copy would make it wait.
    """
    import torch

    return torch.from_numpy(_triangles(bank, sample_rate)).to(device)


def _triangles(bank: Bank, sample_rate: int) -> np.ndarray:
    """`[bins, count]` float32, columns of sum `2 / sum(window)`; only the bins below `high`."""
    n_fft = bank.padding * bank.n_fft
    bins = np.arange(int(bank.high * n_fft / sample_rate) + 1) * sample_rate / n_fft
    edges = bank.edges
    widths = np.diff(edges)
    rising = (bins - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - bins) / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles / triangles.sum(1, keepdims=True) * (2 / (bank.n_fft / 2))).T.astype(np.float32)
