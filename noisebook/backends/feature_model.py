"""What all models of features share: sound goes through the front end, by way of autoencoder and vocoder."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from noisebook.diffusion.backend import BackendInfo, front_end_of

__all__ = ["FeatureModel"]


class FeatureModel(ABC):
    """The road of a sound, for the backends whose autoencoder hears features."""

    info: BackendInfo

    def features(self, waveform: torch.Tensor) -> torch.Tensor:
        return front_end_of(self.info).analyse(waveform)

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.encode(self.features(waveform.squeeze(1)))  # [B, 2, N] stays: their power mean is heard

    def to_waveform(self, latent: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        return self.vocode(self.decode(latent), first_frame * self.info.feature_frames)[:, None]

    @abstractmethod
    def encode(self, features: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def decode(self, latent: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor: ...
