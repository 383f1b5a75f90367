"""The files of a model of our own, of mels or of bands, and what they say without a network being built. No torch."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from noisebook.audio.bands import BANDS, SYNTHESIS_REACH
from noisebook.audio.features import BAND_FEATURES, MEL_FEATURES, Features
from noisebook.backends.checkpoint import content_digest, read_config, read_metadata
from noisebook.config import from_dict
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Curve
from noisebook.diffusion.schedule import scaled_linear
from noisebook.errors import ModelError
from noisebook.networks.configs import (
    PATCH,
    BandVaeConfig,
    DenoiserConfig,
    MelVaeConfig,
    VocoderConfig,
)

__all__ = ["FILES", "WEIGHTS", "describe", "fingerprint", "holds_bands", "margin_frames", "model_info"]

WEIGHTS = Path(__file__).parent / "weights"
FILES = ("vae.safetensors", "denoiser.safetensors", "vocoder.safetensors")  # a model of bands needs no vocoder
_WINDOW_FRAMES = 256  # 10.24 s, the longest the denoiser was trained on


def holds_bands(folder: Path) -> bool:
    """Whether the autoencoder in a folder is one of bands, which `backends.bands` loads."""
    path = folder / FILES[0]
    return path.is_file() and read_metadata(path).get("network") == "BandVae"


def fingerprint(folder: Path) -> bytes:
    """SHA-256 over all that decides what a stream means: weights of VAE and denoiser, and the error curve."""
    _require_files(folder)
    digest = sha256()
    for name in FILES[:2]:
        digest.update(content_digest(folder / name))
    curve = _curve(folder / FILES[1])
    digest.update(json.dumps([curve.timesteps, curve.errors]).encode())
    return digest.digest()


def margin_frames(vae: MelVaeConfig, vocoder: VocoderConfig) -> int:
    """Latent frames of context after which a cut is out of reach of mel window, VAE and vocoder."""
    analysis = 1 + vae.encoder_reach  # half an analysis window is less than a latent frame
    return max(analysis, vae.decoder_reach - (-vocoder.reach // 4))


def describe(folder: Path) -> dict[str, dict[str, object]]:
    """Configuration and training record of each file of a mini model."""
    metadata = {name: read_metadata(folder / name) for name in _files(folder)}
    return {
        name: {key: json.loads(values[key]) for key in ("config", "record") if key in values}
        for name, values in metadata.items()
    }


def model_info(folder: Path = WEIGHTS) -> BackendInfo:
    """What is fixed about a model, read from its files without building its networks.

    Raises:
        ModelError: a file is missing, damaged, or of another model than the others.
    """
    _require_files(folder)
    return _band_info(folder) if holds_bands(folder) else _mel_info(folder)


def _mel_info(folder: Path) -> BackendInfo:
    vae = read_config(folder / FILES[0], "MelVae", MelVaeConfig)
    denoiser = read_config(folder / FILES[1], "Denoiser", DenoiserConfig)
    vocoder = read_config(folder / FILES[2], "Vocoder", VocoderConfig)
    mel = MEL_FEATURES
    same_mel = vae.n_mels == vocoder.n_mels == mel.bins and vocoder.hop_length == mel.hop_length
    _check_shapes(folder, vae, denoiser, same_mel)
    return _info(folder, vae, denoiser, mel, margin_frames(vae, vocoder))


def _band_info(folder: Path) -> BackendInfo:
    vae = read_config(folder / FILES[0], "BandVae", BandVaeConfig)
    denoiser = read_config(folder / FILES[1], "Denoiser", DenoiserConfig)
    _check_shapes(folder, vae, denoiser, vae.bands == BANDS.count)
    window = max(bank.n_fft for bank in BANDS.banks) // 2 // (PATCH * BANDS.hop_length)
    margin = max(1 + window + vae.encoder_reach, vae.decoder_reach + SYNTHESIS_REACH // PATCH)
    return _info(folder, vae, denoiser, BAND_FEATURES, margin)


def _info(
    folder: Path, vae: MelVaeConfig | BandVaeConfig, denoiser: DenoiserConfig, features: Features, margin: int
) -> BackendInfo:
    return BackendInfo(
        name="mini",
        fingerprint=fingerprint(folder),
        autoencoder=content_digest(folder / FILES[0]),
        sample_rate=features.sample_rate,
        features=features,
        frame_samples=PATCH * features.hop_length,
        latent_channels=vae.latent_channels,
        latent_bins=vae.latent_bins,
        frame_multiple=1,
        window_frames=_WINDOW_FRAMES,
        margin_frames=margin,
        schedule=scaled_linear(),
        curve=_curve(folder / FILES[1]),
        tags=denoiser.tags,
    )


def _check_shapes(folder: Path, vae: MelVaeConfig | BandVaeConfig, denoiser: DenoiserConfig, features: bool) -> None:
    """ModelError unless autoencoder and denoiser have one latent, and all that hear features the same ones."""
    latents = (vae.latent_channels, vae.latent_bins), (denoiser.latent_channels, denoiser.latent_bins)
    if latents[0] != latents[1] or not features:
        raise ModelError(f"{folder}: VAE, denoiser and vocoder have different shapes; they are of different models")


def _require_files(folder: Path) -> None:
    files = _files(folder)
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} has no {', '.join(missing)}; a mini model is a folder with {', '.join(files)}")


def _files(folder: Path) -> tuple[str, ...]:
    return FILES[:2] if holds_bands(folder) else FILES


def _curve(path: Path) -> Curve:
    try:
        return from_dict(Curve, json.loads(read_metadata(path).get("record", "{}"))["curve"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} has no error curve in its record ({error}): training.train writes one") from error
