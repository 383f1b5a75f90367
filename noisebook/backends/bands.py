"""A model of bands at 48 kHz, as `recipes.train` makes it: band autoencoder, denoiser and phase vocoder from a folder.

It shares the denoiser, the files and the rules of the fingerprint with `mini`, and hears other features.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import torch

from noisebook.audio.bands import BANDS, log_bands
from noisebook.backends.checkpoint import content_digest, load_network, read_config, read_metadata
from noisebook.backends.mini_files import FILES
from noisebook.backends.placement import usable_device
from noisebook.backends.vocabulary import tag_weights
from noisebook.config import from_dict
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.plan import Curve
from noisebook.diffusion.schedule import scaled_linear
from noisebook.errors import ConfigError, ModelError
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import Denoiser, DenoiserConfig, x0_from_v
from noisebook.networks.phase_vocoder import PhaseVocoder, PhaseVocoderConfig

__all__ = ["BandBackend", "model_info"]

_PATCH = 4  # frames of bands to a latent frame
_WINDOW_FRAMES = 256  # 10.24 s, the longest the denoiser was trained on
_WARM_UP = 12  # latent frames in which the phases of a piece find themselves


class BandBackend:
    """Satisfies `noisebook.diffusion.backend.Backend`.

    Args:
        folder: holds the files named in `FILES`.
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
        self._vocoder = load_network(folder / FILES[2], PhaseVocoder, PhaseVocoderConfig).to(self.device)

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return self._vae.encode(log_bands(waveform)).float()

    def to_waveform(self, latent: torch.Tensor) -> torch.Tensor:
        with self._inference():
            bands = self._vae.decode(latent)
            spectrum = self._vocoder.spectrum(bands)
        with torch.no_grad():
            return self._vocoder.synthesise(spectrum)[:, None]

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
            return x0_from_v(x, self._denoiser(x, times, tags), self.info.schedule.alpha(t))

    @contextmanager
    def _inference(self) -> Iterator[None]:
        with torch.no_grad(), torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            yield


def model_info(folder: Path) -> BackendInfo:
    """What is fixed about a model of bands, read from its files without building its networks.

    Raises:
        ModelError: a file is missing, damaged, or of another model than the others.
    """
    vae = read_config(folder / FILES[0], "BandVae", BandVaeConfig)
    denoiser = read_config(folder / FILES[1], "Denoiser", DenoiserConfig)
    vocoder = read_config(folder / FILES[2], "PhaseVocoder", PhaseVocoderConfig)
    same_latent = (vae.latent_channels, vae.latent_bins) == (denoiser.latent_channels, denoiser.latent_bins)
    if not (same_latent and vae.bands == vocoder.bands == BANDS.count and vocoder.hop_length == BANDS.hop_length):
        raise ModelError(f"{folder}: VAE, denoiser and vocoder have different shapes; they are of different models")
    curve = _curve(folder / FILES[1])
    autoencoder = content_digest(folder / FILES[0])
    digest = sha256(autoencoder + content_digest(folder / FILES[1]))
    digest.update(json.dumps([curve.timesteps, curve.errors]).encode())
    window = max(bank.n_fft for bank in BANDS.banks) // 2 // (_PATCH * BANDS.hop_length)
    return BackendInfo(
        name="bands",
        fingerprint=digest.digest(),
        autoencoder=autoencoder,
        sample_rate=BANDS.sample_rate,
        hop_length=0,  # what asks for mels of AudioLDM's shape does not find them here
        frame_samples=_PATCH * BANDS.hop_length,
        latent_channels=vae.latent_channels,
        latent_bins=vae.latent_bins,
        frame_multiple=1,
        window_frames=_WINDOW_FRAMES,
        margin_frames=max(1 + window + vae.encoder_reach, vae.decoder_reach - (-vocoder.reach // _PATCH) + _WARM_UP),
        schedule=scaled_linear(),
        curve=curve,
        tags=denoiser.tags,
    )


def _curve(path: Path) -> Curve:
    try:
        return from_dict(Curve, json.loads(read_metadata(path).get("record", "{}"))["curve"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} has no error curve in its record ({error}): train it with recipes.train") from error
