"""The .ddcm container: a header, then payloads, each with its CRC-16 (`docs/format.md`, sections 2 and 3).

    header := DD C1 | fingerprint(2) | preset | layout | sample count | gain | [rate] [seed] [tag] [engine]
    stream := header payload_0 CRC(header payload_0)  payload_1 CRC(payload_1)  ...

The header determines the sizes of the payloads, so a stream holds no size table: the codec computes the sizes
and `split` checks them. A header has one spelling: what `parse_header` accepts, `pack` writes again.
"""

from __future__ import annotations

from binascii import crc_hqx  # with initial value 0xFFFF this is CRC-16/CCITT-FALSE
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from noisebook.coding import bitio
from noisebook.coding.combinatorics import subset_bits
from noisebook.errors import ConfigError, CorruptStream, NotAStream, TruncatedStream, UnsupportedStream

# fmt: off
__all__ = ["SAMPLE_RATES", "VERSION", "ChannelMode", "Codebook", "Engine", "Header", "Rule", "choice_bits", "overhead",
           "pack", "parse_header", "split"]

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000,
                384000)  # Hz; the code on the wire is the position: append only
# fmt: on
VERSION = 1
_MAGIC = 0xDDC0
_EXPLICIT_RATE = 15
_SEED_BIT, _TAG_BIT = 6, 7
_CRC_SIZE = 2
_E = TypeVar("_E", bound=IntEnum)


class ChannelMode(IntEnum):
    """How the channels of the signal are coded; wire ids, append only."""

    MONO = 0
    DUAL = 1  # left and right, independently
    MID_SIDE = 2

    @property
    def channels(self) -> int:
        """Channels of the decoded signal."""
        return 1 if self is ChannelMode.MONO else 2


class Rule(IntEnum):
    """How a choice is made; wire ids, append only."""

    ONE_OF_K = 1
    PARTITIONED = 2  # one signed atom a part
    TOP_M = 3  # a signed subset, ranked


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

    def __post_init__(self) -> None:
        _check("rule", self.rule, 1, max(Rule))
        _check("codebook", self.codebook, 1, max(Codebook))
        partitioned, top_m = self.rule == Rule.PARTITIONED, self.rule == Rule.TOP_M
        _check("log2_part", self.log2_part, 4 if partitioned else 0, 15 if partitioned else 0)
        _check("log2_K", self.log2_K, 0, 24)
        _check("M", self.M, 1, min(2**self.log2_K, 4096) if top_m else 1)
        _check("unit_frames", self.unit_frames, 1, 2048)
        _check("steps", self.steps, 1, 1000)
        _check("kappa_percent", self.kappa_percent, 0, 255)

    @property
    def choice_bits(self) -> int:
        """Bits of one choice: what one part, or unit, costs at one step."""
        return choice_bits(self.rule, 2**self.log2_K, self.M)


def choice_bits(rule: Rule, K: int, M: int) -> int:
    """Bits of one choice from K atoms: an index, an index and a sign, or the rank of a subset and M signs.

    Raises:
        ConfigError: not 0 <= M <= K.
    """
    if rule == Rule.TOP_M:
        return subset_bits(K, M) + M
    return (K - 1).bit_length() + (rule == Rule.PARTITIONED)


@dataclass(frozen=True)
class Header:
    """Everything a decoder needs to know before the payload. Ranges as in format.md 2, else ConfigError."""

    fingerprint: bytes  # first 2 bytes of the SHA-256 that names the weights
    preset: int  # 1..255, or 0 with an engine
    sample_rate: int  # Hz
    channel_mode: ChannelMode
    sample_count: int  # per channel, at sample_rate
    gain_half_db: int = 0  # applied before encoding, in steps of 0.5 dB
    seed: int = 0
    tag: int | None = None  # conditioning tag of the denoiser
    engine: Engine | None = None

    def __post_init__(self) -> None:
        if len(self.fingerprint) != 2:
            raise ConfigError(f"fingerprint has {len(self.fingerprint)} bytes: give 2")
        if (self.preset == 0) != (self.engine is not None):
            raise ConfigError(f"preset {self.preset}: an engine goes with preset 0 and with no other")
        _check("preset", self.preset, 0, 255)
        _check("sample_rate", self.sample_rate, 1, 768_000)
        _check("channel_mode", self.channel_mode, 0, max(ChannelMode))
        _check("sample_count", self.sample_count, 0, 2**48)
        _check("gain_half_db", self.gain_half_db, -128, 127)
        _check("seed", self.seed, 0, 255)
        _check("tag", 0 if self.tag is None else self.tag, 0, 255)


def pack(header: Header, payloads: Sequence[bytes]) -> bytes:
    """The stream of a header and its payloads, one per segment.

    Raises:
        ConfigError: no payload; a stream has at least one segment, which may be empty.
    """
    _check("number of segments", len(payloads), 1, 2**48)
    head = _header_bytes(header)
    covered = [head + payloads[0], *payloads[1:]]
    return b"".join(part + _crc(part) for part in covered)


def overhead(header: Header, segments: int) -> int:
    """Bytes of the stream that are not payload, exactly."""
    return len(_header_bytes(header)) + _CRC_SIZE * segments


