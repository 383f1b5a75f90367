"""What an encoder aims at. The decoder replays the choices and need not know.

    residual [channels, C, L, F'] = aim(step, x0_hat) - x0_hat; the rule takes the atoms with the largest products

The plain aim is the latent. `shaped` looks at the residual through the denoiser; `weighted` says which values of it
matter more.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from noisebook.audio.features import MEL_FEATURES
from noisebook.codec.options import Priority
from noisebook.codec.timeline import Timeline
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.noise import gaussian_noise
from noisebook.diffusion.plan import Denoise, Step
from noisebook.diffusion.schedule import Schedule
from noisebook.errors import ConfigError

__all__ = ["Aim", "at", "priority_weights", "shaped", "weighted"]

Aim = Callable[[Step, torch.Tensor], torch.Tensor]  # (step, x0_hat) -> target, all shaped as the latent

_SHARE = 0.9  # measured: flat from 0.7 to 1
_SNR_MARGIN = 3.0  # of where the denoiser looks, over the ratio at which the bits end; measured, flat from 1 to 3


def at(latent: torch.Tensor) -> Aim:
    """The latent itself."""
    return lambda step, x0_hat: latent


def shaped(latent: torch.Tensor, denoise: Denoise, schedule: Schedule, last: int, *, share: float = _SHARE) -> Aim:
    """The latent, but of the residual only a part as it is, and `share` of it as the denoiser sees it.

    With one noise n for all steps and `D(u) = denoise(sqrt(alpha) u + sqrt(1 - alpha) n)`, the residual is
    `(1 - share) (latent - x0_hat) + share (D(latent) - D(x0_hat))`. Of a Gaussian source D is a Wiener filter: it
    takes away what lies below its noise, where the bits of a stream do not reach (reverse water-filling, Cover &
    Thomas 2006, 10.3). Its noise is a little below that at which the bits end. One more call of the denoiser a step.

    Args:
        latent: `[channels, C, L, F']`.
        denoise: of its timeline.
        schedule: of the denoiser.
        last: timestep at which the coded steps end.
        share: 0 to 1.
    """
    wanted = _SNR_MARGIN * schedule.snr(last)
    t = next((t for t in range(last, 0, -1) if schedule.snr(t) >= wanted), 0)
    noise = gaussian_noise(latent.shape, seed=0, step=0, device=latent.device)

    def seen(x: torch.Tensor) -> torch.Tensor:
        return denoise(schedule.add_noise(x, noise, t), t)

    goal = seen(latent)

    def aim(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        return x0_hat + (1 - share) * (latent - x0_hat) + share * (goal - seen(x0_hat))

    return aim


def weighted(aim: Aim, weights: torch.Tensor) -> Aim:
    """The same aim with a residual whose values count by `weights`, which broadcast to a latent."""
    return lambda step, x0_hat: x0_hat + weights * (aim(step, x0_hat) - x0_hat)


def priority_weights(priorities: tuple[Priority, ...], timeline: Timeline) -> torch.Tensor:
    """`[L, F']` of float32: the product of the priorities that hold at each latent frame and bin.

    A bin is heard in as many mel bands as there are to one; of the bands that a priority names it takes that share.

    Raises:
        ConfigError: a band of a model without a mel.
    """
    info = timeline.info
    weights = torch.ones(timeline.frames, info.latent_bins)
    seconds = torch.arange(timeline.frames) / info.frames_per_second
    for priority in priorities:
        within = ((seconds >= priority.start) & (seconds < priority.end)).float()
        inside = within[:, None] * _share_of_bins(priority, info)
        weights *= 1 + (priority.weight - 1) * inside
    return weights


def _share_of_bins(priority: Priority, info: BackendInfo) -> torch.Tensor:
    """`[F']`: the share of the mel bands of each latent bin that lie in the priority's band."""
    if not priority.banded:
        return torch.ones(info.latent_bins)
    if info.features is not MEL_FEATURES:
        raise ConfigError(f"the latents of {info.name} have no bands to give priority to; give times")
    centres = MEL_FEATURES.centres
    inside = torch.from_numpy((centres >= priority.low) & (centres < priority.high)).float()
    return inside.view(info.latent_bins, -1).mean(1)
