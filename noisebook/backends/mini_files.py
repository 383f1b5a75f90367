"""The files of a model of our own, and what they say without a network being built. No torch."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from noisebook.audio.bands import BANKS, HOP_LENGTH, SAMPLE_RATE, SYNTHESIS_REACH
from noisebook.audio.features import BAND_FEATURES
from noisebook.backends.checkpoint import content_digest, read_config, read_metadata
from noisebook.config import from_dict
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Curve
from noisebook.diffusion.samplers import Sampling
from noisebook.diffusion.schedule import scaled_linear
from noisebook.errors import ModelError
from noisebook.networks.configs import PATCH, BandVaeConfig, DenoiserConfig

__all__ = ["FILES", "WEIGHTS", "describe", "fingerprint", "model_info"]

WEIGHTS = Path(__file__).parent / "weights"
FILES = ("vae.safetensors", "denoiser.safetensors")
# Guidance's loudness is taken back whole, which is nearest to real sound (docs/systems.md); Lin et al. 2024 take 0.7.
_SAMPLING = Sampling(20, 7.5, 1.0, "ddim", "quadratic")
_WINDOW_FRAMES = 256  # 10.24 s, the longest the denoiser was trained on


def fingerprint(folder: Path) -> bytes:
    """SHA-256 over all that decides what a stream means: weights of VAE and denoiser, and the error curve."""
    _require_files(folder)
    digest = sha256()
    for name in FILES:
        digest.update(content_digest(folder / name))
    curve = _curve(folder / FILES[1])
    digest.update(json.dumps([curve.timesteps, curve.errors]).encode())
    return digest.digest()


def describe(folder: Path) -> dict[str, dict[str, object]]:
    """Configuration and training record of each file of a mini model."""
    metadata = {name: read_metadata(folder / name) for name in FILES}
    return {
        name: {key: json.loads(values[key]) for key in ("config", "record") if key in values}
        for name, values in metadata.items()
    }


def model_info(folder: Path = WEIGHTS) -> BackendInfo:
    """What is fixed about a model, read from its files without building its networks.

    Raises:
        ModelError: a file is missing, damaged, or of another model than the other.
    """
    _require_files(folder)
    if read_metadata(folder / FILES[0]).get("network") == "MelVae":
        raise ModelError(f"{folder} holds a model of mels at 16 kHz, which noisebook 0.1 reads and no later version")
    vae = read_config(folder / FILES[0], "BandVae", BandVaeConfig)
    denoiser = read_config(folder / FILES[1], "Denoiser", DenoiserConfig)
    latents = (vae.latent_channels, vae.latent_bins), (denoiser.latent_channels, denoiser.latent_bins)
    if latents[0] != latents[1] or vae.bands != BAND_FEATURES.bins:
        raise ModelError(f"{folder}: VAE and denoiser have different shapes; they are of different models")
    window = max(bank.n_fft for bank in BANKS) // 2 // (PATCH * HOP_LENGTH)
    return BackendInfo(
        name="mini",
        fingerprint=fingerprint(folder),
        autoencoder=content_digest(folder / FILES[0]),
        sample_rate=SAMPLE_RATE,
        features=BAND_FEATURES,
        frame_samples=PATCH * HOP_LENGTH,
        latent_channels=vae.latent_channels,
        latent_bins=vae.latent_bins,
        frame_multiple=1,
        window_frames=_WINDOW_FRAMES,
        margin_frames=max(1 + window + vae.encoder_reach, vae.decoder_reach + SYNTHESIS_REACH // PATCH),
        schedule=scaled_linear(),
        curve=_curve(folder / FILES[1]),
        tags=denoiser.tags,
        sampling=_SAMPLING,
    )


def _require_files(folder: Path) -> None:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} has no {', '.join(missing)}; a mini model is a folder with {', '.join(FILES)}")


def _curve(path: Path) -> Curve:
    try:
        return from_dict(Curve, json.loads(read_metadata(path).get("record", "{}"))["curve"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} has no error curve in its record ({error}): training.train writes one") from error