def parse_header(data: bytes) -> tuple[Header, int]:
    """The header of a stream and its size in bytes, the offset of the first payload.

    The first CRC covers the header; only `split` checks it.

    Raises:
        NotAStream: other magic bytes.
        UnsupportedStream: a version or a wire id that this build does not know.
        TruncatedStream: `data` ends within the header.
        CorruptStream: a field outside its range, or a spelling that no encoder writes.
    """
    cursor = bitio.ByteReader(data)
    _check_magic(cursor)
    fingerprint = bytes([cursor.u8(), cursor.u8()])
    preset, layout = cursor.u8(), cursor.u8()
    mode = _known(ChannelMode, layout >> 4 & 3)
    sample_count, gain = cursor.varint(), cursor.u8()
    sample_rate = _parse_rate(cursor, layout & 15)
    seed = cursor.u8() if layout >> _SEED_BIT & 1 else None
    tag = cursor.u8() if layout >> _TAG_BIT & 1 else None
    if seed == 0:
        raise CorruptStream("seed byte 0: seed 0 is written as no byte")
    try:
        engine = None if preset else _parse_engine(cursor)
        signed = (gain ^ 128) - 128
        header = Header(fingerprint, preset, sample_rate, mode, sample_count, signed, seed or 0, tag, engine)
    except ConfigError as error:
        raise CorruptStream(f"header: {error}") from error
    return header, cursor.position


def split(data: bytes, header_size: int, payload_sizes: Iterable[int]) -> tuple[bytes, ...]:
    """The payloads of a stream, all lengths and CRCs checked.

    Args:
        data: the whole stream.
        header_size: as `parse_header` returned it.
        payload_sizes: bytes of each payload, at least one. Give a generator: it is left at the first segment
            that ends past `data`, so that a header that promises 2**40 segments costs nothing.

    Raises:
        TruncatedStream: `data` ends before the last segment does.
        CorruptStream: bytes follow the last segment, or a CRC does not match.
    """
    start, ends = header_size, []
    for index, size in enumerate(payload_sizes):
        start += size + _CRC_SIZE
        if start > len(data):
            raise TruncatedStream(f"segment {index} ends at {start}, the stream at {len(data)}: cut short")
        ends.append(start)
    if start != len(data) or not ends:
        raise CorruptStream(f"the stream has {len(data)} bytes, its {len(ends)} segments end at {start}")
    for index, (first, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if crc_hqx(data[first:end], 0xFFFF):  # the CRC of a message with its CRC appended is 0
            raise CorruptStream(f"segment {index} fails its CRC: the bytes {first} to {end - 1} are damaged")
    starts = [header_size, *ends[:-1]]
    return tuple(data[first : end - _CRC_SIZE] for first, end in zip(starts, ends, strict=True))


def _check_magic(cursor: bitio.ByteReader) -> None:
    first = cursor.u8()
    if first != _MAGIC >> 8:
        raise NotAStream(f"the first byte is {first:02X}: a .ddcm stream begins with DD C{VERSION}")
    second = cursor.u8()
    if second & 0xF0 != _MAGIC & 0xF0:
        raise NotAStream(f"the first bytes are DD {second:02X}: a .ddcm stream begins with DD C{VERSION}")
    if second & 0x0F != VERSION:
        raise UnsupportedStream(f"format version {second & 15}: this build reads {VERSION}, update it")


def _known(kind: type[_E], value: int) -> _E:
    if value not in set(kind):
        raise UnsupportedStream(f"{kind.__name__} id {value}: this build knows up to {max(kind)}, update it")
    return kind(value)


def _parse_rate(cursor: bitio.ByteReader, code: int) -> int:
    if code < len(SAMPLE_RATES):
        return SAMPLE_RATES[code]
    if code != _EXPLICIT_RATE:
        raise UnsupportedStream(f"sample-rate code {code} is reserved: update this build")
    rate = cursor.varint()
    if rate in SAMPLE_RATES:
        raise CorruptStream(f"sample rate {rate} Hz is spelled out though it has a code")
    return rate


def _parse_engine(cursor: bitio.ByteReader) -> Engine:
    rule, codebook = _known(Rule, cursor.u8()), _known(Codebook, cursor.u8())
    log2_part, log2_K = cursor.u8(), cursor.u8()
    M, unit_frames, steps = cursor.varint(), cursor.varint(), cursor.varint()
    return Engine(rule, codebook, log2_part, log2_K, M, unit_frames, steps, kappa_percent=cursor.u8())


def _header_bytes(header: Header) -> bytes:
    rate, tag, engine = header.sample_rate, header.tag, header.engine
    code = SAMPLE_RATES.index(rate) if rate in SAMPLE_RATES else _EXPLICIT_RATE
    layout = code | header.channel_mode << 4 | (header.seed > 0) << _SEED_BIT | (tag is not None) << _TAG_BIT
    out = bytearray((_MAGIC | VERSION).to_bytes(2, "big") + header.fingerprint)
    out += bytes([header.preset, layout])
    out += bitio.varint(header.sample_count) + bytes([header.gain_half_db & 0xFF])
    out += bitio.varint(rate) if code == _EXPLICIT_RATE else b""
    out += bytes([header.seed]) if header.seed else b""
    out += bytes([tag]) if tag is not None else b""
    if engine is not None:
        out += bytes([engine.rule, engine.codebook, engine.log2_part, engine.log2_K])
        out += b"".join(map(bitio.varint, (engine.M, engine.unit_frames, engine.steps)))
        out += bytes([engine.kappa_percent])
    return bytes(out)


def _crc(data: bytes) -> bytes:
    return crc_hqx(data, 0xFFFF).to_bytes(_CRC_SIZE, "big")


def _check(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} is {value}: give {low}" + (f" to {high}" if high > low else ""))
