"""The contract of a diffusion engine: everything the codec asks of a model, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from noisebook.diffusion.plan import Curve
from noisebook.diffusion.schedule import Schedule
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["Backend", "BackendInfo", "Condition", "MelBackend", "with_mel"]


@dataclass(frozen=True)
class BackendInfo:
    """What is fixed about a model.

    Attributes:
        name: for messages.
        fingerprint: SHA-256 over the weights that decide what a stream means (autoencoder and denoiser; another
            vocoder plays the same stream).
        autoencoder: SHA-256 over the weights of the autoencoder alone: a codebook of its latents serves every denoiser
            of these.
        sample_rate: Hz, of the model's sound.
        hop_length: samples to a mel frame; 0 for a model that hears waveforms and has no mel.
        frame_samples: samples to a latent frame.
        latent_channels, latent_bins: C and F' of a latent `[B, C, T', F']`.
        frame_multiple: the denoiser accepts lengths T' that are multiples of this.
        window_frames: the longest T' that the denoiser was trained on.
        margin_frames: latent frames of context on either side after which autoencoder and vocoder no longer notice
            where a sound was cut.
        schedule: of the noise.
        curve: measured error of the denoiser, from which coding plans follow.
        tags: names of the conditioning tags; tag i is `tags[i - 1]`, tag 0 is none.
        audio_channels: channels of sound in one latent: 1, or 2 for a model of stereo sound.
    """

    name: str
    fingerprint: bytes
    autoencoder: bytes
    sample_rate: int
    hop_length: int
    frame_samples: int
    latent_channels: int
    latent_bins: int
    frame_multiple: int
    window_frames: int
    margin_frames: int
    schedule: Schedule
    curve: Curve
    tags: tuple[str, ...]
    audio_channels: int = 1

    @property
    def frame_values(self) -> int:
        """Latent values to a latent frame."""
        return self.latent_channels * self.latent_bins

    @property
    def frames_per_second(self) -> float:
        """Latent frames a second."""
        return self.sample_rate / self.frame_samples


@dataclass(frozen=True)
class Condition:
    """A text as a backend understands it; made by `Backend.condition`, for the denoiser of that backend.

    Attributes:
        text: as it was given.
        unknown: its words that the model does not know and that have no effect, to be told to the user.
        value: what the text became; the backend's own business.
    """

    text: str
    unknown: tuple[str, ...]
    value: Any


class Backend(Protocol):
    """A loaded model. Tensors live on `device`; latents have variance near 1."""

    @property
    def info(self) -> BackendInfo: ...

    @property
    def device(self) -> torch.device: ...

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        """`[B, A, N] -> [B, C, T', F']`, the mode of the posterior; A is 1 or 2, N a multiple of `frame_samples`.

        A model of mono sound makes one latent of left and right: that of their power mean, in which nothing cancels.
        """

    def to_waveform(self, latent: torch.Tensor) -> torch.Tensor:
        """`[B, C, T', F'] -> [B, audio_channels, T' * frame_samples]`."""

    def condition(self, text: str) -> Condition:
        """What a text means to the denoiser; the empty text means any sound.

        Raises:
            ConfigError: no word of the text is known; says which are.
        """

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        """`x_t [B, C, T', F']` -> x0_hat, shaped alike; T' at most `window_frames`.

        A condition takes the place of the tag.
        """


class MelBackend(Backend, Protocol):
    """A model whose autoencoder hears mels, with a vocoder behind it: what reconstruction and restoration need."""

    def mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """`[B, N]` or `[B, 2, N] -> [B, 1, N / hop_length, n_mels]`, N a multiple of `frame_samples`; of left and right
        the mel of their power mean."""

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        """`[B, 1, T, n_mels] -> [B, C, T', F']`: the mode of the posterior."""

    def posterior(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean (what `encode` gives) and standard deviation of the latent, each `[B, C, T', F']`."""

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """`[B, C, T', F'] -> [B, 1, T, n_mels]`."""

    def pull(self, latent: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
        """`J^T (mel - decode(latent))`, shaped as the latent, J the Jacobian of `decode`: the way on which the squared
        error of the mel falls most steeply."""

    def vocode(self, mel: torch.Tensor) -> torch.Tensor:
        """`[B, 1, T, n_mels] -> [B, T * hop_length]`."""


def with_mel(backend: Backend) -> MelBackend:
    """The backend, where its autoencoder hears mels.

    Raises:
        ConfigError: it hears waveforms.
    """
    if not backend.info.hop_length:
        raise ConfigError(f"{backend.info.name} hears waveforms; this needs a model of mels, such as mini or audioldm2")
    return cast(MelBackend, backend)
