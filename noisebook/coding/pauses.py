"""Stretches of a timeline that carry no choices (`docs/format.md`, section 2.6).

    pauses := count, then for each: cells since the end of the one before, cells of the pause     all varints

Time is counted in cells of `CELL_FRAMES` latent frames, channel after channel: a pause is `(first, end)`.
"""

from __future__ import annotations

from itertools import pairwise

from noisebook.coding import bitio
from noisebook.errors import ConfigError, CorruptStream

__all__ = ["CELL_FRAMES", "Pauses", "check_pauses", "parse_pauses", "pauses_bytes"]

CELL_FRAMES = 8  # 0.32 s at 25 frames/s
_MOST_CELLS = 2**48

Pauses = tuple[tuple[int, int], ...]


def check_pauses(pauses: Pauses) -> None:
    """ConfigError unless the pauses rise, are not empty, and do not touch one another."""
    ends = [cell for pause in pauses for cell in pause]
    if any(a >= b for a, b in pairwise([-1, *ends])) or max(ends, default=0) > _MOST_CELLS:
        raise ConfigError(f"pauses must rise and lie apart in cells 0 to 2**48, got {pauses[:4]}")


def parse_pauses(cursor: bitio.ByteReader) -> Pauses:
    """What `pauses_bytes` wrote. A pause takes two bytes at least, so that their number needs no limit.

    Raises:
        TruncatedStream: the bytes end within the pauses.
        CorruptStream: none, or one of no length; the check of a header finds the rest.
    """
    count, end, found = cursor.varint(), 0, []
    if not count:
        raise CorruptStream("a list of pauses without any: none is written as no list")
    for _ in range(count):
        first = end + cursor.varint()
        end = first + cursor.varint()
        found.append((first, end))
    return tuple(found)


def pauses_bytes(pauses: Pauses) -> bytes:
    """The list of pauses, at least one."""
    numbers, last = [len(pauses)], 0
    for first, end in pauses:
        numbers += [first - last, end - first]
        last = end
    return b"".join(map(bitio.varint, numbers))
