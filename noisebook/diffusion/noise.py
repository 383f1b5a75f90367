"""Gaussian noise shaped as a latent, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch

from noisebook import rng

__all__ = ["gaussian_noise", "start_noise"]


def start_noise(shape: Sequence[int], *, seed: int, segment: int, device: torch.device) -> torch.Tensor:
    """The Gaussian noise `[channels, C, frames, F']` with which a segment starts (format.md 5.7)."""
    drawn = rng.gaussian(prod(shape), seed=seed, purpose=rng.Purpose.START, segment=segment)
    return _by_frame(drawn, shape).to(device)


def gaussian_noise(shape: Sequence[int], *, seed: int, step: int, device: torch.device | str) -> torch.Tensor:
    """Standard normal `[B, C, L, F']`, the draw `step` of a seed of 64 bits, the same on every machine.

    Drawn frame by frame: of one sound (B = 1) a longer timeline begins with the noise of a shorter one.

    Raises:
        ConfigError: a seed or step that is not an integer of 0..2^64 - 1.
    """
    drawn = rng.gaussian(prod(shape), seed=seed, purpose=rng.Purpose.NOISE, step=step)
    return _by_frame(drawn, shape).to(device)


def _by_frame(drawn: np.ndarray, shape: Sequence[int]) -> torch.Tensor:
    """`[B, C, L, F']` from values that are ordered by frame, then channel, then bin."""
    batch, channels, frames, bins = shape
    return torch.from_numpy(drawn).view(batch, frames, channels, bins).transpose(1, 2).contiguous()
