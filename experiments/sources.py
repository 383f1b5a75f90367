"""Synthetic Gaussian sources with their exact denoisers and rate-distortion bounds.

Latents are circular in time: their spectrum is a variance for each latent channel, frequency and bin. The minimum
mean-square error estimate is the Wiener filter, and reverse water-filling over the spectrum gives the fewest bits for
an error (Cover & Thomas 2006, 10.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import pi, sqrt

import torch

from noisebook.diffusion.plan import Curve, Schedule

_CHANNELS, _BINS = 8, 16


@dataclass(frozen=True, eq=False)
class GaussianSource:
    """A stationary source of latents `[1, 8, L, 16]`."""

    spectrum: torch.Tensor  # `[8, L / 2 + 1, 16]`, of mean variance 1; L is even
    schedule: Schedule  # of the noise that the denoiser removes

    @property
    def frames(self) -> int:
        return 2 * (self.spectrum.shape[1] - 1)

    def draw(self, seed: int) -> torch.Tensor:
        """One latent `[1, 8, L, 16]`."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, _CHANNELS, self.frames, _BINS, generator=generator)
        return self._filtered(noise, self.spectrum.sqrt())

    def denoise(self, x: torch.Tensor, t: int) -> torch.Tensor:
        """The mean of clean data given x at t, exactly."""
        alpha = self.schedule.alpha(t)
        return self._filtered(x, sqrt(alpha) * self.spectrum / (alpha * self.spectrum + 1 - alpha))

    @cached_property
    def curve(self) -> Curve:
        """Its exact error, at every ninth timestep."""
        timesteps = tuple(range(0, len(self.schedule), 9))
        ratios = map(self.schedule.snr, timesteps)
        return Curve(timesteps, tuple(self._mean(self.spectrum / (1 + ratio * self.spectrum)) for ratio in ratios))

    def fewest_bits(self, error: float) -> float:
        """Bits a value for a mean squared error, by no code fewer."""
        low, high = 1e-9, float(self.spectrum.max())
        for _ in range(80):
            level = sqrt(low * high)
            over = self._mean(self.spectrum.clamp_max(level)) > error
            low, high = (low, level) if over else (level, high)
        return self._mean(0.5 * torch.log2((self.spectrum / low).clamp_min(1)))

    def _mean(self, values: torch.Tensor) -> float:
        """Over all frequencies, those between the ends twice: they stand for their conjugates too."""
        weights = torch.full((values.shape[1],), 2.0, dtype=torch.float64)
        weights[0] = weights[-1] = 1.0
        return float((values.double().mean((0, 2)) * weights).sum() / weights.sum())

    def _filtered(self, x: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(x, dim=2) * response, n=self.frames, dim=2)


def white(schedule: Schedule, frames: int) -> GaussianSource:
    """Independent values of variance 1."""
    return GaussianSource(torch.ones(_CHANNELS, frames // 2 + 1, _BINS), schedule)


def coloured(schedule: Schedule, frames: int, *, correlation: float = 0.9) -> GaussianSource:
    """Frames correlated as a first-order autoregression, variances falling as 1 / bin and 1 / sqrt(channel)."""
    angles = torch.linspace(0, pi, frames // 2 + 1)
    time = 1 / (1 - 2 * correlation * torch.cos(angles) + correlation**2)
    channels, bins = torch.arange(1, _CHANNELS + 1) ** -0.5, 1 / torch.arange(1, _BINS + 1)
    source = GaussianSource(channels[:, None, None] * time[:, None] * bins, schedule)
    return replace(source, spectrum=source.spectrum / source._mean(source.spectrum))
