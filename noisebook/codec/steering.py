"""Denoisers for a whole timeline: conditioned on a tag or a prompt, guided, counted; and the noise for generation."""

from __future__ import annotations

from functools import partial

import torch

from noisebook.diffusion.backend import Backend, Condition
from noisebook.diffusion.guidance import classifier_free
from noisebook.diffusion.plan import Denoise
from noisebook.diffusion.windows import windowed
from noisebook.errors import ConfigError
from noisebook.options import OnStep

__all__ = ["OnStep", "counted", "over_timeline", "prompted"]

_OVERLAP = 64  # latent frames that neighbouring windows share


def over_timeline(backend: Backend, *, tag: int = 0, condition: Condition | None = None) -> Denoise:
    """The backend's denoiser for any length; a condition takes the place of the tag."""
    denoise = partial(backend.denoise, tag=tag, condition=condition)
    return windowed(denoise, window=backend.info.window_frames, overlap=_OVERLAP)


def counted(denoise: Denoise, on_step: OnStep | None, total: int) -> Denoise:
    """The same denoiser; each call is told to `on_step`, out of `total`."""
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
        rescale: 0 to 1, see `guidance.classifier_free`.
        on_step: told (calls done, total).

    Raises:
        ConfigError: a text without a known word, a negative guidance, or a rescale outside 0..1.
    """
    if guidance < 0 or not 0 <= rescale <= 1:
        raise ConfigError(f"guidance {guidance:g}, rescale {rescale:g}: at least 0, and 0 to 1, are possible")
    denoise = _conditioned(backend, prompt)
    if guidance != 1 and (prompt or negative):
        denoise = classifier_free(denoise, _conditioned(backend, negative), guidance, rescale=rescale)
    return counted(denoise, on_step, total)


def _conditioned(backend: Backend, text: str | None) -> Denoise:
    return over_timeline(backend, condition=backend.condition(text) if text else None)
