"""Sizes of the networks of our own models. No tensors: what a file says about itself is read without torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PATCH", "BandVaeConfig", "DenoiserConfig", "MelVaeConfig", "PhaseVocoderConfig", "VocoderConfig"]

PATCH = 4  # frames to a token of an autoencoder; of mels also bins to one latent cell


class _Tokens:
    """What follows from the sizes of an autoencoder of tokens."""

    encoder_blocks: int
    decoder_blocks: int

    @property
    def encoder_reach(self) -> int:
        """Latent frames to either side that the encoder sees, its own token's included."""
        return self.encoder_blocks + 2

    @property
    def decoder_reach(self) -> int:
        """Latent frames to either side that the decoder sees, its own token's included."""
        return self.decoder_blocks + 2


@dataclass(frozen=True)
class MelVaeConfig(_Tokens):
    """Sizes of the VAE. `scaling_factor` brings the latent mode to unit variance (measured after training)."""

    n_mels: int = 64
    latent_channels: int = 8
    dim: int = 256
    hidden: int = 512
    encoder_blocks: int = 3
    decoder_blocks: int = 4
    mel_mean: float = -5.0
    mel_std: float = 2.5
    scaling_factor: float = 1.0

    @property
    def latent_bins(self) -> int:
        return self.n_mels // PATCH

    @property
    def token_size(self) -> int:
        """Mel values in one token."""
        return PATCH * self.n_mels

    @property
    def latent_size(self) -> int:
        """Latent values in one token."""
        return self.latent_channels * self.latent_bins


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of the denoiser. Tag 0 is "no tag"; `tags` names the others, in order, from 1."""

    latent_channels: int = 8
    latent_bins: int = 16
    dim: int = 384
    hidden: int = 640
    blocks: int = 6
    heads: int = 6
    tags: tuple[str, ...] = ("music", "speech", "effects")


@dataclass(frozen=True)
class VocoderConfig:
    """Sizes of the vocoder; `n_fft` must be a multiple of `hop_length`."""

    n_mels: int = 64
    dim: int = 256
    hidden: int = 640
    blocks: int = 8
    n_fft: int = 640
    hop_length: int = 160
    mel_mean: float = -5.0
    mel_std: float = 2.5

    @property
    def reach(self) -> int:
        """Mel frames to either side of a sample that it depends on: the blocks, then the inverse STFT's overlap."""
        return self.blocks + 1 + self.n_fft // self.hop_length


@dataclass(frozen=True)
class BandVaeConfig(_Tokens):
    """Sizes of the autoencoder of bands. `scaling_factor` brings the latent's mode to unit variance."""

    bands: int = 192
    latent_channels: int = 8
    latent_bins: int = 16
    dim: int = 320
    hidden: int = 640
    encoder_blocks: int = 3
    decoder_blocks: int = 4
    mean: float = -7.5
    std: float = 2.5
    scaling_factor: float = 1.0

    @property
    def token_size(self) -> int:
        """Band values in one token."""
        return PATCH * self.bands

    @property
    def latent_size(self) -> int:
        """Latent values in one token."""
        return self.latent_channels * self.latent_bins


@dataclass(frozen=True)
class PhaseVocoderConfig:
    """Sizes of the network.

    Attributes:
        heads: of each inverse STFT the samples of its window, a multiple of the hop, the Hz around which it fades in
            and out, and over how many. Together they make up one at every frequency.
        low_bands: of the bank that is fine enough for the frequency of a partial.
        kernel_hz, sharpness: of the mean shift: standard deviation of its kernel, and power of the magnitudes.
    """

    bands: int = 192
    dim: int = 320
    hidden: int = 896
    blocks: int = 9
    hop_length: int = 480
    sample_rate: int = 48_000
    heads: tuple[tuple[int, float, float, float], ...] = (
        (4800, 0.0, 800.0, 100.0),
        (1920, 800.0, 4000.0, 400.0),
        (960, 4000.0, 24_000.0, 400.0),
    )
    mean: float = -7.5
    std: float = 2.5
    low_bands: int = 120
    kernel_hz: float = 12.0
    sharpness: float = 1.5

    @property
    def reach(self) -> int:
        """Frames to either side of a sample that network and windows see; its phase remembers all that came before."""
        return self.blocks + 1 + max(n_fft for n_fft, *_ in self.heads) // self.hop_length
