"""Atoms for vectors: by k-means, and by exponential moving averages.

k-means is Lloyd's iteration from k-means++ seeds (Arthur and Vassilvitskii 2007). Ours and not scipy's, whose seeding
compares all pairs again for every seed, hours for a thousand atoms.

Dynamic codebooks average the vectors that each atom attracts,

    N_k <- g N_k + (1 - g) n_k      m_k <- g m_k + (1 - g) sum of its vectors      e_k = m_k / N_k

(van den Oord et al. 2017, appendix A.1; Razavi et al. 2019), with atoms that attract next to nothing replaced by
vectors of the batch (Dhariwal et al. 2020; Zeghidour et al. 2021).

Of a VQ-VAE's objective `|x - x'|^2 + |sg(z) - e|^2 + beta |z - sg(e)|^2` the averages minimise the second term. The
third, the encoder's commitment to the codebook, has nothing to act on where the encoder is frozen, as here, and is only
reported. In soft training, where several atoms share a vector z, it acts: z is pulled towards its average of atoms by
`beta` of the way (the gradient step of size 1/2 on that term) before the atoms learn from it. With hard cells such a
pull would not change where the atoms settle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from noisebook.quantizers.chain import nearest, soft_assign
from noisebook.quantizers.config import SOFT_ATOMS

__all__ = ["EmaSettings", "ema", "kmeans", "sample_rows"]

_ROWS_PER_ATOM = 256  # more vectors than this an atom are a waste of time (as in FAISS, Johnson et al. 2017)
_SEED_ROWS_PER_ATOM = 16
_ITERATIONS = 25
_ENOUGH = 1e-4  # relative gain of an iteration below which it stops


def kmeans(vectors: torch.Tensor, size: int, generator: np.random.Generator) -> torch.Tensor:
    """`size` atoms `[K, d]` for vectors `[N, d]`, of which a random sample is used where they are very many."""
    sample = sample_rows(vectors, _ROWS_PER_ATOM * size, generator)
    table = _seeds_plus_plus(sample_rows(sample, _SEED_ROWS_PER_ATOM * size, generator), size, generator)
    before = float("inf")
    for _ in range(_ITERATIONS):
        codes = nearest(sample, table)
        distortion = float((sample - table[codes]).square().mean())
        if distortion >= before * (1 - _ENOUGH):
            break
        before = distortion
        usage, sums = _gathered(sample, codes[:, None], torch.ones_like(sample[:, :1]), size)
        table = sums / usage.clamp_min(1)[:, None]
        empty = torch.nonzero(usage == 0)[:, 0]  # a cell without vectors starts again at a random one
        table[empty] = sample[_drawn(len(sample), len(empty), generator)]
    return table


def _seeds_plus_plus(vectors: torch.Tensor, size: int, generator: np.random.Generator) -> torch.Tensor:
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


@dataclass(frozen=True)
class EmaSettings:
    """How a dynamic codebook learns.

    Attributes:
        decay: g.
        commitment: beta, of the reported objective and of the pull in soft training.
        temperature: of soft training, in Euclidean distance; 0 is hard.
        batch: vectors to a step.
        steps: of the average.
        dead: share of the mean usage below which an atom is replaced.
    """

    decay: float = 0.99
    commitment: float = 0.25
    temperature: float = 0.0
    batch: int = 4096
    steps: int = 600
    dead: float = 0.1


def ema(vectors: torch.Tensor, size: int, generator: np.random.Generator, settings: EmaSettings) -> torch.Tensor:
    """`size` atoms `[K, d]` for vectors `[N, d]`."""
    table = sample_rows(vectors, size, generator).clone()
    count = min(settings.batch, len(vectors))
    share = count / size  # mean usage
    usage, sums = torch.full((size,), share, device=table.device), table * share
    for step in range(settings.steps):
        batch = vectors[_drawn(len(vectors), count, generator)]
        seen, attracted = _attracted(batch, table, settings)
        usage = settings.decay * usage + (1 - settings.decay) * seen
        sums = settings.decay * sums + (1 - settings.decay) * attracted
        if step < settings.steps * 3 // 4:  # those replaced must have time to settle
            dead = torch.nonzero(usage < settings.dead * share)[:, 0]
            usage[dead] = share
            sums[dead] = share * batch[_drawn(len(batch), len(dead), generator)]
        table = sums / usage.clamp_min(1e-9)[:, None]
    return table


def _attracted(batch: torch.Tensor, table: torch.Tensor, settings: EmaSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Usage `[K]` and sum `[K, d]` of the vectors that each atom attracts, hard or soft."""
    if settings.temperature == 0:
        return _gathered(batch, nearest(batch, table)[:, None], torch.ones_like(batch[:, :1]), len(table))
    top_k = min(SOFT_ATOMS, len(table))
    indices, weights = soft_assign(batch, table, temperature=settings.temperature, top_k=top_k)
    average = (table[indices] * weights[..., None]).sum(1)
    return _gathered(batch - settings.commitment * (batch - average), indices, weights, len(table))


def _gathered(
    vectors: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight `[K]` and weighted sum `[K, d]` of the vectors `[N, d]` of each atom, of which each vector has k."""
    usage, sums = vectors.new_zeros(size), vectors.new_zeros(size, vectors.shape[1])
    for index, weight in zip(indices.T, weights.T, strict=True):
        usage.index_add_(0, index, weight)
        sums.index_add_(0, index, vectors * weight[:, None])
    return usage, sums


def _drawn(limit: int, count: int, generator: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(generator.integers(limit, size=count))
