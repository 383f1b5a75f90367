"""The contract of a model: everything the codec asks of it, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

from noisebook.audio.features import Features
from noisebook.diffusion.plan import Curve, Schedule
from noisebook.diffusion.samplers import Sampling
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class BackendInfo:
    """What is fixed about a model, whose latents are `[B, C, T', F']`."""

    name: str  # for messages
    fingerprint: bytes  # SHA-256 of autoencoder and denoiser, which decide what a stream means; not of the vocoder
    autoencoder: bytes  # SHA-256 of the autoencoder alone: a codebook of its latents serves every denoiser of these
    sample_rate: int  # Hz, of the model's sound
    features: Features | None  # input of its autoencoder; None for a model of waveforms
    frame_samples: int  # samples to a latent frame
    latent_channels: int  # C
    latent_bins: int  # F'
    frame_multiple: int  # of which T' is a multiple
    window_frames: int  # the longest T' that the denoiser was trained on
    margin_frames: int  # of context to either side, from where autoencoder and vocoder do not notice a cut
    schedule: Schedule
    curve: Curve  # measured error of the denoiser, from which coding plans follow
    tags: tuple[str, ...]  # tag i is `tags[i - 1]`, tag 0 is none
    sampling: Sampling  # that it is best known to make sound with
    audio_channels: int = 1  # of sound in one latent; 2 for a model of stereo sound

    @property
    def frame_values(self) -> int:
        """Latent values to a latent frame."""
        return self.latent_channels * self.latent_bins

    @property
    def frames_per_second(self) -> float:
        """Latent frames a second."""
        return self.sample_rate / self.frame_samples

    @property
    def feature_frames(self) -> int:
        """Frames of features to a latent frame; 0 where there are none."""
        return self.frame_samples // self.features.hop_length if self.features else 0


@dataclass(frozen=True)
class Condition:
    """A text as a backend understands it; made by `Backend.condition`, for the denoiser of that backend."""

    text: str
    unknown: tuple[str, ...]  # its words that the model does not know and that have no effect
    value: Any  # what the text became; private to the backend


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

    def to_waveform(self, latent: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        """`[B, C, T', F'] -> [B, audio_channels, T' * frame_samples]`; phases go on from piece to piece of a timeline
        by the index of the first frame there."""

    def condition(self, text: str) -> Condition:
        """What a text means to the denoiser; the empty text means any sound. ConfigError if no word is known."""

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        """`x_t [B, C, T', F']` -> x0_hat, shaped alike; T' at most `window_frames`.

        A condition takes the place of the tag.
        """


class FeatureBackend(Backend, Protocol):
    """A model whose autoencoder works on features, with a vocoder behind it: what reconstruction and restoration need.

    Features are `[B, 1, T, bins]`, as `info.features` says.
    """

    def features(self, waveform: torch.Tensor) -> torch.Tensor:
        """`[B, N]` or `[B, 2, N]` to features, N a multiple of `frame_samples`."""

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """To the mode of the posterior, `[B, C, T', F']`."""

    def posterior(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation, each `[B, C, T', F']`; `encode` may move the mean to what decodes better."""

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """`[B, C, T', F']` to features."""

    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        """To `[B, T * hop_length]`; `first_frame` as of `to_waveform`, of features."""


class AudibleBackend(FeatureBackend, Protocol):
    """A model whose decoder can be differentiated, and whose features have weights for what is audible of them."""

    def audible_residual(self, features: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """For features that latents are to decode to: of a latent `[B, C, T', F']`, where it has to move for the error
        of its features to be less audible, shaped alike."""


class RankingBackend(Backend, Protocol):
    """A model with an encoder of sounds beside that of its prompts."""

    ranks: bool  # whether this one has it

    def similarity(self, prompt: str, samples: torch.Tensor) -> torch.Tensor:
        """Cosine between a prompt and each of the sounds `[B, N]` at the model's rate: `[B]`."""


class FeatureModel(ABC):
    """The road of a sound through a `FeatureBackend`: front end and autoencoder, autoencoder and vocoder."""

    info: BackendInfo

    def features(self, waveform: torch.Tensor) -> torch.Tensor:
        return front_end_of(self.info).analyse(waveform)

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.encode(self.features(waveform.squeeze(1)))  # [B, 2, N] stays: the front end takes their power mean

    def to_waveform(self, latent: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        return self.vocode(self.decode(latent), first_frame * self.info.feature_frames)[:, None]

    @abstractmethod
    def encode(self, features: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def decode(self, latent: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor: ...


def with_features(backend: Backend) -> FeatureBackend:
    """The backend, where its autoencoder works on features; ConfigError where it works on waveforms."""
    front_end_of(backend.info)
    return cast(FeatureBackend, backend)


def has_audible_residual(backend: Backend) -> TypeGuard[AudibleBackend]:
    """Whether it is an `AudibleBackend`."""
    return getattr(backend, "audible_residual", None) is not None


def with_ranking(backend: Backend) -> RankingBackend:
    """The backend, where it can tell how well a sound suits a prompt; ConfigError where it cannot."""
    if not getattr(backend, "ranks", False):
        raise ConfigError(
            f"{backend.info.name} has nothing that hears whether a sound suits a prompt, as the CLAP of AudioLDM 2 and "
            "MusicLDM does, so it makes one candidate"
        )
    return cast(RankingBackend, backend)


def front_end_of(info: BackendInfo) -> Features:
    """The features that a model's autoencoder works on; ConfigError where it works on waveforms."""
    if info.features is None:
        raise ConfigError(f"{info.name} works on waveforms; this needs a model of features, such as mini or audioldm2")
    return info.features
