"""Gaussian noise shaped as a latent, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from noisebook import rng


def start_noise(shape: Sequence[int], *, seed: int, segment: int, device: torch.device) -> torch.Tensor:
    """The Gaussian noise `[channels, C, frames, F']` with which a segment starts (format.md 5.7)."""
    return _drawn(shape, rng.Purpose.START, seed=seed, segment=segment).to(device)


def gaussian_noise(shape: Sequence[int], *, seed: int, step: int, device: torch.device | str) -> torch.Tensor:
    """Standard normal `[B, C, L, F']`, the draw `step` of a seed of 64 bits, the same on every machine.

    Drawn frame by frame: of one sound (B = 1) a longer timeline begins with the noise of a shorter one.

    Raises:
        ConfigError: a seed or step that is not an integer of 0..2^64 - 1.
    """
    return _drawn(shape, rng.Purpose.NOISE, seed=seed, step=step).to(device)


def _drawn(shape: Sequence[int], purpose: rng.Purpose, **counters: int) -> torch.Tensor:
    """`[B, C, L, F']`, drawn frame by frame, then by channel and bin."""
    batch, channels, frames, bins = shape
    values = torch.from_numpy(rng.gaussian(prod(shape), purpose=purpose, **counters))
    return values.view(batch, frames, channels, bins).transpose(1, 2).contiguous()
