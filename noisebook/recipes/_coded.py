"""Latents as the decoder of a stream has them, for training what comes behind the diffusion.

The codec leads the diffusion to `x_s` near its true posterior, and its decoder goes on from there without noise. So
a latent noised to the timestep at which the bits of some stream end, and denoised by the codec's tail, stands for a
decoded one, at the cost of the tail alone. Measured against real streams of 300 to 6000 bit/s the error agrees within
0.1 to 0.9 dB and the variance within 2 %.
"""

from __future__ import annotations

import numpy as np
import torch

from noisebook.audio.mel import log_mel
from noisebook.codec.ddcm import tail_after
from noisebook.diffusion.plan import Denoise, no_noise, reverse
from noisebook.diffusion.schedule import scaled_linear
from noisebook.networks.denoiser import Denoiser, x0_from_v
from noisebook.networks.mel_vae import MelVae
from noisebook.recipes._clips import PackedAudio
from noisebook.recipes._train import mixed_precision, waveforms

__all__ = ["LATENT_HOP", "CodedSounds", "as_decoded", "end_of_bits", "estimator"]

LATENT_HOP = 640  # samples to a latent frame
_FRAMES = 256  # of one sound, the window of the denoiser
_AT_A_TIME = 4
_LATEST = 330  # timestep at which the bits of a stream of some 450 bit/s end


class CodedSounds:
    """A pool of sounds of 10.24 s with their decoded latents; `refresh` replaces the oldest.

    Args:
        data: training audio.
        vae, denoiser: of the codec.
        rng: of everything but the noise, which is torch's.
        device: of torch.
        size: sounds in the pool.
    """

    def __init__(
        self,
        data: PackedAudio,
        vae: MelVae,
        denoiser: Denoiser,
        rng: np.random.Generator,
        device: str,
        *,
        size: int = 128,
    ) -> None:
        self._data, self._vae, self._denoiser, self._rng, self._device = data, vae, denoiser, rng, device
        self._sounds: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._size = size
        while len(self._sounds) < size:
            self.refresh()

    def refresh(self) -> None:
        """Code some new sounds, all to the same timestep, and forget the oldest."""
        waveform, _ = waveforms(self._data, _AT_A_TIME, _FRAMES * LATENT_HOP, self._rng, self._device)
        latent = self._coded(waveform, end_of_bits(self._rng))
        self._sounds = [*self._sounds, *zip(waveform, latent, strict=True)][-self._size :]

    def sample(self, batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Random stretches: waveform `[batch, frames * LATENT_HOP]` and decoded latent `[batch, C, frames, F']`."""
        rows = self._rng.integers(len(self._sounds), size=batch)
        starts = self._rng.integers(_FRAMES - frames + 1, size=batch)
        pairs = [self._cut(int(row), int(start), frames) for row, start in zip(rows, starts, strict=True)]
        return torch.stack([sound for sound, _ in pairs]), torch.stack([latent for _, latent in pairs])

    def _cut(self, row: int, start: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
        sound, latent = self._sounds[row]
        return sound[start * LATENT_HOP : (start + frames) * LATENT_HOP], latent[:, start : start + frames]

    @torch.no_grad()
    def _coded(self, waveform: torch.Tensor, last: int) -> torch.Tensor:
        with mixed_precision(self._device):
            latent = self._vae.encode(log_mel(waveform)).float()
        return as_decoded(latent, last, estimator(self._denoiser, self._device))


def estimator(denoiser: Denoiser, device: str) -> Denoise:
    """`(x [B, C, T', F'], t) -> x0_hat`, shaped alike, of a denoiser of v without a tag, in mixed precision."""
    schedule = scaled_linear()

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        times = torch.full((len(x),), t, device=x.device)
        with mixed_precision(device):
            v = denoiser(x, times, torch.zeros_like(times))
        return x0_from_v(x, v, schedule.alpha(t))

    return denoise


def as_decoded(latent: torch.Tensor, last: int, denoise: Denoise) -> torch.Tensor:
    """A latent `[B, C, T', F']` noised to timestep `last`, 0 for not at all, after the codec's tail."""
    if last == 0:
        return latent
    schedule = scaled_linear()
    alpha = schedule.alpha(last)
    x = alpha**0.5 * latent + (1 - alpha) ** 0.5 * torch.randn_like(latent)
    return reverse(denoise, tail_after(last, schedule), x, no_noise)


def end_of_bits(rng: np.random.Generator) -> int:
    """A timestep at which the bits of a stream may end: 0 (no coding) for one in eight, else 5 to 330, mostly early."""
    return 0 if rng.random() < 1 / 8 else 5 + int((_LATEST - 5) * rng.random() ** 1.5)
