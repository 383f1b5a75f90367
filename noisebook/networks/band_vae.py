"""Variational autoencoder of band spectrograms (Kingma & Welling 2014), four frames to a token.

    bands [B, 1, T, F] -> tokens [B, T/4, 4 F] -> blocks -> mean, log-variance [B, T/4, C F'] -> latent [B, C, T/4, F']

A linear path runs beside the blocks, both ways: what a projection can carry needs no network. Unlike the latent of a
convolutional autoencoder of mels, values of this one have no place in frequency: C and F' only count them.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import nn

from noisebook.networks.blocks import ResidualBlock, Taps
from noisebook.networks.configs import PATCH, BandVaeConfig

_STEADY, _MOVING = (decibels / 20 * log(10) for decibels in (1.5, 4.0))  # from token to token, in nepers


class BandVae(nn.Module):
    """The autoencoder. Latents are in the diffusion model's scale: multiplied by `scaling_factor`."""

    def __init__(self, config: BandVaeConfig) -> None:
        super().__init__()
        self.config = c = config
        self.encoder_skip = nn.Linear(c.token_size, c.latent_size)
        self.encoder_in = Taps(c.token_size, c.dim)
        self.encoder = nn.Sequential(*(ResidualBlock(c.dim, c.hidden) for _ in range(c.encoder_blocks)))
        self.encoder_out = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, 2 * c.latent_size))
        self.decoder_skip = nn.Linear(c.latent_size, c.token_size)
        self.decoder_in = Taps(c.latent_size, c.dim)
        self.decoder = nn.Sequential(*(ResidualBlock(c.dim, c.hidden) for _ in range(c.decoder_blocks)))
        self.decoder_out = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, c.token_size))

    def posterior(self, bands: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of `q(z | bands)`, unscaled, each `[B, C, T/4, F']`; T a multiple of 4."""
        c = self.config
        tokens = ((bands[:, 0] - c.mean) / c.std).unflatten(1, (-1, PATCH)).flatten(2)
        hidden = self.encoder(self.encoder_in(tokens))
        mean, log_variance = self.encoder_out(hidden).float().chunk(2, dim=-1)
        mean = mean + self.encoder_skip(tokens).float()
        return self._cells(mean), self._cells(log_variance).clamp(-12.0, 2.0)

    def encode(self, bands: torch.Tensor) -> torch.Tensor:
        """Mode of the posterior, scaled: `[B, 1, T, F] -> [B, C, T/4, F']`."""
        return self.posterior(bands)[0] * self.config.scaling_factor

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Bands of a scaled latent: `[B, C, T', F'] -> [B, 1, 4 T', F]`."""
        c = self.config
        tokens = (latent / c.scaling_factor).transpose(1, 2).flatten(2)
        hidden = self.decoder(self.decoder_in(tokens))
        values = self.decoder_out(hidden).float() + self.decoder_skip(tokens).float()
        return without_ripple(values.unflatten(-1, (PATCH, -1)).flatten(1, 2) * c.std + c.mean)[:, None]

    def _cells(self, tokens: torch.Tensor) -> torch.Tensor:
        """`[B, T', C * F'] -> [B, C, T', F']`."""
        return tokens.unflatten(-1, (self.config.latent_channels, -1)).transpose(1, 2)


def without_ripple(bands: torch.Tensor) -> torch.Tensor:
    """Bands `[B, T, F]` smoothed over time where they stand still: there an error of the four frames of a token
    repeats with every token, and is heard as a ripple of 25 Hz (of a sine of 3 kHz -11 dB, and -40 dB without).

    A deblocking filter in the loop, as of video codecs (List et al. 2003): its taps are blind to 25 and 50 Hz, and it
    fades out where a band, or one beside it, changes by 1.5 to 4 dB from one token to the next.
    """
    taps = bands.new_tensor([1.0, 2.0, 2.0, 2.0, 1.0]) / 8
    in_time = bands.transpose(1, 2)
    smooth = (F.pad(in_time, (2, 2), mode="replicate").unfold(2, len(taps), 1) * taps).sum(-1)
    changes = F.pad(in_time.unflatten(2, (-1, PATCH)).mean(3).diff(dim=2).abs(), (1, 1))
    most = F.max_pool2d(torch.maximum(changes[..., :-1], changes[..., 1:])[:, None], 3, 1, 1)[:, 0]
    share = ((_MOVING - most) / (_MOVING - _STEADY)).clamp(0, 1).repeat_interleave(PATCH, 2)
    return torch.lerp(in_time, smooth, share).transpose(1, 2)
