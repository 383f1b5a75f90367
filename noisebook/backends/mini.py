"""A model of mels at 16 kHz, as releases until 0.1 had inside: VAE, denoiser and vocoder from safetensors files."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from noisebook.backends.checkpoint import load_network, read_metadata, save_network
from noisebook.backends.compiling import compile_network
from noisebook.backends.feature_model import FeatureModel
from noisebook.backends.mini_files import FILES, WEIGHTS, describe, fingerprint, margin_frames, model_info
from noisebook.backends.placement import usable_device
from noisebook.backends.tagged import TaggedModel
from noisebook.config import to_dict
from noisebook.diffusion.plan import Curve
from noisebook.errors import ModelError
from noisebook.networks.denoiser import Denoiser, DenoiserConfig
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.networks.vocoder import Vocoder, VocoderConfig

__all__ = ["FILES", "WEIGHTS", "MiniBackend", "describe", "fingerprint", "margin_frames", "model_info", "store_curve"]


class MiniBackend(TaggedModel, FeatureModel):
    """Satisfies `noisebook.diffusion.backend.FeatureBackend`.

    Args:
        folder: holds the files named in `FILES`.
        device: of torch.
        dtype: float32, or bfloat16 for the matrix products of the networks; everything between stays float32.
        compiled: the denoiser by torch.compile; its first call takes a minute.

    Raises:
        ModelError: a file is missing or does not fit.
        ConfigError: a device that is not there, or nothing that compiles.
    """

    def __init__(
        self,
        folder: Path = WEIGHTS,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        compiled: bool = False,
    ) -> None:
        self.info = model_info(folder)
        self.device = usable_device(device)
        self.dtype = dtype
        self._vae = load_network(folder / FILES[0], MelVae, MelVaeConfig).to(self.device)
        self._denoiser = load_network(folder / FILES[1], Denoiser, DenoiserConfig).to(self.device)
        self._vocoder = load_network(folder / FILES[2], Vocoder, VocoderConfig).to(self.device)
        if compiled:
            compile_network(self._denoiser, self.device)

    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        with self._inference():
            return self._vocoder(features)


def store_curve(folder: Path, curve: Curve) -> Path:
    """Write a measured error curve into the denoiser's record; the path of its file.

    Raises:
        ModelError: the file is damaged or cannot be written.
    """
    path = folder / FILES[1]
    network = load_network(path, Denoiser, DenoiserConfig)
    record = json.loads(read_metadata(path).get("record", "{}"))
    try:
        save_network(path, network, {**record, "curve": to_dict(curve)})
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror}") from error
    return path
