"""The .ddcm container: a header, then payloads, each with its CRC-16 (`docs/format.md`, sections 2 and 3).

    stream := header payload_0 CRC(header payload_0)  payload_1 CRC(payload_1)  ...
    header := DD C3 | model(2) | preset | layout | sample count | gain
            | [flags] [rate] [seed] [tag] [pauses] [block]
    pauses := count, then for each: cells since the end of the one before, cells of the pause      all varints
    block  := log2_part log2_K unit steps kappa      where no preset says it: noise chosen on the way of a diffusion
            | kind codebook(4)                       a quantised latent; bit 4 of the first byte tells the two apart

A payload is all of a segment, or of a progressive stream one step of all segments; the first one of a stereo sound is
its image. The header determines the sizes of the payloads, so a stream holds no size table: the codec computes the
sizes and `split` checks them. Only an image and the payload of a latent code begin with their size.
A header has one spelling: what `parse_header` accepts, `pack` writes again.
"""

from __future__ import annotations

from binascii import crc_hqx  # with initial value 0xFFFF this is CRC-16/CCITT-FALSE
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TypeVar

from noisebook.coding.bitio import ByteReader, varint
from noisebook.errors import ConfigError, CorruptStream, NotAStream, TruncatedStream, UnsupportedStream

# fmt: off
SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000,
                384000)  # Hz; the code on the wire is the position: append only
# fmt: on
VERSION = 3
FINGERPRINT_BYTES, CODEBOOK_BYTES = 2, 4  # of those of a model and of a latent codebook
CRC_SIZE = 2
_MAGIC = 0xDDC0
_MORE, _EXPLICIT_RATE = 14, 15  # codes that are no rate
_PAUSES, _EQUAL = 0x10, 0x20  # of the byte that follows where the code is _MORE: flags, the rate's code
_SEED_BIT, _TAG_BIT = 6, 7
_PROGRESSIVE = 0x80  # of the preset byte
_LATENT = 0x10  # of the first byte of a block
_MOST_CELLS = 2**48
_SALVAGE = "decompress --damaged plays what is there"
_E = TypeVar("_E", bound=IntEnum)
Spans = tuple[tuple[int, int], ...]  # (first, end), rising and apart


class ChannelMode(IntEnum):
    """How the channels of the signal are coded; wire ids, append only."""

    MONO = 0
    DUAL = 1  # left and right, independently
    IMAGE = 2  # left and right in one latent, with an image that says where in the stereo field what of it is
    JOINT = 3  # left and right in one latent, by a model of stereo sound
    EQUAL = 4  # two channels with the same samples; written as mono with a flag

    @property
    def channels(self) -> int:
        """Channels of the decoded signal."""
        return 1 if self is ChannelMode.MONO else 2

    @property
    def latents(self) -> int:
        """Latents that carry them."""
        return 2 if self is ChannelMode.DUAL else 1


@dataclass(frozen=True)
class CodingParams:
    """Coding parameters of a stream without a preset. Ranges as in format.md 2.3, else ConfigError."""

    log2_part: int  # values of a part, d = 2**log2_part
    log2_K: int  # atoms that a part chooses from
    unit_frames: int
    steps: int
    kappa_percent: int  # 0: uniform steps

    def __post_init__(self) -> None:
        _check("log2_part", self.log2_part, 4, 15)
        _check("log2_K", self.log2_K, 1, self.log2_part + 6)
        _check("unit_frames", self.unit_frames, 1, 2048)
        _check("steps", self.steps, 1, 1000)
        _check("kappa_percent", self.kappa_percent, 0, 255)

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
        _check("rule", self.rule, 1, max(LatentRule))
        _check("bytes of the codebook's fingerprint", len(self.codebook), CODEBOOK_BYTES, CODEBOOK_BYTES)


