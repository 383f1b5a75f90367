"""Atoms drawn from statistics: seed, mean and deviation stand for a table that is never stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import torch

from noisebook import rng
from noisebook.quantizers.config import CodebookConfig
from noisebook.quantizers.units import split

__all__ = ["draw_atoms", "statistics"]


def statistics(latents: Sequence[torch.Tensor], config: CodebookConfig) -> dict[str, torch.Tensor]:
    """Mean and standard deviation of each value of a frame `[C F']`, or of a position `[C]`, float32.

    Those of a clip are the same for all of its frames.
    """
    per_frame = replace(config, unit="frame") if config.unit == "clip" else config
    rows = torch.cat([split(latent, per_frame).flatten(0, 2) for latent in latents]).double().cpu()
    return {"mean": rows.mean(0).float(), "std": rows.std(0, correction=0).float()}


def draw_atoms(config: CodebookConfig, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """`[K, d]` float32: K independent atoms with that mean and deviation, Gaussian or uniform, by `noisebook.rng`."""
    count = config.size * config.values
    purpose = rng.Purpose.DENSE
    if config.method == "gaussian":
        drawn = rng.gaussian(count, seed=config.seed, purpose=purpose)
    else:
        levels = rng.uniform16(rng.words(-(-count // 4), seed=config.seed, purpose=purpose))[:count]
        drawn = (levels.astype(np.float32) - 32767.5) * np.float32(sqrt(12) / 65536)  # variance 1 - 2^-32
    atoms = torch.from_numpy(np.ascontiguousarray(drawn)).view(config.size, config.row_frames, -1)
    return (mean + std * atoms).flatten(1)
