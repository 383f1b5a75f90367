"""Nearest atoms: the one, or an average of several (soft assignment), whose weights a codec rounds to sixteenths.

    w_i = softmax(-distance_i / temperature) over the k nearest atoms, Euclidean distance

An average of atoms has less energy than they have. `mixed` can give it back: it scales each vector to the energy that
its parts have on (weighted) average, which a decoder can do since it needs nothing but atoms and weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from noisebook.errors import ConfigError
from noisebook.quantizers.config import WEIGHT_SIZES, WEIGHT_STEPS

__all__ = ["mixed", "nearest", "nearest_several", "soft_assign", "whole_weights"]

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


def soft_assign(
    vectors: torch.Tensor, table: torch.Tensor, *, temperature: float, top_k: int, valid: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The `top_k` nearest atoms and their weights: vectors `[N, d]`, table `[K, d]` -> `[N, k]` int64, `[N, k]`.

    Weights fall and sum to 1; at temperature 0 the nearest atom has all of it.

    Raises:
        ConfigError: a negative temperature, or not 1 to K atoms.
    """
    if not temperature >= 0:
        raise ConfigError(f"a temperature of {temperature}: 0 (hard) or above is possible")
    if not 1 <= top_k <= len(table):
        raise ConfigError(f"the {top_k} nearest of {len(table)} atoms: 1 to all are possible")
    indices, distances = nearest_several(vectors, table, top_k, valid=valid)
    behind = distances - distances[:, :1]  # before the division: a tiny temperature must not overflow to inf - inf
    weights = torch.softmax(-behind / max(temperature, 1e-20), dim=1)
    return indices, weights


def mixed(parts: torch.Tensor, weights: torch.Tensor, *, preserve_variance: bool) -> torch.Tensor:
    """Sum of parts `[k, ..., d]` with weights `[k, ...]` over the first axis, at their mean energy if asked."""
    mix = (parts * weights[..., None]).sum(0)
    if not preserve_variance:
        return mix
    wanted = (parts.square().sum(-1) * weights).sum(0)
    energy = mix.square().sum(-1)
    # Parts that cancel have no direction to give energy to.
    scale = torch.where(energy > 1e-12 * wanted, wanted / energy.clamp_min(1e-30), 1.0).sqrt()
    return mix * scale[..., None]


def whole_weights(weights: torch.Tensor) -> torch.Tensor:
    """`[..., k]` falling weights -> `[..., k - 1]` int64 sixteenths of the second and following."""
    limits = torch.tensor([size - 1 for size in WEIGHT_SIZES], device=weights.device)
    rounded = (weights[..., 1:] * WEIGHT_STEPS).round().to(torch.int64)
    return rounded.minimum(limits[: rounded.shape[-1]])
