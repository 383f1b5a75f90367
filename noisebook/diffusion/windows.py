"""One diffusion over a timeline longer than the denoiser's window (MultiDiffusion, Bar-Tal et al. 2023).

    frames   0 ......... 192 .. 256 ......... 384 .. 448 ....
    window 0 [==========\\\\\\\\]
    window 1            [//////==========\\\\\\\\]             predictions cross-fade where windows overlap

The noise is one for the whole timeline, so overlap costs time and no bits, and no joint remains.
"""

from __future__ import annotations

from math import pi

import torch

from noisebook.diffusion.plan import Denoise
from noisebook.errors import ConfigError

__all__ = ["window_starts", "windowed"]


def windowed(denoise: Denoise, *, window: int, overlap: int) -> Denoise:
    """A denoiser for any length from one for at most `window` frames; all windows of a call run as one batch.

    Raises:
        ConfigError: not 0 < overlap < window.
    """
    if not 0 < overlap < window:
        raise ConfigError(f"windows of {window} frames cannot overlap by {overlap}: 1 to {window - 1} are possible")

    def over_timeline(x: torch.Tensor, t: int) -> torch.Tensor:
        frames = x.shape[2]
        if frames <= window:
            return denoise(x, t)
        starts = window_starts(frames, window, overlap)
        batch = torch.cat([x[:, :, start : start + window] for start in starts])
        estimates = denoise(batch, t).chunk(len(starts))
        fade = _fade(window, overlap, x)
        total, weight = torch.zeros_like(x), torch.zeros_like(x[:1, :1, :, :1])
        for start, estimate in zip(starts, estimates, strict=True):
            total[:, :, start : start + window] += fade * estimate
            weight[:, :, start : start + window] += fade
        return total / weight

    return over_timeline


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
