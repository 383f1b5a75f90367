"""Variable rate: which units of a sound are transients, so that they get twice the choices (format.md 5.10).

Accents move error rather than lower it: at equal bits, from 1500 bit/s on, the mean over the sound is nearer without
(docs/rate_limit.md, "Transients"). They pay where onsets matter more than what lies between them.

Units where the denoiser errs most are another choice: nearer in the mean, but at onsets no better than more bits for
all, and so not what accents are for. They serve models without a mel.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import torch

from noisebook.codec.layout import Layout, layout_of, plan_of
from noisebook.codec.noise import gaussian_noise
from noisebook.codec.pausing import can_vary
from noisebook.codec.signal import segmentwise
from noisebook.codec.steering import over_timeline
from noisebook.coding.container import Header
from noisebook.coding.stretches import Stretches, stretches_of
from noisebook.diffusion.backend import Backend, with_features
from noisebook.errors import ConfigError

__all__ = ["accents_of"]

_MOST = 0.2  # of the units: more take their bits from too many others
_ABOVE = 1.25  # times the mean of the sound: a steady sound has no transients


def accents_of(latent: torch.Tensor, header: Header, backend: Backend) -> Stretches:
    """The accents of a sound: at most a fifth of its units, those that stand out.

    Of a model with a mel those into which the log-mel rises most; of another those that the denoiser knows least
    where the bits end.

    Args:
        latent: `[channels, C, L, F']` of the sound.
        header: of its stream, with its tag and pauses.
        backend: the model.

    Raises:
        ConfigError: coding parameters that have no accents.
    """
    if not can_vary(header):
        raise ConfigError("transients need the partitioned rule and the structured codebook")
    layout = layout_of(header, backend.info)
    rise = _rise(latent, layout, backend) if backend.info.features else _surprise(latent, header, layout, backend)
    units = layout.unit_of_frames()
    chosen = _standing_out(_unit_means(rise.cpu().numpy(), units), layout.paused())
    return stretches_of(chosen[:, units])


def _rise(latent: torch.Tensor, layout: Layout, backend: Backend) -> torch.Tensor:
    """`[channels, L]`: how far the log-mel of the sound rises within each frame, mean of its bands."""
    hops = layout.info.feature_frames
    mel = segmentwise(with_features(backend).decode, latent, layout, reads=1, writes=hops)[:, 0]
    risen = mel.diff(dim=1, prepend=mel[:, :1]).clamp_min(0).mean(2)
    return risen.unflatten(1, (-1, hops)).mean(2)


def _surprise(latent: torch.Tensor, header: Header, layout: Layout, backend: Backend) -> torch.Tensor:
    """`[channels, L]`: squared error of the denoiser at the noise at which the bits end."""
    info = backend.info
    last = plan_of(layout.engine, info)[-1].s or 0
    alpha = info.schedule.alpha(last)
    channels, latent_channels, frames, bins = latent.shape
    noise = gaussian_noise((channels, latent_channels, frames, bins), seed=2, step=0, device=latent.device)
    x0_hat = over_timeline(backend, tag=header.tag or 0)(sqrt(alpha) * latent + sqrt(1 - alpha) * noise, last)
    return (x0_hat - latent).square().mean((1, 3))


def _unit_means(scores: np.ndarray, units: np.ndarray) -> np.ndarray:
    """`[channels, L]`, and the unit of each frame `[L]`, to `[channels, units]`."""
    sums = np.stack([np.bincount(units, channel) for channel in scores])
    return sums / np.bincount(units)


def _standing_out(scores: np.ndarray, paused: np.ndarray | None) -> np.ndarray:
    """`[channels, units]` bool: the highest scores of the units that are not paused, far enough above their mean."""
    sounding = np.ones_like(scores, bool) if paused is None else ~paused
    chosen, count = np.zeros_like(sounding), int(_MOST * sounding.sum())
    if count:
        highest = np.argsort(np.where(sounding, -scores, np.inf), axis=None, kind="stable")[:count]
        chosen.flat[highest] = scores.flat[highest] > _ABOVE * scores[sounding].mean()
    return chosen
