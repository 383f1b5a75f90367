"""A model of bands at 48 kHz, as `training.train` makes it: band autoencoder and denoiser from a folder.

It shares the denoiser, the files and the rules of the fingerprint with `mini`, and hears other features.
"""

from __future__ import annotations

from pathlib import Path

import torch

from noisebook.audio.band_synthesis import synthesise_bands
from noisebook.backends.checkpoint import load_network
from noisebook.backends.feature_model import FeatureModel
from noisebook.backends.mini_files import FILES, model_info
from noisebook.backends.placement import usable_device
from noisebook.backends.tagged import TaggedModel
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import Denoiser, DenoiserConfig

__all__ = ["BandBackend"]


class BandBackend(TaggedModel, FeatureModel):
    """Satisfies `noisebook.diffusion.backend.FeatureBackend`.

    Args:
        folder: holds autoencoder and denoiser, the first two of `FILES`.
        device: of torch.
        dtype: float32, or bfloat16 for the matrix products of the networks; everything between stays float32.

    Raises:
        ModelError: a file is missing or does not fit.
        ConfigError: a device that is not there.
    """

    def __init__(self, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.info, self.device, self.dtype = model_info(folder), usable_device(device), dtype
        self._vae = load_network(folder / FILES[0], BandVae, BandVaeConfig).to(self.device)
        self._denoiser = load_network(folder / FILES[1], Denoiser, DenoiserConfig).to(self.device)

    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        return synthesise_bands(features, first_frame=first_frame)
