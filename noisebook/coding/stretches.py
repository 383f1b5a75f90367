"""Stretches of a timeline that carry no choices: pauses (`docs/format.md`, section 2.6).

    stretches := count, then for each: cells since the end of the one before, cells of the stretch     all varints

Time is counted in cells of `CELL_FRAMES` latent frames, channel after channel: a stretch is `(first, end)`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from noisebook.coding import bitio
from noisebook.errors import ConfigError, CorruptStream

__all__ = ["CELL_FRAMES", "Stretches", "check_stretches", "parse_stretches", "stretches_bytes", "stretches_of"]

CELL_FRAMES = 8  # 0.32 s at 25 frames/s
_MOST_CELLS = 2**48

Stretches = tuple[tuple[int, int], ...]


def stretches_of(frames: np.ndarray) -> Stretches:
    """The cells all of whose frames are true in `[channels, L]`."""
    padded = np.pad(frames, ((0, 0), (0, -frames.shape[1] % CELL_FRAMES)), constant_values=True)
    cells = padded.reshape(-1, CELL_FRAMES).all(1).astype(np.int8)
    edges = np.flatnonzero(np.diff(cells, prepend=0, append=0))
    return tuple((int(first), int(end)) for first, end in edges.reshape(-1, 2))


def check_stretches(what: str, stretches: Stretches) -> None:
    """ConfigError unless the stretches rise, are not empty, and do not touch one another."""
    ends = [cell for stretch in stretches for cell in stretch]
    if any(a >= b for a, b in pairwise([-1, *ends])) or max(ends, default=0) > _MOST_CELLS:
        raise ConfigError(f"{what} must rise and lie apart in cells 0 to 2**48, got {stretches[:4]}")


def parse_stretches(cursor: bitio.ByteReader) -> Stretches:
    """What `stretches_bytes` wrote. A stretch takes two bytes at least, so that their number needs no limit.

    Raises:
        TruncatedStream: the bytes end within the list.
        CorruptStream: a list of none; the check of a header finds the rest.
    """
    count, end, found = cursor.varint(), 0, []
    if not count:
        raise CorruptStream("a list of pauses without any: none is written as no list")
    for _ in range(count):
        first = end + cursor.varint()
        end = first + cursor.varint()
        found.append((first, end))
    return tuple(found)


def stretches_bytes(stretches: Stretches) -> bytes:
    """Their list; nothing for none."""
    if not stretches:
        return b""
    numbers, last = [len(stretches)], 0
    for first, end in stretches:
        numbers += [first - last, end - first]
        last = end
    return b"".join(map(bitio.varint, numbers))
