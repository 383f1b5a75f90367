"""The embedded model: mel VAE, denoiser and vocoder from three safetensors files inside the package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import torch

from noisebook.audio.mel import MelConfig, log_mel
from noisebook.backends.checkpoint import content_digest, load_network, read_config, read_metadata, save_network
from noisebook.backends.compiling import compile_network
from noisebook.backends.mel_model import MelModel, pulled
from noisebook.backends.placement import usable_device
from noisebook.backends.vocabulary import tag_weights
from noisebook.config import from_dict, to_dict
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.plan import Curve
from noisebook.diffusion.schedule import scaled_linear
from noisebook.errors import ConfigError, ModelError
from noisebook.networks.denoiser import Denoiser, DenoiserConfig, x0_from_v
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.networks.vocoder import Vocoder, VocoderConfig

__all__ = ["FILES", "WEIGHTS", "MiniBackend", "describe", "fingerprint", "margin_frames", "model_info", "store_curve"]

WEIGHTS = Path(__file__).parent / "weights"
FILES = ("vae.safetensors", "denoiser.safetensors", "vocoder.safetensors")
_WINDOW_FRAMES = 256  # 10.24 s, the longest the denoiser was trained on


class MiniBackend(MelModel):
    """Satisfies `noisebook.diffusion.backend.MelBackend`.

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

    def mel(self, waveform: torch.Tensor) -> torch.Tensor:
        return log_mel(waveform)

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return self._vae.encode(mel).float()

    def posterior(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with self._inference():
            mean, log_variance = self._vae.posterior(mel)
            scale = self._vae.config.scaling_factor
            return mean.float() * scale, (0.5 * log_variance.float()).exp() * scale

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return self._vae.decode(latent)

    def pull(self, latent: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
        with self._precision():
            return pulled(self._vae.decode, latent, mel)

    def vocode(self, mel: torch.Tensor) -> torch.Tensor:
        with self._inference():
            return self._vocoder(mel)

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
    metadata = {name: read_metadata(folder / name) for name in FILES}
    return {
        name: {key: json.loads(values[key]) for key in ("config", "record") if key in values}
        for name, values in metadata.items()
    }


def model_info(folder: Path = WEIGHTS) -> BackendInfo:
    """What is fixed about a mini model, read from its files without building its networks.

    Raises:
        ModelError: a file is missing, damaged, or of another model than the others.
    """
    _require_files(folder)
    vae = read_config(folder / FILES[0], "MelVae", MelVaeConfig)
    denoiser = read_config(folder / FILES[1], "Denoiser", DenoiserConfig)
    vocoder = read_config(folder / FILES[2], "Vocoder", VocoderConfig)
    mel = MelConfig()
    same_latent = (vae.latent_channels, vae.latent_bins) == (denoiser.latent_channels, denoiser.latent_bins)
    same_mel = vae.n_mels == vocoder.n_mels == mel.n_mels and vocoder.hop_length == mel.hop_length
    if not (same_latent and same_mel):
        raise ModelError(f"{folder}: VAE, denoiser and vocoder have different shapes; they are of different models")
    return BackendInfo(
        name="mini",
        fingerprint=fingerprint(folder),
        autoencoder=content_digest(folder / FILES[0]),
        sample_rate=mel.sample_rate,
        hop_length=mel.hop_length,
        frame_samples=4 * mel.hop_length,
        latent_channels=vae.latent_channels,
        latent_bins=vae.latent_bins,
        frame_multiple=1,
        window_frames=_WINDOW_FRAMES,
        margin_frames=margin_frames(vae, vocoder),
        schedule=scaled_linear(),
        curve=_curve(folder / FILES[1]),
        tags=denoiser.tags,
    )


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


def _require_files(folder: Path) -> None:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} has no {', '.join(missing)}; a mini model is a folder with {', '.join(FILES)}")


def _curve(path: Path) -> Curve:
    try:
        return from_dict(Curve, json.loads(read_metadata(path).get("record", "{}"))["curve"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} has no error curve in its record ({error}): train it with recipes.denoiser"
        ) from error
