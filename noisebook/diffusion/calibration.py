"""Measuring a denoiser: the error curve from which coding plans follow."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING

from noisebook.diffusion.plan import Curve, Denoise, Schedule
from noisebook.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import torch

# Denser where error and signal-to-noise ratio change fastest.
TIMESTEPS = (0, 4, 10, 20, 40, 60, 90, 120, 160, 200, 260, 320, 400, 500, 600, 700, 800, 900, 960, 999)


def measure_curve(
    denoise: Denoise,
    schedule: Schedule,
    latents: Iterable[torch.Tensor],
    *,
    timesteps: tuple[int, ...] = TIMESTEPS,
    seed: int = 0,
) -> Curve:
    """Mean squared error of x0_hat over `latents` (each `[B, C, T', F']`, unit variance) at each timestep.

    The curve is made to rise with t, as that of an exact denoiser does (Guo, Shamai & Verdu 2005), and not above what
    the estimate zero errs by, nor above 1: where a network that predicts the noise sees hardly anything else, its
    own error is divided by alpha and says nothing of what the noise leaves open. It is rounded to six digits, so that
    its decimal text is the curve.

    Raises:
        ConfigError: no latents.
        ModelError: an estimate is not finite.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    totals = [0.0] * len(timesteps)
    count, prior = 0, 0.0
    for latent in latents:
        count += len(latent)
        prior += float(latent.square().mean()) * len(latent)
        for i, t in enumerate(timesteps):
            noise = torch.randn(latent.shape, generator=generator).to(latent)
            error = denoise(schedule.add_noise(latent, noise, t), t) - latent
            totals[i] += float(error.square().mean()) * len(latent)
    if not count:
        raise ConfigError("an error curve needs at least one latent to be measured on, none were given")
    if not isfinite(sum(totals)):
        raise ModelError("the denoiser's estimates are not finite, so they have no error; try --dtype float32")
    most, errors = max(1e-6, min(1.0, prior / count)), list[float]()
    for total in totals:
        errors.append(float(f"{min(most, max(total / count, errors[-1] if errors else 1e-6)):.6g}"))
    return Curve(timesteps, tuple(errors))
