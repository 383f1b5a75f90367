"""Nearest atoms, in chunks: the distances of an hour of sound to all atoms never exist at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch

__all__ = ["nearest", "nearest_several"]

_SCORES = 2**18  # held at once: 1 MiB, which stays in a core's cache


def nearest(vectors: torch.Tensor, table: torch.Tensor, *, valid: int | None = None) -> torch.Tensor:
    """Index of the nearest atom: vectors `[N, d]`, table `[K, d]` -> `[N]` int64.

    Args:
        valid: only the leading values count; those of the vectors beyond must be 0.
    """
    # `max` finds the index three times as fast as `argmax` (measured).
    return torch.cat([scores.max(1).indices for scores in _scores(vectors, table, valid)])


def nearest_several(
    vectors: torch.Tensor, table: torch.Tensor, count: int, *, valid: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` nearest atoms, nearest first: indices `[N, count]` and Euclidean distances `[N, count]`."""
    found = [scores.topk(count, dim=1) for scores in _scores(vectors, table, valid)]
    scores, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    squares = vectors.square().sum(1, keepdim=True) - 2 * scores
    return indices, squares.clamp_min(0).sqrt()


def _scores(vectors: torch.Tensor, table: torch.Tensor, valid: int | None) -> Iterator[torch.Tensor]:
    """`x.a - |a|^2 / 2` of chunks, `[n, K]`: largest where `|x - a|` is smallest, at the cost of one product."""
    offset = -0.5 * table[:, :valid].square().sum(1)
    for chunk in vectors.split(max(1, _SCORES // len(table))):
        yield torch.addmm(offset, chunk, table.T)
