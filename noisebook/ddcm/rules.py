"""Selection rules: which atoms to take, what that costs, and how it is written.

    rule         choice of each part                     bits
    ONE_OF_K     the atom of largest inner product       log2 K
    PARTITIONED  the atom of largest |inner product|     log2 K + 1 (sign)
    TOP_M        the M atoms of largest |inner product|  ceil(log2 C(K, M)) + M (signs)
    PURSUIT      M atoms, mixed one after the other      M log2 K + (M - 1) C (levels)

ONE_OF_K and PURSUIT are DDCM (Ohayon et al. 2025), TOP_M is Turbo-DDCM (Vaisman et al. 2026). Ids:
`coding.container.Rule`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.combinatorics import rank, subset_bits, unrank
from noisebook.coding.container import Rule, choice_bits
from noisebook.ddcm.codebooks import Codebook, Key
from noisebook.ddcm.pursuit import mixed, pursue

__all__ = ["Choice", "choose", "choose_by_pursuit", "noise_of", "read", "write"]


@dataclass(frozen=True)
class Choice:
    """Chosen atoms of P parts.

    Attributes:
        indices: `[P, M]` int64; rising along M, but for PURSUIT, where they are in the order of mixing.
        signs: `[P, M]` of +-1, int64.
        levels: of PURSUIT alone, `[P, M - 1]` int64.
        level_bits: C of PURSUIT, bits of a level.
    """

    indices: torch.Tensor
    signs: torch.Tensor
    levels: torch.Tensor | None = None
    level_bits: int = 0

    def of(self, parts: torch.Tensor) -> Choice:
        """The choices of some parts, `[P]` bool, of a rule without levels."""
        return Choice(self.indices[parts], self.signs[parts])

    def among(self, parts: torch.Tensor) -> Choice:
        """The inverse of `of`, on the device of `parts`: all other parts take atom 0 as it is."""
        shape = (len(parts), self.indices.shape[1])
        indices, signs = self.indices.new_zeros(shape), self.signs.new_ones(shape)
        indices[parts], signs[parts] = self.indices, self.signs
        return Choice(indices, signs)

    def to(self, device: torch.device) -> Choice:
        levels = None if self.levels is None else self.levels.to(device)
        return Choice(self.indices.to(device), self.signs.to(device), levels, self.level_bits)


def choose(rule: Rule, correlations: torch.Tensor, M: int) -> Choice:
    """The choice for inner products `[P, K]`, by any rule but PURSUIT."""
    if rule == Rule.ONE_OF_K:
        indices = correlations.argmax(1, keepdim=True)
        return Choice(indices, torch.ones_like(indices))
    if rule == Rule.PARTITIONED:
        indices = correlations.abs().argmax(1, keepdim=True)
    else:
        indices = correlations.abs().topk(M, dim=1).indices.sort(1).values
    return Choice(indices, torch.where(correlations.gather(1, indices) < 0, -1, 1))


def choose_by_pursuit(codebook: Codebook, parts: torch.Tensor, key: Key, M: int, level_bits: int) -> Choice:
    """The choice of PURSUIT for residuals `parts [P, d]`."""
    indices, levels = pursue(codebook, parts, key, M, level_bits)
    return Choice(indices, torch.ones_like(indices), levels, level_bits)


def noise_of(codebook: Codebook, choice: Choice, key: Key) -> torch.Tensor:
    """The parts `[P, d]` of the noise that a choice stands for, with mean square 1 (exactly so for one atom)."""
    if choice.levels is not None:
        return mixed(codebook, choice.indices, choice.levels, key, choice.level_bits)
    total = codebook.synthesize(choice.indices, choice.signs, key)
    if choice.indices.shape[1] == 1:
        return total
    return total * torch.rsqrt(total.square().mean(1, keepdim=True).clamp_min(1e-12))


def write(rule: Rule, choice: Choice, size: int, writer: BitWriter) -> None:
    """Append the choices of all parts: indices, then signs (bit 1 for minus), or levels."""
    if choice.levels is not None:
        _write_mixtures(choice, size, writer)
        return
    indices = choice.indices.cpu().numpy()
    negative = (choice.signs.cpu().numpy() < 0).astype(np.int64)
    if rule == Rule.TOP_M:
        _write_subsets(indices, negative, size, writer)
        return
    width = choice_bits(rule, size, 1)
    values = indices[:, 0] if rule == Rule.ONE_OF_K else 2 * indices[:, 0] + negative[:, 0]
    writer.write_array(values, width)


def read(rule: Rule, parts: int, size: int, M: int, reader: BitReader, *, level_bits: int = 0) -> Choice:
    """The choices of `parts` parts, as `write` left them; `level_bits` is C of PURSUIT.

    Raises:
        TruncatedStream: too few bits.
        CorruptStream: a subset rank that no encoder writes.
    """
    if rule == Rule.PURSUIT:
        return _read_mixtures(parts, size, M, level_bits, reader)
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


def _mixture_widths(parts: int, size: int, M: int, level_bits: int) -> np.ndarray:
    """`[parts * (2 M - 1)]`: bits of the M indices of a part, then of its M - 1 levels."""
    index_bits = choice_bits(Rule.ONE_OF_K, size, 1)
    return np.tile(np.repeat([index_bits, level_bits], [M, M - 1]), parts)


def _write_mixtures(choice: Choice, size: int, writer: BitWriter) -> None:
    assert choice.levels is not None
    values = torch.cat((choice.indices, choice.levels), 1).cpu().numpy()
    widths = _mixture_widths(len(values), size, choice.indices.shape[1], choice.level_bits)
    writer.write_array(values.ravel(), widths)


def _read_mixtures(parts: int, size: int, M: int, level_bits: int, reader: BitReader) -> Choice:
    widths = _mixture_widths(parts, size, M, level_bits)
    values = torch.from_numpy(reader.read_array(len(widths), widths)).view(parts, 2 * M - 1)
    indices = values[:, :M]
    return Choice(indices, torch.ones_like(indices), values[:, M:], level_bits)
