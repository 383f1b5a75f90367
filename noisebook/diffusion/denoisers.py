"""Denoisers for a whole timeline: in windows, conditioned on a tag or a prompt, guided, and counted.

    frames   0 ......... 192 .. 256 ......... 384 .. 448 ....
    window 0 [==========\\\\\\\\]
    window 1            [//////==========\\\\\\\\]             predictions cross-fade where windows overlap

The noise is one for the whole timeline, so overlap costs time and no bits, and no joint remains (MultiDiffusion,
Bar-Tal et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch

from noisebook.diffusion.backend import Backend, Condition
from noisebook.diffusion.plan import Denoise
from noisebook.errors import ConfigError
from noisebook.options import OnStep

_OVERLAP = 64  # latent frames that neighbouring windows share
_BATCH = 16  # windows in one call: a stereo segment of the codec, and no more memory for an hour


def over_timeline(backend: Backend, *, tag: int = 0, condition: Condition | None = None) -> Denoise:
    """The backend's denoiser for any length; a condition takes the place of the tag."""

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        def stage(windows: torch.Tensor) -> torch.Tensor:
            return backend.denoise(windows, t, tag=tag, condition=condition)

        return over_windows(stage, window=backend.info.window_frames, overlap=_OVERLAP)(x)

    return denoise


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


def over_windows(
    stage: Callable[[torch.Tensor], torch.Tensor],
    *,
    window: int,
    overlap: int,
    reads: int = 1,
    writes: int = 1,
    batch: int = _BATCH,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """A stage for any length from one for at most `window` frames.

    Args:
        stage: `[B, C, window * reads, F] -> [B, C', window * writes, F']`.
        window, overlap: frames.
        reads, writes: steps of time to a frame, of what goes in and comes out.
        batch: windows in one call; a timeline that is no longer than a window goes through whole.

    Raises:
        ConfigError: not 0 < overlap < window.
    """
    if not 0 < overlap < window:
        raise ConfigError(f"windows of {window} frames cannot overlap by {overlap}: 1 to {window - 1} are possible")

    def over_all(x: torch.Tensor) -> torch.Tensor:
        frames = x.shape[2] // reads
        if frames <= window:
            return stage(x)
        starts = window_starts(frames, window, overlap)
        pieces = torch.cat([x[:, :, start * reads : (start + window) * reads] for start in starts])
        results = torch.cat([stage(some) for some in pieces.split(batch)])
        fade = _fade(window * writes, overlap * writes, results)
        total = results.new_zeros(len(x), results.shape[1], frames * writes, results.shape[3])
        weight = torch.zeros_like(total[:1, :1, :, :1])
        for start, result in zip(starts, results.chunk(len(starts)), strict=True):
            place = slice(start * writes, (start + window) * writes)
            total[:, :, place] += fade * result
            weight[:, :, place] += fade
        return total / weight

    return over_all


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """Windows every `window - overlap` frames; the last is aligned with the end."""
    last = frames - window
    return [*range(0, last, window - overlap), last]


def _fade(window: int, overlap: int, like: torch.Tensor) -> torch.Tensor:
    """Raised-cosine weights `[1, 1, window, 1]`, never zero, so that a sum of them can be divided by."""
    ramp = 0.5 - 0.5 * torch.cos(pi * (torch.arange(overlap, device=like.device) + 0.5) / overlap)
    weights = torch.ones(window, device=like.device, dtype=like.dtype)
    weights[:overlap] = ramp
    weights[-overlap:] = weights[-overlap:] * ramp.flip(0)
    return weights[None, None, :, None]
