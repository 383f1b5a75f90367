"""What all models of mels share: sound goes through the mel, by way of autoencoder and vocoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch

__all__ = ["MelModel", "pulled"]


class MelModel(ABC):
    """The road of a sound, for the backends whose autoencoder hears mels."""

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.encode(self.mel(waveform.squeeze(1)))  # [B, 2, N] stays: the mel is that of the power mean

    def to_waveform(self, latent: torch.Tensor) -> torch.Tensor:
        return self.vocode(self.decode(latent))[:, None]

    @abstractmethod
    def mel(self, waveform: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def encode(self, mel: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def decode(self, latent: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def pull(self, latent: torch.Tensor, mel: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def vocode(self, mel: torch.Tensor) -> torch.Tensor: ...


def pulled(decode: Callable[[torch.Tensor], torch.Tensor], latent: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
    """`J^T (mel - decode(latent))`, J the Jacobian of `decode` at the latent; shaped as the latent."""
    with torch.enable_grad():
        here = latent.detach().requires_grad_()
        decoded = decode(here)
        (gradient,) = torch.autograd.grad(decoded, here, (mel - decoded).detach())
    return gradient
