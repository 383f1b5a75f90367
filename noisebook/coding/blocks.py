"""What a header says about the codec itself where no preset does (`docs/format.md`, sections 2.3 and 2.4).

    block := kind engine fields                                     noise chosen on the way of a diffusion
           | kind codebook(4) [strength] [engine block]             a quantised latent, refined, steered

The kind byte: bits 0-3 the rule, bit 4 a latent code, bit 6 it is refined, bit 7 the refinement is steered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from noisebook.coding import bitio
from noisebook.coding.combinatorics import subset_bits
from noisebook.errors import ConfigError, CorruptStream, UnsupportedStream

# fmt: off
__all__ = ["CODEBOOK_BYTES", "Codebook", "Engine", "LatentCode", "LatentRule", "Rule", "block_bytes", "check",
           "choice_bits", "known", "parse_block"]
# fmt: on

CODEBOOK_BYTES = 4  # of a latent codebook's fingerprint
_LATENT, _REFINED, _STEERED = 0x10, 0x40, 0x80
_E = TypeVar("_E", bound=IntEnum)


class Rule(IntEnum):
    """How a choice is made; wire ids, append only."""

    ONE_OF_K = 1
    PARTITIONED = 2  # one signed atom a part
    TOP_M = 3  # a signed subset, ranked
    PURSUIT = 4  # atoms mixed one after the other, at quantised levels


class Codebook(IntEnum):
    """Where atoms come from; wire ids, append only."""

    STRUCTURED = 1
    DENSE = 2


@dataclass(frozen=True)
class Engine:
    """Coding parameters of a stream without a preset. Ranges as in format.md 2.3, else ConfigError."""

    rule: Rule
    codebook: Codebook
    log2_part: int  # part size d = 2**log2_part; 0 where the unit is the part
    log2_K: int
    M: int
    unit_frames: int
    steps: int
    kappa_percent: int  # 0: uniform steps
    level_bits: int = 0  # of PURSUIT alone

    def __post_init__(self) -> None:
        check("rule", self.rule, 1, max(Rule))
        check("codebook", self.codebook, 1, max(Codebook))
        partitioned, pursuit = self.rule == Rule.PARTITIONED, self.rule == Rule.PURSUIT
        check("log2_part", self.log2_part, 4 if partitioned else 0, 15 if partitioned else 0)
        check("log2_K", self.log2_K, 0, 24)
        most = {Rule.TOP_M: min(2**self.log2_K, 4096), Rule.PURSUIT: 64}
        check("M", self.M, 2 if pursuit else 1, most.get(self.rule, 1))
        check("unit_frames", self.unit_frames, 1, 2048)
        check("steps", self.steps, 1, 1000)
        check("kappa_percent", self.kappa_percent, 0, 255)
        check("level_bits", self.level_bits, 2 if pursuit else 0, 6 if pursuit else 0)

    @property
    def choice_bits(self) -> int:
        """Bits of one choice: what one part, or unit, costs at one step."""
        return choice_bits(self.rule, 2**self.log2_K, self.M, self.level_bits)


def choice_bits(rule: Rule, K: int, M: int, level_bits: int = 0) -> int:
    """Bits of one choice from K atoms: an index, an index and a sign, the rank of a subset and M signs, or M indices
    and the levels of all but the first.

    Raises:
        ConfigError: not 0 <= M <= K.
    """
    if rule == Rule.TOP_M:
        return subset_bits(K, M) + M
    if rule == Rule.PURSUIT:
        return M * (K - 1).bit_length() + (M - 1) * level_bits
    return (K - 1).bit_length() + (rule == Rule.PARTITIONED)


class LatentRule(IntEnum):
    """How a latent codebook is used; wire ids, append only."""

    HARD = 1  # the nearest atom
    SOFT = 2  # a mean of the nearest atoms, their weights quantised


@dataclass(frozen=True)
class LatentCode:
    """A latent in the words of a codebook that both sides hold. Ranges as in format.md 2.4, else ConfigError."""

    rule: LatentRule
    codebook: bytes  # first 4 bytes of the codebook's fingerprint
    strength: int = 0  # the decoder noises the latent up to this share of the diffusion, in 1/255, and denoises it
    steering: Engine | None = None  # the noise of that way is chosen

    def __post_init__(self) -> None:
        check("rule", self.rule, 1, max(LatentRule))
        check("bytes of the codebook's fingerprint", len(self.codebook), CODEBOOK_BYTES, CODEBOOK_BYTES)
        check("strength", self.strength, 0, 255)
        if self.steering is not None and not self.strength:
            raise ConfigError("only a refined latent can be steered: give a strength of 1/255 to 1")


def parse_block(cursor: bitio.ByteReader) -> Engine | LatentCode:
    """The block at the cursor.

    Raises:
        UnsupportedStream: a wire id that this build does not know.
        TruncatedStream: the bytes end within the block.
        CorruptStream: a strength of 0 spelled out, or a steering that is not refined.
        ConfigError: a field outside its range.
    """
    kind = cursor.u8()
    if not kind & _LATENT:
        return _parse_engine(kind, cursor)
    rule = known(LatentRule, kind & ~(_LATENT | _REFINED | _STEERED))
    codebook = bytes(cursor.u8() for _ in range(CODEBOOK_BYTES))
    strength = cursor.u8() if kind & _REFINED else 0
    if kind & _REFINED and not strength:
        raise CorruptStream("refinement strength 0: no refinement is written as no byte")
    steering = _parse_engine(cursor.u8(), cursor) if kind & _STEERED else None
    return LatentCode(rule, codebook, strength, steering)


def block_bytes(block: Engine | LatentCode) -> bytes:
    """What `parse_block` reads."""
    if isinstance(block, Engine):
        varints = b"".join(map(bitio.varint, (block.M, block.unit_frames, block.steps)))
        fixed = bytes([block.rule, block.codebook, block.log2_part, block.log2_K])
        levels = [block.level_bits] if block.rule == Rule.PURSUIT else []
        return fixed + varints + bytes([block.kappa_percent, *levels])
    kind = block.rule | _LATENT | (_REFINED if block.strength else 0) | (_STEERED if block.steering else 0)
    strength = bytes([block.strength]) if block.strength else b""
    return bytes([kind]) + block.codebook + strength + (block_bytes(block.steering) if block.steering else b"")


def known(kind: type[_E], value: int) -> _E:
    """The member with that wire id; UnsupportedStream where this build has none."""
    if value not in set(kind):
        raise UnsupportedStream(f"{kind.__name__} id {value}: this build knows up to {max(kind)}, update it")
    return kind(value)


def check(name: str, value: int, low: int, high: int) -> None:
    """ConfigError unless the value is an integer from low to high."""
    if not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} is {value}: give {low}" + (f" to {high}" if high > low else ""))


def _parse_engine(rule: int, cursor: bitio.ByteReader) -> Engine:
    named, codebook = known(Rule, rule), known(Codebook, cursor.u8())
    log2_part, log2_K = cursor.u8(), cursor.u8()
    M, unit_frames, steps = cursor.varint(), cursor.varint(), cursor.varint()
    kappa_percent = cursor.u8()
    level_bits = cursor.u8() if named == Rule.PURSUIT else 0
    return Engine(named, codebook, log2_part, log2_K, M, unit_frames, steps, kappa_percent, level_bits)
