"""A model of mels at 16 kHz for tests in this process: a small real denoiser between linear maps, so that it is quick.

The models inside the package and its folders hear bands; those of AudioLDM hear mels, and have a vocoder apart.
"""

from __future__ import annotations

from hashlib import sha256

import torch
import torch.nn.functional as F

from noisebook.audio.features import MEL_FEATURES, Features
from noisebook.backends.mini import MiniBackend
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Curve, scaled_linear
from noisebook.diffusion.samplers import Sampling
from noisebook.networks.denoiser import Denoiser, DenoiserConfig

__all__ = ["CURVE", "Bursts", "MelModel"]

CURVE = Curve((0, 100, 300, 600, 999), (0.01, 0.1, 0.25, 0.5, 0.99))
_MEAN, _SCALE, _STD = -5.0, 1.5, 0.3


class MelModel(MiniBackend):
    """Each 4 x 4 patch of the mel becomes 8 values; a mel becomes sound by a burst of noise for each bin and frame."""

    audible_residual = None  # there are no weights of hearing for its mels

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self._denoiser = Denoiser(DenoiserConfig(dim=32, hidden=32, blocks=1, heads=2)).eval().requires_grad_(False)
        for parameter in self._denoiser.parameters():  # the zero-initialised layers too
            parameter.data += 0.02 * torch.randn_like(parameter)
        basis = torch.linalg.qr(torch.cat((torch.ones(16, 1), torch.randn(16, 7)), dim=1))[0]  # first the mean
        gain = torch.tensor([0.25] + 7 * [1.0])
        self._to_latent, self._to_patch = basis * gain, (basis / gain).T
        self._bursts = Bursts(MEL_FEATURES)
        own = sha256(f"mels {seed}".encode()).digest()
        self.info = BackendInfo(
            "mini", own, own, 16000, MEL_FEATURES, 640, 8, 16, 1, 256, 8, scaled_linear(), CURVE,
            self._denoiser.config.tags, Sampling(20, 7.5, 1.0, "ddim", "quadratic"),
        )  # fmt: skip

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        patches = ((features[:, 0] - _MEAN) / _SCALE).unflatten(1, (-1, 4)).unflatten(3, (16, 4))  # [B, T', 4, 16, 4]
        return (patches.transpose(2, 3).flatten(3) @ self._to_latent).permute(0, 3, 1, 2)

    def posterior(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self.encode(features)
        return mean, _STD * torch.ones_like(mean)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        patches = latent.permute(0, 2, 3, 1) @ self._to_patch
        mel = patches.unflatten(3, (4, 4)).transpose(2, 3).flatten(3).flatten(1, 2)
        return (mel * _SCALE + _MEAN)[:, None]

    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        return self._bursts(features)


class Bursts:
    """A quick vocoder of any features: a burst of noise for each bin and frame, over two hops."""

    def __init__(self, features: Features) -> None:
        size, rate = 2 * features.hop_length, features.sample_rate
        low, centre, high = torch.tensor(features.edges, dtype=torch.float32).T[:, :, None]
        hertz = torch.fft.rfftfreq(size, 1 / rate)
        filters = torch.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)).clamp_min(0.01)
        noise = torch.randn(features.bins, size, generator=torch.Generator().manual_seed(0))
        self._burst = torch.fft.irfft(torch.fft.rfft(noise) * filters, size) * torch.hann_window(size)

    def __call__(self, features: torch.Tensor, *, first_frame: int = 0) -> torch.Tensor:
        bursts = (0.5 * features[:, 0]).exp() @ self._burst  # [B, T, 2 hops], each centred on its hop
        frames = F.pad(bursts.unflatten(2, (4, -1)), (0, 0, 0, 0, 1, 1))
        early, late = frames[:, 2:, 0], frames[:, :-2, 3]
        return torch.cat((frames[:, 1:-1, 1] + late, frames[:, 1:-1, 2] + early), dim=2).flatten(1)
