"""Counter-based randomness: the same words on every machine, with no global state.

A draw is named by (seed, purpose, segment, step) and nothing is carried from one draw to the next, so encoder
and decoder agree on any of them without having made the others. Specification: `docs/format.md`, section 4.

    words -+-> signs            one bit each
           +-> permutation      32 bits each
           `-> uniform16 -> gaussian    16 bits each

The generator is numpy's Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from noisebook.errors import ConfigError

_WORD = 2**64


class Purpose(IntEnum):
    """What a draw is for. The ids are part of the stream format: append, never renumber."""

    START = 1  # the start of the reverse process, x_T
    PERMUTATION = 2  # the order of the values of a unit
    SIGNS = 3  # the diagonal signs of a structured codebook
    DENSE = 4  # the atoms of a dense Gaussian codebook
    NOISE = 5  # uncoded Gaussian noise, for generation


def words(count: int, *, seed: int, purpose: int, segment: int = 0, step: int = 0) -> NDArray[np.uint64]:
    """The first `count` words, `[count]` uint64, of the draw named by the other arguments (format.md 4.1), each 0 to
    2**64 - 1, else ConfigError. Draws are prefixes of longer draws.

    numpy takes key and counter as they are, least significant word first, and increments the counter before a
    block: the first block is that of counter (1, step, segment, 0).
    """
    _check("count", count)
    for name, value in (("seed", seed), ("purpose", purpose), ("segment", segment), ("step", step)):
        _check(name, value)
    key = np.array([seed, purpose], dtype=np.uint64)
    counter = np.array([0, step, segment, 0], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count).astype(np.uint64, copy=False)


def packed_signs(source: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Signs as bytes, `[8 len(source)]`: sign i is bit i mod 8 of byte i // 8, where 1 is -1 (format.md 4.2)."""
    return source.astype("<u8", copy=False).view(np.uint8)


def unpacked_signs(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """`[..., n]` bytes of packed signs to `[..., 8 n]` of +1 and -1."""
    return 1 - 2 * np.unpackbits(packed, axis=-1, bitorder="little").view(np.int8)


def permutation(n: int, *, seed: int, purpose: int, segment: int = 0, step: int = 0) -> NDArray[np.int64]:
    """`[n]` int64, a permutation of 0 .. n-1: the stable argsort of n 32-bit keys (format.md 4.3).

    Two keys a word, the low half first; equal keys stay in the order of their indices.
    """
    _check("n", n, 2**32)  # an index shares its word with the key below
    drawn = words((n + 1) // 2, seed=seed, purpose=purpose, segment=segment, step=step)
    keys = drawn.astype("<u8").view("<u4")[:n].astype(np.uint64)
    # Sorting (key, index) pairs as single words is the stable argsort, four times as fast.
    pairs = np.sort((keys << np.uint64(32)) | np.arange(n, dtype=np.uint64))
    return (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def uniform16(source: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """`[4 * len(source)]` uint16: four a word, least significant first."""
    return source.astype("<u8").view("<u2").astype(np.uint16, copy=False)


def gaussian(count: int, *, seed: int, purpose: int, segment: int = 0, step: int = 0) -> NDArray[np.float32]:
    """`[count]` float32 standard normal numbers: the inverse cdf at (u16 + 0.5) / 65536 (format.md 4.4).

    The 65536 values are symmetric and end at +-4.3249. Their variance, 0.99998, is left as it is.
    """
    _check("count", count)
    drawn = words((count + 3) // 4, seed=seed, purpose=purpose, segment=segment, step=step)
    return _quantiles()[uniform16(drawn)[:count]]


@cache
def _quantiles() -> NDArray[np.float32]:
    """The 65536 quantiles; `inv_cdf` is Wichura's AS 241 (Applied Statistics 37, 1988)."""
    inverse = NormalDist().inv_cdf
    table = np.array([inverse((u + 0.5) / 65536) for u in range(65536)], dtype=np.float32)
    table.setflags(write=False)
    return table


def _check(name: str, value: int, limit: int = _WORD) -> None:
    if not isinstance(value, int | np.integer) or not 0 <= value < limit:
        raise ConfigError(f"{name} is {value}: give an integer from 0 to {limit - 1}")
