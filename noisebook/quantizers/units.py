"""Latents to vectors and back, and what a table sees of the vectors.

latent [B, C, L, F'] --split--> vectors [B, R, P, d] --read--> [B, R', P, d'] one vector for each code of a table
latent [B, C, L, F'] <--join--- vectors [B, R, P, d] <-write-- [B, R', P, d']
"""

from __future__ import annotations

import torch
from torch.nn import functional

from noisebook.errors import ConfigError
from noisebook.quantizers.config import CodebookConfig, View

__all__ = ["join", "read", "split", "valid_values", "write"]


def split(latent: torch.Tensor, config: CodebookConfig) -> torch.Tensor:
    """`[B, C, L, F'] -> [B, R, P, d]` float32: R units in time, P at the same time; a last short clip is filled with 0.

    Raises:
        ConfigError: not a latent of C channels and F' bins with at least one frame, or not finite.
    """
    _check(latent, config)
    frames = latent.float().permute(0, 2, 3, 1) if config.unit == "position" else latent.float().permute(0, 2, 1, 3)
    if config.unit == "position":
        return frames
    if config.unit == "frame":
        return frames.flatten(2)[:, :, None]
    filled = functional.pad(frames, (0, 0, 0, 0, 0, -latent.shape[2] % config.clip_frames))
    return filled.reshape(len(latent), -1, 1, config.values)


def join(vectors: torch.Tensor, config: CodebookConfig, frames: int) -> torch.Tensor:
    """The inverse of `split`: `[B, R, P, d] -> [B, C, frames, F']`."""
    if config.unit == "position":
        return vectors.permute(0, 3, 1, 2).contiguous()
    by_frame = vectors.reshape(len(vectors), -1, config.channels, config.bins)[:, :frames]
    return by_frame.permute(0, 2, 1, 3).contiguous()


def valid_values(config: CodebookConfig, frames: int) -> int:
    """Leading values of the last vector that are of the latent and not filling."""
    rest = frames % config.row_frames
    return rest * config.channels * config.bins if rest else config.values


def read(vectors: torch.Tensor, view: View) -> torch.Tensor:
    """`[B, R, P, d] -> [B, ceil(R / block), P, d']`; the last block's mean is over the rows it has."""
    seen = vectors[..., view.first : view.end]
    if view.block == 1:
        return seen
    rows = seen.shape[1]
    sums = functional.pad(seen, (0, 0, 0, 0, 0, -rows % view.block)).unflatten(1, (-1, view.block)).sum(2)
    counts = torch.full((sums.shape[1], 1, 1), float(view.block), device=sums.device)
    counts[-1] = rows - (len(counts) - 1) * view.block
    return sums / counts


def write(part: torch.Tensor, view: View, like: torch.Tensor) -> torch.Tensor:
    """`[B, ceil(R / block), P, d'] -> [B, R, P, d]`, shaped as `like`, 0 where the view does not look."""
    rows = part.repeat_interleave(view.block, dim=1)[:, : like.shape[1]] if view.block > 1 else part
    return functional.pad(rows, (view.first, like.shape[-1] - view.end))


def _check(latent: torch.Tensor, config: CodebookConfig) -> None:
    shape = tuple(latent.shape)
    if len(shape) != 4 or shape[1] != config.channels or shape[3] != config.bins or 0 in shape:
        raise ConfigError(
            f"a latent of shape {list(shape)}: the codebook needs [B, {config.channels}, L, {config.bins}]"
        )
    if not bool(torch.isfinite(latent).all()):
        raise ConfigError("the latent holds NaN or infinite values")
