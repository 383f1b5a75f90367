"""The .ddcm container: a header, then payloads, each with its CRC-16 (`docs/format.md`, sections 2 and 3).

    header := DD C1 | model(2) | preset | layout | sample count | gain
            | [flags] [rate] [seed] [tag] [pauses] [block]
    stream := header payload_0 CRC(header payload_0)  payload_1 CRC(payload_1)  ...

A payload is all of a segment, or of a progressive stream one step of all segments; the first one of a stereo sound is
its image. The header determines the sizes of the payloads, so a stream holds no size table: the codec computes the
sizes and `split` checks them. Only an image and the payload of a latent code are as long as their symbols ask for: they
begin with a size.
A header has one spelling: what `parse_header` accepts, `pack` writes again.
"""

from __future__ import annotations

from binascii import crc_hqx  # with initial value 0xFFFF this is CRC-16/CCITT-FALSE
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from noisebook.coding import bitio
from noisebook.coding.blocks import (
    CODEBOOK_BYTES,
    CodingParams,
    LatentCode,
    LatentRule,
    Spans,
    block_bytes,
    check,
    check_pauses,
    known,
    parse_block,
    parse_pauses,
    pauses_bytes,
)
from noisebook.errors import ConfigError, CorruptStream, NotAStream, TruncatedStream, UnsupportedStream

# fmt: off
__all__ = ["CODEBOOK_BYTES", "CRC_SIZE", "FINGERPRINT_BYTES", "SAMPLE_RATES", "VERSION", "ChannelMode", "CodingParams",
           "Header", "LatentCode", "LatentRule", "Spans",
           "overhead", "pack", "parse_header", "salvage", "sized", "sized_payloads", "split", "unsized", "verified"]

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000,
                384000)  # Hz; the code on the wire is the position: append only
# fmt: on
VERSION = 3
_MAGIC = 0xDDC0
_MORE, _EXPLICIT_RATE = 14, 15  # codes that are no rate
_PAUSES, _EQUAL = 0x10, 0x20  # of the byte that follows where the code is _MORE: flags, the rate's code
_SEED_BIT, _TAG_BIT = 6, 7
_PROGRESSIVE = 0x80  # of the preset byte
CRC_SIZE = 2
FINGERPRINT_BYTES = 2
_SALVAGE = "decompress --damaged plays what is there"


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
        check("preset", self.preset, 0, 127)
        check("sample_rate", self.sample_rate, 1, 768_000)
        check("channel_mode", self.channel_mode, 0, max(ChannelMode))
        check("sample_count", self.sample_count, 0, 2**48)
        check("gain_half_db", self.gain_half_db, -128, 127)
        check("seed", self.seed, 0, 255)
        check("tag", 0 if self.tag is None else self.tag, 0, 255)
        if self.progressive and self.latent is not None:
            raise ConfigError("a quantised latent has no steps to be ordered by: it cannot be progressive")
        check_pauses(self.pauses)
        if self.pauses and self.latent is not None:
            raise ConfigError("a quantised latent has no pauses: they belong to choices of noise")


def pack(header: Header, payloads: Sequence[bytes]) -> bytes:
    """The stream of a header and its payloads: the image where there is one, then one for each segment, or step of a
    progressive stream.

    Raises:
        ConfigError: no payload; a stream has at least one, which may be empty.
    """
    check("number of payloads", len(payloads), 1, 2**48)
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
    cursor = bitio.ByteReader(data)
    _check_magic(cursor)
    fingerprint = bytes([cursor.u8(), cursor.u8()])
    coding, layout = cursor.u8(), cursor.u8()
    preset, progressive = coding & ~_PROGRESSIVE, bool(coding & _PROGRESSIVE)
    mode = known(ChannelMode, layout >> 4 & 3)
    sample_count, gain = cursor.varint(), cursor.u8()
    code, flags = _parse_code(cursor, layout & 15)
    mode = _with_flags(mode, flags)
    sample_rate = _parse_rate(cursor, code)
    seed = cursor.u8() if layout >> _SEED_BIT & 1 else None
    tag = cursor.u8() if layout >> _TAG_BIT & 1 else None
    if seed == 0:
        raise CorruptStream("seed byte 0: seed 0 is written as no byte")
    try:
        pauses = parse_pauses(cursor) if flags & _PAUSES else ()
        block = None if preset else parse_block(cursor)
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
    return bitio.varint(len(message)) + message


def unsized(payload: bytes) -> bytes:
    """The entropy-coded bytes of a payload."""
    cursor = bitio.ByteReader(payload)
    size = cursor.varint()
    return payload[cursor.position : cursor.position + size]


def sized_payloads(data: bytes, header_size: int, count: int) -> Iterator[int]:
    """Bytes of each of `count` payloads of images and latent codes, for `split`, read from the size at its start.

    Args:
        data: the whole stream.
        header_size: as `parse_header` returned it.
        count: of payloads.
    """
    cursor = bitio.ByteReader(data)
    cursor.position = header_size
    for _ in range(count):
        start = cursor.position
        message = cursor.varint()
        size = cursor.position - start + message
        yield size
        cursor.position = start + size + CRC_SIZE


def _check_magic(cursor: bitio.ByteReader) -> None:
    first = cursor.u8()
    if first != _MAGIC >> 8:
        raise NotAStream(f"the first byte is {first:02X}: a .ddcm stream begins with DD C{VERSION}")
    second = cursor.u8()
    if second & 0xF0 != _MAGIC & 0xF0:
        raise NotAStream(f"the first bytes are DD {second:02X}: a .ddcm stream begins with DD C{VERSION}")
    if second & 0x0F != VERSION:
        older = "made by an earlier release, which reads it" if second & 0x0F < VERSION else "update this build"
        raise UnsupportedStream(f"format version {second & 15}, and this build reads {VERSION}: {older}")


def _parse_code(cursor: bitio.ByteReader, code: int) -> tuple[int, int]:
    """The code of the sample rate, and flags; both from a byte of their own where the code is `_MORE`.

    Raises:
        UnsupportedStream: a flag that this build does not know.
        CorruptStream: a spelling that no encoder writes.
    """
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


def _parse_rate(cursor: bitio.ByteReader, code: int) -> int:
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
    out += bitio.varint(header.sample_count) + bytes([header.gain_half_db & 0xFF])
    out += bytes([code | flags]) if flags else b""
    out += bitio.varint(rate) if code == _EXPLICIT_RATE else b""
    out += bytes([header.seed]) if header.seed else b""
    out += bytes([tag]) if tag is not None else b""
    out += pauses_bytes(header.pauses)
    out += block_bytes(block) if block is not None else b""
    return bytes(out)
