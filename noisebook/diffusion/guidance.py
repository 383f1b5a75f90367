"""Denoisers for a whole timeline: conditioned on a tag or a prompt, guided, and counted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from noisebook.diffusion.backend import Backend, Condition
from noisebook.diffusion.plan import Denoise
from noisebook.diffusion.windows import windowed
from noisebook.errors import ConfigError
from noisebook.options import OnStep

if TYPE_CHECKING:
    import torch

__all__ = ["classifier_free", "counted", "over_timeline", "prompted"]

_OVERLAP = 64  # latent frames that neighbouring windows share


def over_timeline(backend: Backend, *, tag: int = 0, condition: Condition | None = None) -> Denoise:
    """The backend's denoiser for any length; a condition takes the place of the tag."""
    denoise = partial(backend.denoise, tag=tag, condition=condition)
    return windowed(denoise, window=backend.info.window_frames, overlap=_OVERLAP)


def counted(denoise: Denoise, on_step: OnStep | None, total: int) -> Denoise:
    """The same denoiser; each call is reported to `on_step`, out of `total`."""
    if on_step is None:
        return denoise
    done = 0

    def counting(x: torch.Tensor, t: int) -> torch.Tensor:
        nonlocal done
        x0_hat = denoise(x, t)
        done += 1
        on_step(done, total)
        return x0_hat

    return counting


def prompted(
    backend: Backend,
    *,
    prompt: str | None,
    negative: str | None,
    guidance: float,
    rescale: float = 0.0,
    on_step: OnStep | None = None,
    total: int = 0,
) -> Denoise:
    """A denoiser for any length that follows a prompt.

    Args:
        prompt: what to follow; None or an empty text is any sound.
        negative: what to stay away from; None is no such wish.
        guidance: scale of classifier-free guidance; 1 is none, and then a negative prompt has no effect.
        rescale: 0 to 1, see `classifier_free`.
        on_step: called with (calls done, total).

    Raises:
        ConfigError: a text without a known word, a negative guidance, or a rescale outside 0..1.
    """
    if guidance < 0 or not 0 <= rescale <= 1:
        raise ConfigError(f"guidance {guidance:g}, rescale {rescale:g}: at least 0, and 0 to 1, are possible")

    def conditioned(text: str | None) -> Denoise:
        return over_timeline(backend, condition=backend.condition(text) if text else None)

    denoise = conditioned(prompt)
    if guidance != 1 and (prompt or negative):
        denoise = classifier_free(denoise, conditioned(negative), guidance, rescale=rescale)
    return counted(denoise, on_step, total)


def classifier_free(conditional: Denoise, unconditional: Denoise, scale: float, *, rescale: float = 0.0) -> Denoise:
    """`x0_u + scale (x0_c - x0_u)`: guidance exaggerates what a condition changes (Ho & Salimans 2022); scale 1 is the
    conditional denoiser.

    Args:
        conditional: with the condition.
        unconditional: without it, or with what is to be avoided (a negative prompt).
        scale: of the difference; also called guidance weight.
        rescale: 0 to 1, how far each estimate is brought back to the standard deviation of the conditional one, which
            large scales inflate (Lin et al. 2024, "Common diffusion noise schedules and sample steps are flawed").
    """

    def guided(x: torch.Tensor, t: int) -> torch.Tensor:
        # In this order: what the empty text means may have to be found out, before the denoiser takes its memory.
        without, with_condition = unconditional(x, t), conditional(x, t)
        estimate = without + scale * (with_condition - without)
        if rescale == 0:
            return estimate
        ratio = _deviation(with_condition) / _deviation(estimate)
        return estimate * (1 - rescale + rescale * ratio)

    return guided


def _deviation(x: torch.Tensor) -> torch.Tensor:
    """Standard deviation of each sound of a batch, `[B, 1, 1, 1]`, never zero."""
    return x.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
