"""Selection rules: which atoms to take, what that costs, and how it is written.

    rule         choice of each part                    bits
    ONE_OF_K     the atom of largest inner product      log2 K
    PARTITIONED  the atom of largest |inner product|    log2 K + 1 (sign)
    TOP_M        the M atoms of largest |inner product|  ceil(log2 C(K, M)) + M (signs)

ONE_OF_K is DDCM (Ohayon et al. 2025), TOP_M is Turbo-DDCM (Vaisman et al. 2026). Ids: `coding.container.Rule`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.combinatorics import rank, subset_bits, unrank
from noisebook.coding.container import Rule, choice_bits
from noisebook.ddcm.codebooks import Codebook, Key

__all__ = ["Choice", "choose", "noise_of", "read", "write"]


@dataclass(frozen=True)
class Choice:
    """Chosen atoms of P parts: `indices [P, M]` int64 rising along M, `signs [P, M]` of +-1 int64."""

    indices: torch.Tensor
    signs: torch.Tensor

    def to(self, device: torch.device) -> Choice:
        return Choice(self.indices.to(device), self.signs.to(device))


def choose(rule: Rule, correlations: torch.Tensor, M: int) -> Choice:
    """The rule's choice for inner products `[P, K]`."""
    if rule == Rule.ONE_OF_K:
        indices = correlations.argmax(1, keepdim=True)
        return Choice(indices, torch.ones_like(indices))
    if rule == Rule.PARTITIONED:
        indices = correlations.abs().argmax(1, keepdim=True)
    else:
        indices = correlations.abs().topk(M, dim=1).indices.sort(1).values
    return Choice(indices, torch.where(correlations.gather(1, indices) < 0, -1, 1))


def noise_of(codebook: Codebook, choice: Choice, key: Key) -> torch.Tensor:
    """The parts `[P, d]` of the noise that a choice stands for, with mean square 1 (exactly so for one atom)."""
    total = codebook.synthesize(choice.indices, choice.signs, key)
    if choice.indices.shape[1] == 1:
        return total
    return total * torch.rsqrt(total.square().mean(1, keepdim=True).clamp_min(1e-12))


def write(rule: Rule, choice: Choice, size: int, writer: BitWriter) -> None:
    """Append the choices of all parts: indices, then signs (bit 1 for minus)."""
    indices = choice.indices.cpu().numpy()
    negative = (choice.signs.cpu().numpy() < 0).astype(np.int64)
    if rule == Rule.TOP_M:
        _write_subsets(indices, negative, size, writer)
        return
    width = choice_bits(rule, size, 1)
    values = indices[:, 0] if rule == Rule.ONE_OF_K else 2 * indices[:, 0] + negative[:, 0]
    writer.write_array(values, width)


def read(rule: Rule, parts: int, size: int, M: int, reader: BitReader) -> Choice:
    """The choices of `parts` parts, as `write` left them.

    Raises:
        TruncatedStream: too few bits.
        CorruptStream: a subset rank that no encoder writes.
    """
    if rule == Rule.TOP_M:
        indices, negative = _read_subsets(parts, size, M, reader)
    else:
        values = reader.read_array(parts, choice_bits(rule, size, 1))[:, None]
        indices, negative = (values >> 1, values & 1) if rule == Rule.PARTITIONED else (values, np.zeros_like(values))
    return Choice(torch.from_numpy(indices), torch.from_numpy(1 - 2 * negative))


def _write_subsets(indices: np.ndarray, negative: np.ndarray, size: int, writer: BitWriter) -> None:
    M = indices.shape[1]
    width = subset_bits(size, M)
    for row, signs in zip(indices, negative, strict=True):
        writer.write(rank(row, size), width)
        writer.write_array(signs, 1)


def _read_subsets(parts: int, size: int, M: int, reader: BitReader) -> tuple[np.ndarray, np.ndarray]:
    width = subset_bits(size, M)
    indices = np.empty((parts, M), np.int64)
    negative = np.empty((parts, M), np.int64)
    for part in range(parts):
        indices[part] = unrank(reader.read(width), size, M)
        negative[part] = reader.read_array(M, 1)
    return indices, negative
