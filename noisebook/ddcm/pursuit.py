"""Matching pursuit: M atoms a part that are mixed one after the other (Ohayon et al. 2025, section 3.3).

    z_1 = the atom of largest inner product with the residual
    z_m = sqrt(g) z_(m-1) + sqrt(1 - g) atom, scaled to mean square 1,   g = level / (2^C - 1),  level = 1 .. 2^C - 1

Atom and level of each round are those of largest inner product over all atoms and levels. Level 0 leaves the noise as
it was: where no mixture is nearer, the pursuit has ended. Level 2^C - 1 does the same, as published.
"""

from __future__ import annotations

from math import sqrt

import torch

from noisebook.ddcm.codebooks import Codebook, Key

__all__ = ["mixed", "pursue"]


def pursue(
    codebook: Codebook, parts: torch.Tensor, key: Key, M: int, level_bits: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Atoms `[P, M]` in the order they are mixed, and levels `[P, M - 1]`, both int64, for residuals `parts [P, d]`."""
    products = codebook.correlate(parts, key)
    reached, first = products.max(1, keepdim=True)
    indices: list[torch.Tensor] = [first]
    levels: list[torch.Tensor] = []
    for _ in range(M - 1):
        overlaps = codebook.correlate(_mixture(codebook, indices, levels, key, level_bits), key) / parts.shape[1]
        reached, index, level = _nearest(products, overlaps, reached, level_bits)
        indices.append(index)
        levels.append(level)
    return torch.cat(indices, 1), torch.cat(levels, 1)


def mixed(codebook: Codebook, indices: torch.Tensor, levels: torch.Tensor, key: Key, level_bits: int) -> torch.Tensor:
    """The noise `[P, d]` of atoms `[P, M]` and levels `[P, M - 1]`, with mean square 1."""
    return _mixture(codebook, list(indices.split(1, 1)), list(levels.split(1, 1)), key, level_bits)


def _mixture(
    codebook: Codebook, indices: list[torch.Tensor], levels: list[torch.Tensor], key: Key, level_bits: int
) -> torch.Tensor:
    z = codebook.synthesize(indices[0], torch.ones_like(indices[0]), key)
    for index, level in zip(indices[1:], levels, strict=True):
        share = level / (2**level_bits - 1)
        mixture = share.sqrt() * z + (1 - share).sqrt() * codebook.synthesize(index, torch.ones_like(index), key)
        mixture = mixture * torch.rsqrt(mixture.square().mean(1, keepdim=True).clamp_min(1e-12))
        z = torch.where(level > 0, mixture, z)
    return z


def _nearest(
    products: torch.Tensor, overlaps: torch.Tensor, reached: torch.Tensor, level_bits: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inner product, atom and level, each `[P, 1]`, of the mixture nearest to the residual.

    Args:
        products: of the residual with each atom, `[P, K]`.
        overlaps: mean product of the noise so far with each atom, `[P, K]`.
        reached: inner product of the noise so far with the residual, `[P, 1]`.
    """
    best, atom, level = reached, torch.zeros_like(reached, dtype=torch.int64), torch.zeros_like(reached).long()
    for candidate in range(1, 2**level_bits - 1):
        old, new = sqrt(candidate / (2**level_bits - 1)), sqrt(1 - candidate / (2**level_bits - 1))
        scores = (old * reached + new * products) * torch.rsqrt((1 + 2 * old * new * overlaps).clamp_min(1e-6))
        score, index = scores.max(1, keepdim=True)
        nearer = score > best
        best, atom = torch.where(nearer, score, best), torch.where(nearer, index, atom)
        level = torch.where(nearer, candidate, level)
    return best, atom, level
