"""One diffusion over a timeline longer than the denoiser's window (MultiDiffusion, Bar-Tal et al. 2023).

    frames   0 ......... 192 .. 256 ......... 384 .. 448 ....
    window 0 [==========\\\\\\\\]
    window 1            [//////==========\\\\\\\\]             predictions cross-fade where windows overlap

The noise is one for the whole timeline, so overlap costs time and no bits, and no joint remains.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch

from noisebook.diffusion.plan import Denoise
from noisebook.errors import ConfigError

__all__ = ["over_windows", "window_starts", "windowed"]

_BATCH = 16  # windows in one call: a stereo segment of the codec, and no more memory for an hour


def windowed(denoise: Denoise, *, window: int, overlap: int, batch: int = _BATCH) -> Denoise:
    """A denoiser for any length from one for at most `window` frames; up to `batch` windows run in one call.

    Raises:
        ConfigError: not 0 < overlap < window, or a batch of none.
    """
    _check(window, overlap, batch)

    def over_timeline(x: torch.Tensor, t: int) -> torch.Tensor:
        return over_windows(lambda piece: denoise(piece, t), window=window, overlap=overlap, batch=batch)(x)

    return over_timeline


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
        ConfigError: not 0 < overlap < window, or a batch of none.
    """
    _check(window, overlap, batch)

    def over_timeline(x: torch.Tensor) -> torch.Tensor:
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

    return over_timeline


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """Windows every `window - overlap` frames; the last is aligned with the end."""
    last = frames - window
    return [*range(0, last, window - overlap), last]


def _check(window: int, overlap: int, batch: int) -> None:
    if batch < 1:
        raise ConfigError(f"batches of {batch} windows: 1 at least is possible")
    if not 0 < overlap < window:
        raise ConfigError(f"windows of {window} frames cannot overlap by {overlap}: 1 to {window - 1} are possible")


def _fade(window: int, overlap: int, like: torch.Tensor) -> torch.Tensor:
    """Raised-cosine weights `[1, 1, window, 1]`, never zero, so that a sum of them can be divided by."""
    ramp = 0.5 - 0.5 * torch.cos(pi * (torch.arange(overlap, device=like.device) + 0.5) / overlap)
    weights = torch.ones(window, device=like.device, dtype=like.dtype)
    weights[:overlap] = ramp
    weights[-overlap:] = weights[-overlap:] * ramp.flip(0)
    return weights[None, None, :, None]
