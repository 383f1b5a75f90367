"""Sizes of the networks of our own models. No tensors: what a file says about itself is read without torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PATCH", "BandVaeConfig", "DenoiserConfig", "MelVaeConfig", "VocoderConfig"]

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
