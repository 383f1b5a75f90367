"""What an autoencoder of bands can express, and its encoder does not find.

An encoder guesses a latent in one pass. Its decoder can do more: it can be differentiated, so a latent can be moved
until the decoded bands come nearer (semi-amortised inference, Kim et al. 2018; latents of learned image codecs are
refined in the same way, Campos et al. 2019). A stream does not know how its latent was found.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from noisebook.audio.hearing import NEPER_DB, hearing_weights, prominence
from noisebook.networks.band_vae import BandVae
from noisebook.networks.configs import PATCH

_PROMINENT, _LOST = 1.0, 2.0  # how much more counts what stands out: in the residual, and where partials are lost
_OUT_DB, _LOST_DB, _LOUD_DB = 10.0, 6.0, 20.0  # a partial stands out, is lost, and is loud beside what surrounds it
_AROUND = (25, 49)  # frames and bands, of which a loud one is within 20 dB
_REACH = 2  # tokens beside a lost partial that may move
_STEPS, _RATE, _HELD = 15, 0.02, 0.1  # of Adam; how dear it is to leave the encoder's guess


def audible_residual(vae: BandVae, bands: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Where a latent `[B, C, T', F']` has to move for its error to be less audible, shaped alike: minus the gradient of
    half the squared error of its bands, weighted by hearing. To first order it is the error of the latent, weighted by
    the decoder. `bands`, `[B, 1, 4 T', F]`, natural logarithms, are those that latents are to decode to.
    """
    with torch.inference_mode(False):  # whatever the caller has switched off, also below
        weights = hearing_weights(bands, _PROMINENT)

    def residual(latent: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            moved = latent.detach().clone().requires_grad_(True)
            loss = ((vae.decode(moved) - bands).square() * weights).sum() / 2
            return -torch.autograd.grad(loss, moved)[0]

    return residual


def with_partials(vae: BandVae, latent: torch.Tensor, bands: torch.Tensor) -> torch.Tensor:
    """The latent, moved where it lost loud partials: a whistle or a chirp stands 40 dB out of its surroundings, and
    decodes 10 to 25 dB too quiet. Elsewhere it is as it was: `[B, C, T', F']`, of the bands `[B, 1, 4 T', F]`, natural
    logarithms."""
    near = _near_lost(bands, vae.decode(latent))
    if not near.any():
        return latent
    tokens = near[:, None, :, None]
    with torch.inference_mode(False), torch.enable_grad():
        weights = hearing_weights(bands, _LOST) * tokens.repeat_interleave(PATCH, 2)
        moved = latent.detach().clone().requires_grad_(True)
        optimizer = torch.optim.Adam([moved], lr=_RATE, betas=(0.9, 0.99))
        for step in range(_STEPS):
            optimizer.param_groups[0]["lr"] = _RATE * (1 - 0.8 * step / _STEPS)
            error = NEPER_DB * ((vae.decode(moved) - bands).abs() * weights).mean((1, 3)).sum() / PATCH  # dB a token
            held = _HELD * (moved - latent).square().sum()
            moved.grad = torch.autograd.grad(error + held, moved)[0] * tokens
            optimizer.step()
    return moved.detach()


def _near_lost(bands: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """Which tokens are at or beside a loud partial that did not come back, `[B, T']` of 0 and 1."""
    quiet = NEPER_DB * (F.max_pool2d(bands, _AROUND, 1, tuple(n // 2 for n in _AROUND)) - bands)
    lost = (prominence(bands) > _OUT_DB) & (NEPER_DB * (bands - decoded) > _LOST_DB) & (quiet < _LOUD_DB)
    tokens = lost.flatten(2).unflatten(2, (-1, PATCH * bands.shape[-1])).any(3).float()
    return F.max_pool1d(tokens, 2 * _REACH + 1, 1, _REACH)[:, 0]
