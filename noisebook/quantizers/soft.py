"""Soft assignment: an average of the nearest atoms, and its codec form with weights in whole sixteenths.

    w_i = softmax(-distance_i / temperature) over the k nearest atoms, Euclidean distance

An average of atoms has less energy than they have. `mixed` can give it back: it scales each vector to the energy that
its parts have on (weighted) average, which a decoder can do since it needs nothing but atoms and weights.
"""

from __future__ import annotations

import torch

from noisebook.errors import ConfigError
from noisebook.quantizers.nearest import nearest_several

__all__ = ["SOFT_ATOMS", "WEIGHT_SIZES", "WEIGHT_STEPS", "mixed", "soft_assign", "whole_weights"]

SOFT_ATOMS = 5  # of the codec form
WEIGHT_STEPS = 16  # a coded weight is a multiple of 1 / 16
# The second largest weight is at most 1/2, the third 1/3, ...; the largest is what they leave and is not coded.
WEIGHT_SIZES = tuple((2 * WEIGHT_STEPS + i) // (2 * i) + 1 for i in range(2, SOFT_ATOMS + 1))


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
