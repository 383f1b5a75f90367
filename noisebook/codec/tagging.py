"""The conditioning tag that suits a sound best, found by the encoder; one byte of the header tells the decoder."""

from __future__ import annotations

from math import sqrt

import torch

from noisebook.codec.layout import plan_of
from noisebook.codec.noise import gaussian_noise
from noisebook.codec.steering import over_timeline
from noisebook.coding.container import Engine
from noisebook.diffusion.backend import Backend

__all__ = ["best_tag"]

_CLEAR = 0.95  # of the error without a tag: nearer ones are chance, and a tag costs a byte
_FRAMES = 512  # two windows


def best_tag(latent: torch.Tensor, engine: Engine, backend: Backend) -> int:
    """The tag with which the denoiser knows the sound best where the coded steps end and half way there; 0 for none.

    Two calls of the denoiser a tag, on the first two windows of the sound.

    Args:
        latent: `[channels, C, L, F']`.
        engine: coding parameters; without kappa its steps end in clean data, where no tag matters much.
        backend: the model.
    """
    info = backend.info
    plan = plan_of(engine, info)
    timesteps = [step.s for step in (plan[(len(plan) - 1) // 2], plan[-1]) if step.s is not None]
    heard = latent[:, :, :_FRAMES]
    channels, latent_channels, frames, bins = heard.shape
    noise = gaussian_noise((channels, latent_channels, frames, bins), seed=1, step=0, device=heard.device)

    def error(tag: int) -> float:
        """Geometric mean over the timesteps, so that both count alike."""
        denoise, product = over_timeline(backend, tag=tag), 1.0
        for t in timesteps:
            alpha = info.schedule.alpha(t)
            product *= float((denoise(sqrt(alpha) * heard + sqrt(1 - alpha) * noise, t) - heard).square().mean())
        return product ** (1 / len(timesteps))

    errors = [error(tag) for tag in range(len(info.tags) + 1)]
    best = min(range(len(errors)), key=errors.__getitem__)
    return best if errors[best] < _CLEAR * errors[0] else 0
