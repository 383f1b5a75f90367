"""Where the autoencoder of bands begins: its linear path as the best that a linear transform can do.

Principal components of the weighted bands of four frames (Karhunen 1947), scaled to a variance of 1. They are what a
codec wants whose noise is white: an error of the latent is one of the bands, and bits go where the variance is (reverse
water-filling). From random weights, or from the latent of another model, training found nothing as fine within its
time: 3.8 dB of error at any rate, where 128 components leave 1.5 dB (docs/training.md).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from noisebook.audio.bands import HOP_LENGTH, SAMPLE_RATE, log_bands
from noisebook.audio.hearing import band_weights
from noisebook.networks.band_vae import BandVae
from noisebook.networks.configs import PATCH
from training.sounds import Sounds

_CLIPS, _FRAMES = 960, 128
_AT_A_TIME = 24
_SMALL = 0.05  # what the network's own output layers are scaled by
_CERTAIN = -6.0  # log-variance of the posterior


@torch.no_grad()
def begin_with_basis(vae: BandVae, sounds: Sounds) -> None:
    """Set the linear path of an autoencoder, both ways, and keep its blocks small."""
    there = sounds.hours * 3600 * SAMPLE_RATE / (_FRAMES * HOP_LENGTH)
    tokens = _tokens(vae, sounds, min(_CLIPS, max(_AT_A_TIME, int(there))))
    weight = band_weights(tokens.device).sqrt().repeat(PATCH)
    mean = tokens.mean(0)
    weighted = (tokens - mean) * weight
    values, vectors = torch.linalg.eigh(weighted.T @ weighted / len(weighted))
    size = vae.config.latent_size
    components = vectors[:, -size:]
    # Components of all variances in each value: values of the latent are alike to what quantises them.
    turned = components @ torch.linalg.qr(torch.randn(size, size, device=tokens.device)).Q
    scale = values[-size:].mean().sqrt()
    encoder, decoder = turned.T * weight / scale, turned / weight[:, None] * scale
    for layer, matrix, offset in (
        (vae.encoder_skip, encoder, -encoder @ mean),
        (vae.decoder_skip, decoder, mean),
    ):
        layer.weight.copy_(matrix)
        layer.bias.copy_(offset)
    posterior, bands = cast(nn.Linear, vae.encoder_out[1]), cast(nn.Linear, vae.decoder_out[1])
    for last in (posterior, bands):
        last.weight.mul_(_SMALL)
        last.bias.zero_()
    posterior.bias[size:] = _CERTAIN


def _tokens(vae: BandVae, sounds: Sounds, clips: int) -> torch.Tensor:
    """Normalised bands of `PATCH` frames, `[tokens, PATCH * bands]`."""
    pieces = []
    for first in range(0, clips, _AT_A_TIME):
        waveform, _ = sounds.batch(min(_AT_A_TIME, clips - first), _FRAMES * HOP_LENGTH)
        bands = (log_bands(waveform)[:, 0] - vae.config.mean) / vae.config.std
        pieces.append(bands.unflatten(1, (-1, PATCH)).flatten(2).flatten(0, 1))
    return torch.cat(pieces)
