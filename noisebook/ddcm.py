"""Denoising Diffusion Codebook Models: choosing noise instead of drawing it (Ohayon et al., ICML 2025).

residual [C, 8, L, 16] --Partition.split--> parts [P, d] --Codebook.correlate--> [P, K] --choose--> choice [P]
                                                                                                      |
noise    [C, 8, L, 16] <--Partition.join--- parts [P, d] <-Codebook.synthesize------------------------'

A partition cuts the latent timeline into the parts that choose an atom each. A codebook is a value without state: the
atoms of a step follow from (seed, segment, step) by `noisebook.rng`, so encoder and decoder both know them, at no cost
in bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from noisebook import rng
from noisebook.errors import ConfigError

_VALUES_AT_A_TIME = 2**18  # 1 MiB of float32


@dataclass(frozen=True)
class Partition:
    """How a latent `[channels, C, L, F']` falls into units of time, and each unit into parts.

    A unit is `unit_frames` latent frames of one channel, the last one what is left. Its values, frame by frame,
    are permuted, anew at every step, so that each part samples all of the unit's times and frequencies; the
    permuted values are cut into parts of `part` values, the last filled with zeros.
    """

    shape: tuple[int, int, int, int]  # of the latent
    unit_frames: int
    part: int  # d, values to a part
    seed: int = 0  # of the stream; names the permutations

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.unit_frames < 1 or self.part < 1:
            raise ConfigError(f"shape {self.shape}, unit {self.unit_frames}, part {self.part}: all must be positive")

    @property
    def parts(self) -> int:
        """Parts in all: those of channel 0 first, each channel's units in order of time."""
        return self.shape[0] * sum(units * self._rows(size) for units, size in self._groups)

    def parts_in(self, units: torch.Tensor) -> torch.Tensor:
        """`[parts]` bool: those of the units that are true in `[channels, units]`."""
        counts = [self._rows(size) for number, size in self._groups for _ in range(number)]
        return units.repeat_interleave(torch.tensor(counts), dim=1).flatten()

    def split(self, latent: torch.Tensor, step: int) -> torch.Tensor:
        """`[channels, C, L, F'] -> [parts, part]`, in the order of `step`'s permutation."""
        values = latent.transpose(1, 2).flatten(2)  # [channels, L, C F']
        pieces, start = [], 0
        for units, size in self._groups:
            piece = values[:, start : start + units * size].reshape(self.shape[0], units, -1)
            ordered = piece[..., _permutation(piece.shape[-1], self.seed, step).to(piece.device)]
            pieces.append(F.pad(ordered, (0, -ordered.shape[-1] % self.part)).reshape(self.shape[0], -1, self.part))
            start += units * size
        return torch.cat(pieces, dim=1).flatten(0, 1)

    def join(self, parts: torch.Tensor, step: int) -> torch.Tensor:
        """The inverse of `split`; what fell on the zero filling is dropped."""
        rows, pieces, start = parts.reshape(self.shape[0], -1, self.part), [], 0
        for units, size in self._groups:
            count, height = size * self._frame_size, self._rows(size)
            piece = rows[:, start : start + units * height].reshape(self.shape[0], units, -1)[..., :count]
            values = torch.empty_like(piece)
            values[..., _permutation(count, self.seed, step).to(piece.device)] = piece
            pieces.append(values.reshape(self.shape[0], -1, self._frame_size))
            start += units * height
        return torch.cat(pieces, dim=1).unflatten(-1, (self.shape[1], self.shape[3])).transpose(1, 2)

    @property
    def _groups(self) -> list[tuple[int, int]]:
        """(units, latent frames of each): the whole units, then what is left."""
        whole, rest = divmod(self.shape[2], self.unit_frames)
        return [group for group in ((whole, self.unit_frames), (1, rest)) if all(group)]

    def _rows(self, frames: int) -> int:
        """Parts of a unit of so many frames."""
        return -(-frames * self._frame_size // self.part)

    @property
    def _frame_size(self) -> int:
        return self.shape[1] * self.shape[3]


@lru_cache(maxsize=4)  # split and join of one step need the same orders, of whole units and of the last one
def _permutation(count: int, seed: int, step: int) -> torch.Tensor:
    return torch.from_numpy(rng.permutation(count, seed=seed, purpose=rng.Purpose.PERMUTATION, step=step))


@dataclass(frozen=True)
class Key:
    """Which atoms: those of one coded step of one segment of a stream."""

    seed: int
    segment: int
    step: int


@dataclass(frozen=True)
class StructuredCodebook:
    """Atoms that are the rows of `sqrt(d) H S3 H S2 H S1`, and of `expansion` such matrices one below the other.

    H is the orthonormal Walsh-Hadamard matrix, the S are diagonals of random signs, fresh for every part, step and
    matrix. Atoms of one matrix are orthogonal, so the M largest inner products are the best M atoms exactly. All
    entries are integers over d: synthesis of one atom in float32 is exact, the same on every device, up to d = 2^15
    (where products are not rounded to fewer bits, as TF32 does).
    """

    part: int  # d, a power of two from 8 to 2^15
    size: int  # K, a power of two; below d only the first K rows are used, above d it is `expansion` times d

    def __post_init__(self) -> None:
        for name, value, least, most in (("part", self.part, 8, 2**15), ("size", self.size, 2, 2**24)):
            if value & (value - 1) or not least <= value <= most:
                raise ConfigError(
                    f"{name} of a structured codebook: {value}, allowed are powers of two from {least} to {most}"
                )

    @property
    def expansion(self) -> int:
        """Matrices, K / d."""
        return max(1, self.size // self.part)

    def correlate(self, parts: torch.Tensor, key: Key) -> torch.Tensor:
        """Inner products of each part `[P, d]` with all of its atoms, `[P, K]`."""
        # A few matrices at a time stay in the cache of a processor: a third less time than 32 of them at once.
        groups = torch.arange(self.expansion).split(max(1, _VALUES_AT_A_TIME // parts.numel()))
        return torch.cat([self._products(parts, matrices, key) for matrices in groups], dim=1)[:, : self.size]

    def _products(self, parts: torch.Tensor, matrices: torch.Tensor, key: Key) -> torch.Tensor:
        """`[P, n d]`: inner products of each part with the atoms of some matrices `[n]`."""
        of_parts = matrices.expand(len(parts), -1)
        x = parts[:, None] * self._signs(of_parts, key, 0, parts.device)
        for diagonal in (1, 2):
            x = hadamard_transform(x).mul_(self._signs(of_parts, key, diagonal, parts.device))
        return hadamard_transform(x).div_(self.part).flatten(1)

    def synthesize(self, choice: torch.Tensor, key: Key) -> torch.Tensor:
        """The signed atoms of P parts, `[P, d]`, for a choice `[P]` int64 as of `choose`."""
        indices, signs = choice >> 1, 1 - 2 * (choice & 1)
        device, matrices = indices.device, (indices // self.part)[:, None]
        x = torch.zeros(len(indices), 1, self.part, device=device)
        x[torch.arange(len(indices), device=device), 0, indices % self.part] = signs.to(torch.float32)
        for diagonal in (2, 1, 0):
            x = hadamard_transform(x).mul_(self._signs(matrices, key, diagonal, device))
        return x[:, 0] / self.part

    def _signs(self, matrices: torch.Tensor, key: Key, diagonal: int, device: torch.device) -> torch.Tensor:
        """`[P, n, d]` of +-1: S1, S2 or S3 (diagonal 0, 1, 2) of n `matrices [P, n]` of each part."""
        parts, count = len(matrices), 3 * self.expansion * len(matrices) * self.part
        taken = (diagonal, matrices.cpu().numpy(), np.arange(parts)[:, None])
        packed = rng.packed_signs(_words_of(key, -(-count // 64)))[: count // 8]
        rows = packed.reshape(3, self.expansion, parts, self.part // 8)
        return torch.from_numpy(rng.unpacked_signs(rows[taken])).to(device, torch.float32)


@lru_cache(maxsize=1)  # the encoder needs those of a step twice: to correlate, then to synthesise
def _words_of(key: Key, count: int) -> NDArray[np.uint64]:
    return rng.words(count, seed=key.seed, purpose=rng.Purpose.SIGNS, segment=key.segment, step=key.step)


def choose(correlations: torch.Tensor) -> torch.Tensor:
    """The choice of each part for inner products `[P, K]`: the atom of largest magnitude with its sign, `[P]` int64,
    twice its index, plus 1 for a minus. So it is written, in `log2 K + 1` bits."""
    indices = correlations.abs().argmax(1)
    return 2 * indices + (correlations.gather(1, indices[:, None])[:, 0] < 0)


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