@dataclass(frozen=True)
class Header:
    """Everything a decoder needs to know before the payload. Ranges as in format.md 2, else ConfigError."""

    fingerprint: bytes  # first 2 bytes of the SHA-256 that names the weights
    preset: int  # 1..127, or 0 with coding parameters or a latent code
    sample_rate: int  # Hz
    channel_mode: ChannelMode
    sample_count: int  # per channel, at sample_rate
    gain_half_db: int = 0  # applied before encoding, in steps of 0.5 dB
    seed: int = 0
    tag: int | None = None  # conditioning tag of the denoiser
    params: CodingParams | None = None
    latent: LatentCode | None = None
    progressive: bool = False  # payloads are steps of all segments; else segments
    pauses: Spans = ()  # where units carry no choices, (first, end) in cells

    def __post_init__(self) -> None:
        if len(self.fingerprint) != FINGERPRINT_BYTES:
            raise ConfigError(f"fingerprint has {len(self.fingerprint)} bytes: give {FINGERPRINT_BYTES}")
        if (self.params is not None) + (self.latent is not None) != (self.preset == 0):
            raise ConfigError(
                f"preset {self.preset}: coding parameters or a latent code go with preset 0 and with no other"
            )
        _check("preset", self.preset, 0, 127)
        _check("sample_rate", self.sample_rate, 1, 768_000)
        _check("channel_mode", self.channel_mode, 0, max(ChannelMode))
        _check("sample_count", self.sample_count, 0, 2**48)
        _check("gain_half_db", self.gain_half_db, -128, 127)
        _check("seed", self.seed, 0, 255)
        _check("tag", 0 if self.tag is None else self.tag, 0, 255)
        if self.progressive and self.latent is not None:
            raise ConfigError("a quantised latent has no steps to be ordered by: it cannot be progressive")
        _check_pauses(self.pauses)
        if self.pauses and self.latent is not None:
            raise ConfigError("a quantised latent has no pauses: they belong to choices of noise")


def pack(header: Header, payloads: Sequence[bytes]) -> bytes:
    """The stream of a header and its payloads: the image where there is one, then one for each segment, or step of a
    progressive stream.

    Raises:
        ConfigError: no payload; a stream has at least one, which may be empty.
    """
    _check("number of payloads", len(payloads), 1, 2**48)
    head = _header_bytes(header)
    covered = [head + payloads[0], *payloads[1:]]
    return b"".join(part + crc_hqx(part, 0xFFFF).to_bytes(CRC_SIZE, "big") for part in covered)


def overhead(header: Header, payloads: int) -> int:
    """Bytes of the stream that are not payload, exactly."""
    return len(_header_bytes(header)) + CRC_SIZE * payloads


def parse_header(data: bytes) -> tuple[Header, int]:
    """The header of a stream and its size in bytes, the offset of the first payload.

    The first CRC covers the header; only `split` checks it.

    Raises:
        NotAStream: other magic bytes.
        UnsupportedStream: a version or a wire id that this build does not know.
        TruncatedStream: `data` ends within the header.
        CorruptStream: a field outside its range, or a spelling that no encoder writes.
    """
    cursor = ByteReader(data)
    _check_magic(cursor)
    fingerprint = bytes([cursor.u8(), cursor.u8()])
    coding, layout = cursor.u8(), cursor.u8()
    preset, progressive = coding & ~_PROGRESSIVE, bool(coding & _PROGRESSIVE)
    mode = _known(ChannelMode, layout >> 4 & 3)
    sample_count, gain = cursor.varint(), cursor.u8()
    code, flags = _parse_code(cursor, layout & 15)
    mode = _with_flags(mode, flags)
    sample_rate = _parse_rate(cursor, code)
    seed = cursor.u8() if layout >> _SEED_BIT & 1 else None
    tag = cursor.u8() if layout >> _TAG_BIT & 1 else None
    if seed == 0:
        raise CorruptStream("seed byte 0: seed 0 is written as no byte")
    try:
        pauses = _parse_pauses(cursor) if flags & _PAUSES else ()
        block = None if preset else _parse_block(cursor)
        signed = (gain ^ 128) - 128
        params, latent = (block, None) if isinstance(block, CodingParams) else (None, block)
        header = Header(
            fingerprint, preset, sample_rate, mode, sample_count, signed, seed or 0, tag, params, latent,
            progressive=progressive, pauses=pauses,
        )  # fmt: skip
    except ConfigError as error:
        raise CorruptStream(f"header: {error}") from error
    return header, cursor.position


