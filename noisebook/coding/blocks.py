"""What a header says about the codec itself (`docs/format.md`, sections 2.3, 2.4 and 2.6).

    pauses := count, then for each: cells since the end of the one before, cells of the pause      all varints
    block  := log2_part log2_K unit steps kappa      where no preset says it: noise chosen on the way of a diffusion
            | kind codebook(4)                       a quantised latent

Bit 4 of the first byte tells the blocks apart: in a kind it is 1, and bits 0-3 are the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TypeVar

from noisebook.coding import bitio
from noisebook.errors import ConfigError, CorruptStream, UnsupportedStream

__all__ = [
    "CODEBOOK_BYTES",
    "CodingParams",
    "LatentCode",
    "LatentRule",
    "Spans",
    "block_bytes",
    "check",
    "check_pauses",
    "known",
    "parse_block",
    "parse_pauses",
    "pauses_bytes",
]

CODEBOOK_BYTES = 4  # of a latent codebook's fingerprint
Spans = tuple[tuple[int, int], ...]  # (first, end), rising and apart
_LATENT = 0x10
_MOST_CELLS = 2**48
_E = TypeVar("_E", bound=IntEnum)


@dataclass(frozen=True)
class CodingParams:
    """Coding parameters of a stream without a preset. Ranges as in format.md 2.3, else ConfigError."""

    log2_part: int  # values of a part, d = 2**log2_part
    log2_K: int  # atoms that a part chooses from
    unit_frames: int
    steps: int
    kappa_percent: int  # 0: uniform steps

    def __post_init__(self) -> None:
        check("log2_part", self.log2_part, 4, 15)
        check("log2_K", self.log2_K, 1, self.log2_part + 6)
        check("unit_frames", self.unit_frames, 1, 2048)
        check("steps", self.steps, 1, 1000)
        check("kappa_percent", self.kappa_percent, 0, 255)

    @property
    def part(self) -> int:
        """d: values of a part."""
        return 2**self.log2_part

    @property
    def choice_bits(self) -> int:
        """Bits of one choice, what a part costs at one step: the index of its atom, and a sign."""
        return self.log2_K + 1

    def parts(self, frames: int, frame_values: int) -> int:
        """Parts of so many latent frames of so many values: each unit, and what is left, is filled up to whole ones."""
        whole, rest = divmod(frames, self.unit_frames)
        return whole * -(-self.unit_frames * frame_values // self.part) + -(-rest * frame_values // self.part)


class LatentRule(IntEnum):
    """How a latent codebook is used; wire ids, append only."""

    HARD = 1  # the nearest atom
    SOFT = 2  # a mean of the nearest atoms, their weights quantised


@dataclass(frozen=True)
class LatentCode:
    """A latent in the words of a codebook that both sides hold. Ranges as in format.md 2.4, else ConfigError."""

    rule: LatentRule
    codebook: bytes  # first 4 bytes of the codebook's fingerprint

    def __post_init__(self) -> None:
        check("rule", self.rule, 1, max(LatentRule))
        check("bytes of the codebook's fingerprint", len(self.codebook), CODEBOOK_BYTES, CODEBOOK_BYTES)


def parse_block(cursor: bitio.ByteReader) -> CodingParams | LatentCode:
    """The block at the cursor.

    Raises:
        UnsupportedStream: a wire id that this build does not know.
        TruncatedStream: the bytes end within the block.
        ConfigError: a field outside its range.
    """
    first = cursor.u8()
    if first & _LATENT:
        return LatentCode(known(LatentRule, first & ~_LATENT), bytes(cursor.u8() for _ in range(CODEBOOK_BYTES)))
    log2_K, unit_frames, steps = cursor.u8(), cursor.varint(), cursor.varint()
    return CodingParams(first, log2_K, unit_frames, steps, cursor.u8())


def block_bytes(block: CodingParams | LatentCode) -> bytes:
    """What `parse_block` reads."""
    if isinstance(block, LatentCode):
        return bytes([block.rule | _LATENT]) + block.codebook
    varints = bitio.varint(block.unit_frames) + bitio.varint(block.steps)
    return bytes([block.log2_part, block.log2_K]) + varints + bytes([block.kappa_percent])


def parse_pauses(cursor: bitio.ByteReader) -> Spans:
    """What `pauses_bytes` wrote. A pause takes two bytes at least, so that their number needs no limit.

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


def pauses_bytes(pauses: Spans) -> bytes:
    """Their list; nothing for none."""
    if not pauses:
        return b""
    ends = [0, *(cell for pause in pauses for cell in pause)]
    return b"".join(map(bitio.varint, [len(pauses), *(b - a for a, b in pairwise(ends))]))


def check_pauses(pauses: Spans) -> None:
    """ConfigError unless the pauses rise, are not empty, and do not touch one another."""
    ends = [-1, *(cell for pause in pauses for cell in pause)]
    if any(a >= b for a, b in pairwise(ends)) or ends[-1] > _MOST_CELLS:
        raise ConfigError(f"pauses must rise and lie apart in cells 0 to 2**48, got {pauses[:4]}")


def known(kind: type[_E], value: int) -> _E:
    """The member with that wire id; UnsupportedStream where this build has none."""
    if value not in set(kind):
        raise UnsupportedStream(f"{kind.__name__} id {value}: this build knows up to {max(kind)}, update it")
    return kind(value)


def check(name: str, value: int, low: int, high: int) -> None:
    """ConfigError unless the value is an integer from low to high."""
    if not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} is {value}: give {low}" + (f" to {high}" if high > low else ""))
