"""Dynamic codebooks: exponential moving averages of the vectors that each atom attracts.

    N_k <- g N_k + (1 - g) n_k      m_k <- g m_k + (1 - g) sum of its vectors      e_k = m_k / N_k

(van den Oord et al. 2017, appendix A.1; Razavi et al. 2019), with atoms that attract next to nothing replaced by
vectors of the batch (Dhariwal et al. 2020; Zeghidour et al. 2021).

Of a VQ-VAE's objective `|x - x'|^2 + |sg(z) - e|^2 + beta |z - sg(e)|^2` the averages minimise the second term. The
third, the commitment of the encoder to the codebook, has nothing to act on where the encoder is frozen, as here: it is
reported (`beta` times the distortion). It acts in soft training only, where several atoms share a vector z: z is pulled
towards its own average of atoms by `beta` of the way, the gradient step of size 1/2 on the third term, before the atoms
learn from it. With hard cells such a pull would change the pace and not the result: the mean of a cell is the atom
where it settles, pulled or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from noisebook.quantizers.kmeans import check_enough, sample_rows
from noisebook.quantizers.nearest import nearest
from noisebook.quantizers.soft import SOFT_ATOMS, soft_assign

__all__ = ["EmaSettings", "ema"]


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


def ema(
    vectors: torch.Tensor, size: int, generator: np.random.Generator, settings: EmaSettings | None = None
) -> torch.Tensor:
    """`size` atoms `[K, d]` for vectors `[N, d]`.

    Raises:
        ConfigError: fewer vectors than atoms.
    """
    settings = settings or EmaSettings()
    check_enough(vectors, size)
    table = sample_rows(vectors, size, generator).clone()
    share = min(settings.batch, len(vectors)) / size  # mean usage
    usage, sums = torch.full((size,), share, device=table.device), table * share
    for step in range(settings.steps):
        batch = vectors[_drawn(len(vectors), min(settings.batch, len(vectors)), generator)]
        seen, attracted = _attracted(batch, table, settings)
        usage = settings.decay * usage + (1 - settings.decay) * seen
        sums = settings.decay * sums + (1 - settings.decay) * attracted
        if step < settings.steps * 3 // 4:  # those replaced must have time to settle
            dead = torch.nonzero(usage < settings.dead * share)[:, 0]
            usage[dead] = share
            sums[dead] = share * batch[_drawn(len(batch), len(dead), generator)]
        table = sums / usage.clamp_min(1e-9)[:, None]
    return table


def _drawn(limit: int, count: int, generator: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(generator.integers(limit, size=count))


def _attracted(batch: torch.Tensor, table: torch.Tensor, settings: EmaSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Usage `[K]` and sum `[K, d]` of the vectors that each atom attracts, hard or soft."""
    usage, sums = torch.zeros_like(table[:, 0]), torch.zeros_like(table)
    if settings.temperature == 0:
        codes = nearest(batch, table)
        return usage.index_add_(0, codes, torch.ones_like(batch[:, 0])), sums.index_add_(0, codes, batch)
    top_k = min(SOFT_ATOMS, len(table))
    indices, weights = soft_assign(batch, table, temperature=settings.temperature, top_k=top_k)
    average = (table[indices] * weights[..., None]).sum(1)
    pulled = batch - settings.commitment * (batch - average)
    for index, weight in zip(indices.T, weights.T, strict=True):
        usage.index_add_(0, index, weight)
        sums.index_add_(0, index, pulled * weight[:, None])
    return usage, sums
