"""The contract of a diffusion engine: everything the codec asks of a model, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from noisebook.diffusion.plan import Curve
from noisebook.diffusion.schedule import Schedule

if TYPE_CHECKING:
    import torch

__all__ = ["Backend", "BackendInfo", "Condition"]


@dataclass(frozen=True)
class BackendInfo:
    """What is fixed about a model.

    Attributes:
        name: for messages.
        fingerprint: SHA-256 over the weights that decide what a stream means (autoencoder and denoiser; another
            vocoder plays the same stream).
        sample_rate: Hz, of the model's sound.
        hop_length: samples to a mel frame.
        frame_samples: samples to a latent frame.
        latent_channels, latent_bins: C and F' of a latent `[B, C, T', F']`.
        frame_multiple: the denoiser accepts lengths T' that are multiples of this.
        window_frames: the longest T' that the denoiser was trained on.
        margin_frames: latent frames of context on either side after which autoencoder and vocoder no longer notice
            where a sound was cut.
        schedule: of the noise.
        curve: measured error of the denoiser, from which coding plans follow.
        tags: names of the conditioning tags; tag i is `tags[i - 1]`, tag 0 is none.
    """

    name: str
    fingerprint: bytes
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

    def mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """`[B, N] -> [B, 1, N / hop_length, n_mels]`, N a multiple of `frame_samples`."""

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        """`[B, 1, T, n_mels] -> [B, C, T', F']`: the mode of the posterior."""

    def posterior(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean (what `encode` gives) and standard deviation of the latent, each `[B, C, T', F']`."""

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """`[B, C, T', F'] -> [B, 1, T, n_mels]`."""

    def vocode(self, mel: torch.Tensor) -> torch.Tensor:
        """`[B, 1, T, n_mels] -> [B, T * hop_length]`."""

    def condition(self, text: str) -> Condition:
        """What a text means to the denoiser; the empty text means any sound.

        Raises:
            ConfigError: no word of the text is known; says which are.
        """

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        """`x_t [B, C, T', F']` -> x0_hat, shaped alike; T' at most `window_frames`.

        A condition takes the place of the tag.
        """
