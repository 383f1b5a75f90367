"""Sizes of the networks of our own models. No tensors: what a file says about itself is read without torch."""

from __future__ import annotations

from dataclasses import dataclass

PATCH = 4  # frames to a token of the autoencoder


@dataclass(frozen=True)
class BandVaeConfig:
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

    @property
    def encoder_reach(self) -> int:
        """Latent frames to either side that the encoder sees, its own token's included."""
        return self.encoder_blocks + 2

    @property
    def decoder_reach(self) -> int:
        """The same of the decoder, and the two tokens that `without_ripple` sees besides."""
        return self.decoder_blocks + 4


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
