"""Codebooks: atoms that encoder and decoder both know, at no cost in bits.

A codebook is a value without state: the atoms of a step follow from (seed, segment, step) by `noisebook.rng`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from noisebook import rng
from noisebook.errors import ConfigError

__all__ = ["Codebook", "DenseCodebook", "Key", "StructuredCodebook", "hadamard_transform"]


@dataclass(frozen=True)
class Key:
    """Which atoms: those of one coded step of one segment of a stream."""

    seed: int
    segment: int
    step: int


class Codebook(Protocol):
    """K atoms of d values for each of P parts; an atom has mean square 1."""

    @property
    def size(self) -> int:
        """K."""

    def correlate(self, parts: torch.Tensor, key: Key) -> torch.Tensor:
        """Inner products of each part `[P, d]` with all of its atoms, `[P, K]`."""

    def synthesize(self, indices: torch.Tensor, signs: torch.Tensor, key: Key) -> torch.Tensor:
        """Sum of signed atoms: `indices [P, M]` int64, `signs [P, M]` of +-1 -> `[P, d]`."""


@dataclass(frozen=True)
class StructuredCodebook:
    """Atoms that are the rows of `sqrt(d) H S3 H S2 H S1`, and of `stacks` such matrices one below the other.

    H is the orthonormal Walsh-Hadamard matrix, the S are diagonals of random signs, fresh for every part, step and
    stack. Atoms of one stack are orthogonal, so the M largest inner products are the best M atoms exactly. All
    entries are integers over d: synthesis of one atom in float32 is exact, the same on every device, up to d = 2^15
    (where products are not rounded to fewer bits, as TF32 does).

    Attributes:
        part: d, a power of two from 2 to 2^15.
        size: K, a power of two; below d only the first K rows are used, above d it is `stacks` times d.
    """

    part: int
    size: int

    def __post_init__(self) -> None:
        for name, value, top in (("part", self.part, 2**15), ("size", self.size, 2**24)):
            if value & (value - 1) or not 2 <= value <= top:
                raise ConfigError(
                    f"{name} of a structured codebook: {value}, allowed are powers of two from 2 to {top}"
                )

    @property
    def stacks(self) -> int:
        return max(1, self.size // self.part)

    def correlate(self, parts: torch.Tensor, key: Key) -> torch.Tensor:
        every = torch.arange(self.stacks).expand(len(parts), -1)
        s1, s2, s3 = self._signs(every, key).to(parts.device)
        x = hadamard_transform(parts[:, None] * s1)
        x = hadamard_transform(x * s2)
        x = hadamard_transform(x * s3) / self.part
        return x.flatten(1)[:, : self.size]

    def synthesize(self, indices: torch.Tensor, signs: torch.Tensor, key: Key) -> torch.Tensor:
        of_atom, rows = indices // self.part, indices % self.part
        if indices.shape[1] < self.stacks:  # a matrix for each atom
            stacks, slots = of_atom, torch.arange(indices.shape[1], device=indices.device).expand_as(indices)
        else:  # one for each stack, with its atoms
            stacks, slots = torch.arange(self.stacks).expand(len(indices), -1), of_atom
        chosen = torch.zeros(*stacks.shape, self.part, device=indices.device)
        chosen[torch.arange(len(indices), device=indices.device)[:, None], slots, rows] = signs.to(torch.float32)
        s1, s2, s3 = self._signs(stacks, key).to(indices.device)
        x = hadamard_transform(chosen) * s3
        x = hadamard_transform(x) * s2
        return (hadamard_transform(x) * s1).sum(1) / self.part

    def _signs(self, stacks: torch.Tensor, key: Key) -> torch.Tensor:
        """`[3, P, n, d]` of +-1: S1, S2 and S3 of n `stacks [P, n]` of each part."""
        parts, count = len(stacks), 3 * self.stacks * len(stacks) * self.part
        taken = (slice(None), stacks.cpu().numpy(), np.arange(parts)[:, None])
        packed = rng.packed_signs(_words_of(key, -(-count // 64)))
        if self.part < 8:  # less than a byte
            signs = rng.unpacked_signs(packed)[:count].reshape(3, self.stacks, parts, self.part)[taken]
        else:
            rows = packed[: count // 8].reshape(3, self.stacks, parts, self.part // 8)
            signs = rng.unpacked_signs(rows[taken])
        return torch.from_numpy(signs).to(torch.float32)


@lru_cache(maxsize=1)  # the encoder needs those of a step twice: to correlate, then to synthesise
def _words_of(key: Key, count: int) -> NDArray[np.uint64]:
    return rng.words(count, seed=key.seed, purpose=rng.Purpose.SIGNS, segment=key.segment, step=key.step)


@dataclass(frozen=True)
class DenseCodebook:
    """K independent Gaussian atoms a step, shared by its parts: the codebook of the papers, and the test oracle."""

    part: int
    size: int

    def correlate(self, parts: torch.Tensor, key: Key) -> torch.Tensor:
        return parts @ self._atoms(key, parts.device).T

    def synthesize(self, indices: torch.Tensor, signs: torch.Tensor, key: Key) -> torch.Tensor:
        atoms = self._atoms(key, indices.device)
        return (atoms[indices] * signs.to(torch.float32)[..., None]).sum(1)

    def _atoms(self, key: Key, device: torch.device) -> torch.Tensor:
        """`[K, d]`, each atom scaled to mean square 1 exactly."""
        return _dense_atoms(key, self.size, self.part).to(device)


@lru_cache(maxsize=1)  # drawing them is most of the work, and the encoder needs those of a step twice
def _dense_atoms(key: Key, size: int, part: int) -> torch.Tensor:
    purpose = rng.Purpose.DENSE
    drawn = rng.gaussian(size * part, seed=key.seed, purpose=purpose, segment=key.segment, step=key.step)
    atoms = torch.from_numpy(drawn).view(size, part)
    return atoms * torch.rsqrt(atoms.square().mean(1, keepdim=True))


def hadamard_transform(x: torch.Tensor) -> torch.Tensor:
    """Unnormalised Walsh-Hadamard transform of the last axis, `[..., d]`, d a power of two.

    `H_ab = H_a (x) H_b`: two products with small matrices instead of log2(d) passes over memory.
    """
    size = x.shape[-1]
    columns = 1 << (size.bit_length() - 1) // 2
    if size <= 128:  # below, one product is faster than two (measured)
        return x @ _hadamard(size).to(x.device)
    grid = x.unflatten(-1, (size // columns, columns))
    return (_hadamard(size // columns).to(x.device) @ (grid @ _hadamard(columns).to(x.device))).flatten(-2)


@lru_cache(maxsize=16)
def _hadamard(size: int) -> torch.Tensor:
    """Sylvester's matrix `[size, size]` of +-1; symmetric."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return matrix