def split(
    data: bytes, header_size: int, payload_sizes: Iterable[int], *, what: str = "segment", image: bool = False
) -> tuple[bytes, ...]:
    """The payloads of a stream, all lengths and CRCs checked.

    Args:
        data: the whole stream.
        header_size: as `parse_header` returned it.
        payload_sizes: bytes of each payload, at least one. Give a generator: it is left at the first payload
            that ends past `data`, so that a header that promises 2**40 segments costs nothing.
        what: a payload is, for messages.
        image: the first payload is an image.

    Raises:
        TruncatedStream: `data` ends before the last payload does.
        CorruptStream: bytes follow the last payload, or a CRC does not match.
    """

    def named(index: int) -> str:
        return f"{what} {index - image}" if index >= image else "the stereo image"

    start, ends = header_size, []
    for index, size in enumerate(payload_sizes):
        start += size + CRC_SIZE
        if start > len(data):
            raise TruncatedStream(f"{named(index)} ends at {start}, the stream at {len(data)}: cut short; {_SALVAGE}")
        ends.append(start)
    if start != len(data) or not ends:
        raise CorruptStream(f"the stream has {len(data)} bytes, its {len(ends)} payloads end at {start}")
    for index, (first, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if crc_hqx(data[first:end], 0xFFFF):  # the CRC of a message with its CRC appended is 0
            raise CorruptStream(f"{named(index)} fails its CRC: the bytes {first} to {end - 1} are damaged; {_SALVAGE}")
    starts = [header_size, *ends[:-1]]
    return tuple(data[first : end - CRC_SIZE] for first, end in zip(starts, ends, strict=True))


def verified(data: bytes, header_size: int, payload_sizes: Iterable[int]) -> int:
    """How many payloads are whole and pass their CRC, up to the first that does not."""
    first, end, count = 0, header_size, 0
    for size in payload_sizes:
        end += size + CRC_SIZE
        if end > len(data) or crc_hqx(data[first:end], 0xFFFF):
            break
        first, count = end, count + 1
    return count


def salvage(data: bytes, header_size: int, payload_sizes: Iterable[int]) -> list[bytes]:
    """The payloads of a stream that may be cut short or damaged: what is there of each, without a look at the CRCs.

    The last one may be incomplete, and nothing is given for payloads behind a cut.
    """
    payloads, start = [], header_size
    for size in payload_sizes:
        if start >= len(data):
            break
        payloads.append(data[start : start + size])
        start += size + CRC_SIZE
    return payloads


def sized(message: bytes) -> bytes:
    """The payload of an image or of a latent code: the size of the entropy-coded bytes, and these."""
    return varint(len(message)) + message


def unsized(payload: bytes) -> bytes:
    """The entropy-coded bytes of a payload."""
    cursor = ByteReader(payload)
    size = cursor.varint()
    return payload[cursor.position : cursor.position + size]


def sized_payloads(data: bytes, header_size: int, count: int) -> Iterator[int]:
    """Bytes of each of the first `count` payloads, of an image or latent codes, read from the size at its start."""
    start = header_size
    for _ in range(count):
        cursor = ByteReader(data, start)
        size = cursor.varint() + cursor.position - start
        yield size
        start += size + CRC_SIZE


def _check_magic(cursor: ByteReader) -> None:
    first = cursor.u8()
    if first != _MAGIC >> 8:
        raise NotAStream(f"the first byte is {first:02X}: a .ddcm stream begins with DD C{VERSION}")
    second = cursor.u8()
    if second & 0xF0 != _MAGIC & 0xF0:
        raise NotAStream(f"the first bytes are DD {second:02X}: a .ddcm stream begins with DD C{VERSION}")
    if second & 0x0F != VERSION:
        older = "made by an earlier release, which reads it" if second & 0x0F < VERSION else "update this build"
        raise UnsupportedStream(f"format version {second & 15}, and this build reads {VERSION}: {older}")


def _parse_code(cursor: ByteReader, code: int) -> tuple[int, int]:
    """The code of the sample rate, and flags; both from a byte of their own where the code is `_MORE`."""
    if code != _MORE:
        return code, 0
    more = cursor.u8()
    flags = more & 0xF0
    if flags & ~(_PAUSES | _EQUAL):
        raise UnsupportedStream(f"header flags {flags >> 4}: this build knows 1 to 3, update it")
    if not flags:
        raise CorruptStream("a header byte for flags without any")
    if more & 15 == _MORE:
        raise CorruptStream("a header byte for flags that announces another one")
    return more & 15, flags


def _with_flags(mode: ChannelMode, flags: int) -> ChannelMode:
    if not flags & _EQUAL:
        return mode
    if mode is not ChannelMode.MONO:
        raise CorruptStream("two equal channels are written as mono with a flag")
    return ChannelMode.EQUAL


def _parse_rate(cursor: ByteReader, code: int) -> int:
    if code < len(SAMPLE_RATES):
        return SAMPLE_RATES[code]
    rate = cursor.varint()
    if rate in SAMPLE_RATES:
        raise CorruptStream(f"sample rate {rate} Hz is spelled out though it has a code")
    return rate


def _header_bytes(header: Header) -> bytes:
    rate, tag, block = header.sample_rate, header.tag, header.params or header.latent
    code = SAMPLE_RATES.index(rate) if rate in SAMPLE_RATES else _EXPLICIT_RATE
    equal = header.channel_mode is ChannelMode.EQUAL
    flags = _PAUSES * bool(header.pauses) | _EQUAL * equal
    shown, mode = _MORE if flags else code, ChannelMode.MONO if equal else header.channel_mode
    layout = shown | mode << 4 | (header.seed > 0) << _SEED_BIT | (tag is not None) << _TAG_BIT
    out = bytearray((_MAGIC | VERSION).to_bytes(2, "big") + header.fingerprint)
    out += bytes([header.preset | header.progressive * _PROGRESSIVE, layout])
    out += varint(header.sample_count) + bytes([header.gain_half_db & 0xFF])
    out += bytes([code | flags]) if flags else b""
    out += varint(rate) if code == _EXPLICIT_RATE else b""
    out += bytes([header.seed]) if header.seed else b""
    out += bytes([tag]) if tag is not None else b""
    out += _pauses_bytes(header.pauses)
    out += _block_bytes(block) if block is not None else b""
    return bytes(out)


def _parse_block(cursor: ByteReader) -> CodingParams | LatentCode:
    """The block at the cursor; ConfigError for a field outside its range."""
    first = cursor.u8()
    if first & _LATENT:
        return LatentCode(_known(LatentRule, first & ~_LATENT), bytes(cursor.u8() for _ in range(CODEBOOK_BYTES)))
    log2_K, unit_frames, steps = cursor.u8(), cursor.varint(), cursor.varint()
    return CodingParams(first, log2_K, unit_frames, steps, cursor.u8())


def _block_bytes(block: CodingParams | LatentCode) -> bytes:
    if isinstance(block, LatentCode):
        return bytes([block.rule | _LATENT]) + block.codebook
    varints = varint(block.unit_frames) + varint(block.steps)
    return bytes([block.log2_part, block.log2_K]) + varints + bytes([block.kappa_percent])


def _parse_pauses(cursor: ByteReader) -> Spans:
    """What `_pauses_bytes` wrote; the check of the header finds what is wrong with them. A pause takes two bytes at
    least, so that their number needs no limit."""
    count, end, found = cursor.varint(), 0, []
    if not count:
        raise CorruptStream("a list of pauses without any: none is written as no list")
    for _ in range(count):
        first = end + cursor.varint()
        end = first + cursor.varint()
        found.append((first, end))
    return tuple(found)


def _pauses_bytes(pauses: Spans) -> bytes:
    """Their list; nothing for none."""
    if not pauses:
        return b""
    ends = [0, *(cell for pause in pauses for cell in pause)]
    return b"".join(map(varint, [len(pauses), *(b - a for a, b in pairwise(ends))]))


def _check_pauses(pauses: Spans) -> None:
    """ConfigError unless the pauses rise, are not empty, and do not touch one another."""
    ends = [-1, *(cell for pause in pauses for cell in pause)]
    if any(a >= b for a, b in pairwise(ends)) or ends[-1] > _MOST_CELLS:
        raise ConfigError(f"pauses must rise and lie apart in cells 0 to 2**48, got {pauses[:4]}")


def _known(kind: type[_E], value: int) -> _E:
    """The member with that wire id; UnsupportedStream where this build has none."""
    if value not in set(kind):
        raise UnsupportedStream(f"{kind.__name__} id {value}: this build knows up to {max(kind)}, update it")
    return kind(value)


def _check(name: str, value: int, low: int, high: int) -> None:
    """ConfigError unless the value is an integer from low to high."""
    if not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} is {value}: give {low}" + (f" to {high}" if high > low else ""))
