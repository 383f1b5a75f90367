"""A model without networks: every stream decodes with it in milliseconds, through all of the codec's own code."""

from __future__ import annotations

import torch

from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.plan import Curve, scaled_linear
from noisebook.diffusion.samplers import Sampling

__all__ = ["INFO", "ToyBackend"]

INFO = BackendInfo(
    name="toy",
    fingerprint=bytes(range(32)),
    autoencoder=bytes(32),
    sample_rate=16000,
    features=None,
    frame_samples=640,
    latent_channels=2,
    latent_bins=4,
    frame_multiple=1,
    window_frames=256,
    margin_frames=2,
    schedule=scaled_linear(),
    curve=Curve((0, 100, 300, 600, 999), (0.01, 0.1, 0.25, 0.5, 0.99)),
    tags=("music", "speech"),
    sampling=Sampling(20, 7.5, 1.0, "ddim", "quadratic"),
)


class ToyBackend:
    """A denoiser that shrinks, and a latent whose mean is the sound."""

    device = torch.device("cpu")

    def __init__(self, info: BackendInfo = INFO) -> None:
        self.info = info

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        frames = waveform.unflatten(2, (-1, self.info.frame_samples)).mean(3)  # [B, A, T']
        return frames.mean(1)[:, None, :, None].expand(-1, self.info.latent_channels, -1, self.info.latent_bins).clone()

    def to_waveform(self, latent: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        mono = latent.mean((1, 3)).repeat_interleave(self.info.frame_samples, 1)
        return mono[:, None].expand(-1, self.info.audio_channels, -1)

    def condition(self, text: str) -> Condition:
        return Condition(text, (), None)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        return x * (1 - t / len(self.info.schedule))
