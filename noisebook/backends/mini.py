"""A model of our own, as `training.train` makes it: an autoencoder of bands at 48 kHz, and a denoiser that knows sounds
by tags, from safetensors files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from noisebook.audio.band_synthesis import synthesise_bands
from noisebook.backends.mini_files import FILES, WEIGHTS, load_network, model_info, read_metadata, save_network
from noisebook.backends.placement import usable_device
from noisebook.backends.vocabulary import tag_weights
from noisebook.diffusion.backend import Condition, FeatureModel
from noisebook.diffusion.plan import Curve
from noisebook.errors import ConfigError, ModelError
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import Denoiser, DenoiserConfig, x0_from_v
from noisebook.networks.refinement import audible_residual, with_partials


class MiniBackend(FeatureModel):
    """Satisfies `noisebook.diffusion.backend.AudibleBackend`, from a folder of the files named in `FILES`.

    With bfloat16 the matrix products of the networks are computed in it; everything between stays float32. ModelError
    where a file is missing or does not fit, ConfigError for a device that is not there.
    """

    def __init__(self, folder: Path = WEIGHTS, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.info, self.device, self.dtype = model_info(folder), usable_device(device), dtype
        self._vae = load_network(folder / FILES[0], BandVae, BandVaeConfig).to(self.device)
        self._denoiser = load_network(folder / FILES[1], Denoiser, DenoiserConfig).to(self.device)

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return with_partials(self._vae, self._vae.encode(features).float(), features)

    def audible_residual(self, features: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        return self._inference()(audible_residual(self._vae, features))

    def posterior(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with self._inference():
            mean, log_variance = self._vae.posterior(features)
            scale = self._vae.config.scaling_factor
            return mean.float() * scale, (0.5 * log_variance.float()).exp() * scale

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return self._vae.decode(latent)

    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        return synthesise_bands(features, first_frame=first_frame)

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
        mixed = torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)
        with torch.no_grad(), mixed:
            yield


def store_curve(folder: Path, curve: Curve) -> Path:
    """Write a measured error curve into the denoiser's record; the path of its file. ModelError where the file is
    damaged or cannot be written."""
    path = folder / FILES[1]
    network = load_network(path, Denoiser, DenoiserConfig)
    record = json.loads(read_metadata(path).get("record", "{}"))
    try:
        save_network(path, network, {**record, "curve": asdict(curve)})
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror}") from error
    return path
