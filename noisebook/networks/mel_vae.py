"""Variational autoencoder of log-mel spectrograms (Kingma & Welling 2014), four frames to a token.

    mel [B, 1, T, 64] -> tokens [B, T/4, 256] -> blocks -> mean, log-variance [B, T/4, 128] -> latent [B, 8, T/4, 16]

A linear path from each 4 x 4 patch of the mel to its 8 latent values runs beside the blocks, both ways, so that the
latent stays aligned with time and frequency, as in the convolutional VAE of AudioLDM.
"""

from __future__ import annotations

import torch
from torch import nn

from noisebook.networks.blocks import ResidualBlock, Taps
from noisebook.networks.configs import PATCH, MelVaeConfig

__all__ = ["MelVae", "MelVaeConfig"]


class MelVae(nn.Module):
    """The autoencoder. Latents are in the diffusion model's scale: multiplied by `scaling_factor`."""

    def __init__(self, config: MelVaeConfig) -> None:
        super().__init__()
        self.config = c = config
        self.encoder_skip = nn.Linear(PATCH * PATCH, c.latent_channels)
        self.encoder_in = Taps(c.token_size, c.dim)
        self.encoder = nn.Sequential(*(ResidualBlock(c.dim, c.hidden) for _ in range(c.encoder_blocks)))
        self.encoder_out = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, 2 * c.latent_size))
        self.decoder_skip = nn.Linear(c.latent_channels, PATCH * PATCH)
        self.decoder_in = Taps(c.latent_size, c.dim)
        self.decoder = nn.Sequential(*(ResidualBlock(c.dim, c.hidden) for _ in range(c.decoder_blocks)))
        self.decoder_out = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, c.token_size))

    def posterior(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of `q(z | mel)`, unscaled, each `[B, C, T/4, F/4]`; T a multiple of 4."""
        c = self.config
        patches = self._patches((mel - c.mel_mean) / c.mel_std)
        hidden = self.encoder(self.encoder_in(patches.flatten(2)))
        mean, log_variance = self.encoder_out(hidden).float().chunk(2, dim=-1)
        mean = self._cells(mean) + self.encoder_skip(patches).float().permute(0, 3, 1, 2)
        return mean, self._cells(log_variance).clamp(-12.0, 2.0)

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        """Mode of the posterior, scaled: `[B, 1, T, F] -> [B, C, T/4, F/4]`."""
        return self.posterior(mel)[0] * self.config.scaling_factor

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Mel of a scaled latent: `[B, C, T', F'] -> [B, 1, 4 T', 4 F']`."""
        return self.decode_unscaled(latent / self.config.scaling_factor)

    def decode_unscaled(self, latent: torch.Tensor) -> torch.Tensor:
        c = self.config
        cells = latent.permute(0, 2, 3, 1)  # [B, T', F', C]
        tokens = latent.permute(0, 2, 1, 3).flatten(2)
        hidden = self.decoder(self.decoder_in(tokens))
        patches = self.decoder_out(hidden).unflatten(-1, (c.latent_bins, PATCH * PATCH)).float()
        mel = self._unpatch(patches + self.decoder_skip(cells).float())
        return mel * c.mel_std + c.mel_mean

    def _patches(self, mel: torch.Tensor) -> torch.Tensor:
        """`[B, 1, T, F] -> [B, T/4, F/4, 16]`."""
        batch, _, frames, bins = mel.shape
        blocks = mel.reshape(batch, frames // PATCH, PATCH, bins // PATCH, PATCH)
        return blocks.transpose(2, 3).flatten(3)

    def _unpatch(self, patches: torch.Tensor) -> torch.Tensor:
        """`[B, T', F', 16] -> [B, 1, 4 T', 4 F']`."""
        batch, frames, bins, _ = patches.shape
        blocks = patches.reshape(batch, frames, bins, PATCH, PATCH).transpose(2, 3)
        return blocks.reshape(batch, 1, frames * PATCH, bins * PATCH)

    def _cells(self, tokens: torch.Tensor) -> torch.Tensor:
        """`[B, T', C * F'] -> [B, C, T', F']`."""
        return tokens.unflatten(-1, (self.config.latent_channels, -1)).transpose(1, 2)
