"""What the models of our own share: an autoencoder, a denoiser that knows sounds by tags, and the precision that they
compute in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from noisebook.backends.vocabulary import tag_weights
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.errors import ConfigError
from noisebook.networks.band_vae import BandVae
from noisebook.networks.denoiser import Denoiser, x0_from_v
from noisebook.networks.mel_vae import MelVae

__all__ = ["TaggedModel"]


class TaggedModel:
    """A `FeatureBackend` but for its front end and vocoder; who inherits loads the networks.

    Attributes:
        info: of the model.
        device: of all networks.
        dtype: float32, or bfloat16 for the matrix products of the networks; everything between stays float32.
    """

    info: BackendInfo
    device: torch.device
    dtype: torch.dtype
    _vae: MelVae | BandVae
    _denoiser: Denoiser

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return self._vae.encode(features).float()

    def posterior(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with self._inference():
            mean, log_variance = self._vae.posterior(features)
            scale = self._vae.config.scaling_factor
            return mean.float() * scale, (0.5 * log_variance.float()).exp() * scale

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return self._vae.decode(latent)

    def condition(self, text: str) -> Condition:
        weights, unknown = tag_weights(text, self.info.tags)
        return Condition(text, unknown, weights)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        if not 0 <= tag <= len(self.info.tags):
            raise ConfigError(f"tag {tag}: {self.info.name} has tags 0 (none) to {len(self.info.tags)}")
        times = torch.full((len(x),), t, device=x.device)
        tags = torch.full_like(times, tag)
        if condition is not None:
            tags = torch.tensor(condition.value, device=x.device).expand(len(x), -1)
        with self._inference():
            v = self._denoiser(x, times, tags)
            return x0_from_v(x, v, self.info.schedule.alpha(t))

    @contextmanager
    def _inference(self) -> Iterator[None]:
        with torch.no_grad(), self._precision():
            yield

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)
