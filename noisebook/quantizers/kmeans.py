"""k-means: Lloyd's iteration from k-means++ seeds (Arthur and Vassilvitskii 2007)."""

from __future__ import annotations

import numpy as np
import torch

from noisebook.errors import ConfigError
from noisebook.quantizers.nearest import nearest

__all__ = ["check_enough", "kmeans", "sample_rows", "seeds_plus_plus"]

_ROWS_PER_ATOM = 256  # more vectors than this an atom are a waste of time (as in FAISS, Johnson et al. 2017)
_SEED_ROWS_PER_ATOM = 16
_ITERATIONS = 25
_ENOUGH = 1e-4  # relative gain of an iteration below which it stops


def kmeans(vectors: torch.Tensor, size: int, generator: np.random.Generator) -> torch.Tensor:
    """`size` atoms `[K, d]` for vectors `[N, d]`, of which a random sample is used where they are very many.

    Raises:
        ConfigError: fewer vectors than atoms.
    """
    check_enough(vectors, size)
    sample = sample_rows(vectors, _ROWS_PER_ATOM * size, generator)
    table = seeds_plus_plus(sample_rows(sample, _SEED_ROWS_PER_ATOM * size, generator), size, generator)
    before = float("inf")
    for _ in range(_ITERATIONS):
        codes = nearest(sample, table)
        distortion = float((sample - table[codes]).square().mean())
        if distortion >= before * (1 - _ENOUGH):
            break
        before = distortion
        table = _centroids(sample, codes, table, generator)
    return table


def seeds_plus_plus(vectors: torch.Tensor, size: int, generator: np.random.Generator) -> torch.Tensor:
    """`size` of the vectors, each drawn with probability proportional to its squared distance from those before."""
    draws = generator.random(size)
    chosen = [int(draws[0] * len(vectors))]
    norms = vectors.square().sum(1)
    squares = torch.full_like(norms, torch.inf)
    for draw in draws[1:]:
        last = vectors[chosen[-1]]
        squares = squares.minimum((norms - 2 * (vectors @ last) + last.square().sum()).clamp_min(0))
        cumulative = squares.double().cumsum(0)
        index = int(torch.searchsorted(cumulative, draw * cumulative[-1], right=True))
        chosen.append(min(index, len(vectors) - 1))
    return vectors[chosen].clone()


def sample_rows(vectors: torch.Tensor, count: int, generator: np.random.Generator) -> torch.Tensor:
    """`count` of the rows without repetition, or all where there are no more."""
    if len(vectors) <= count:
        return vectors
    return vectors[torch.from_numpy(generator.choice(len(vectors), count, replace=False))]


def check_enough(vectors: torch.Tensor, size: int) -> None:
    """Raise ConfigError where there are fewer vectors than atoms."""
    if len(vectors) < size:
        raise ConfigError(f"{size} atoms from {len(vectors)} vectors: give more sound or ask for fewer atoms")


def _centroids(
    vectors: torch.Tensor, codes: torch.Tensor, table: torch.Tensor, generator: np.random.Generator
) -> torch.Tensor:
    """Means of the cells; an empty cell starts again at a random vector."""
    counts = torch.bincount(codes, minlength=len(table))
    sums = torch.zeros_like(table).index_add_(0, codes, vectors)
    means = sums / counts.clamp_min(1)[:, None]
    empty = torch.nonzero(counts == 0)[:, 0]
    means[empty] = vectors[torch.from_numpy(generator.integers(len(vectors), size=len(empty)))]
    return means
