from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from noisebook.coding.container import (
    ChannelMode,
    CodingParams,
    Header,
    pack,
    parse_header,
    sized_payloads,
    split,
)
from noisebook.errors import CorruptStream, NotAStream, StreamError, TruncatedStream, UnsupportedStream

PAYLOADS = (b"\x01\x02\x03", b"", b"\xff\x00")
SIZES = tuple(map(len, PAYLOADS))
PARAMS = CodingParams(9, 14, 256, 50, 120)
HEADERS = (
    Header(b"\x12\x34", 3, 44100, ChannelMode.IMAGE, 160_000, -7),
    Header(b"\xff\xff", 0, 44_000, ChannelMode.MONO, 2**48, 127, 255, 0, PARAMS),
    Header(b"\x12\x34", 4, 44_100, ChannelMode.IMAGE, 10**7, 0, 3, 1, pauses=((0, 3), (7, 400), (401, 402))),
)
STREAMS = tuple(pack(header, PAYLOADS) for header in HEADERS)


def read(data: bytes, sizes: tuple[int, ...] = SIZES) -> tuple[bytes, ...]:
    return split(data, parse_header(data)[1], sizes)


def with_byte(offset: int, value: int) -> bytes:
    return STREAMS[0][:offset] + bytes([value]) + STREAMS[0][offset + 1 :]


@pytest.mark.parametrize("stream", STREAMS)
def test_every_proper_prefix_is_truncated(stream: bytes) -> None:
    assert read(stream) == PAYLOADS
    for size in range(len(stream)):
        with pytest.raises(TruncatedStream):
            read(stream[:size])


@pytest.mark.parametrize(("header", "stream"), list(zip(HEADERS, STREAMS, strict=True)))
def test_every_flipped_bit_is_found(header: Header, stream: bytes) -> None:
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            parsed, size = parse_header(bytes(damaged))
        except StreamError:
            continue
        in_header = bit // 8 < parse_header(stream)[1]
        assert (parsed != header) == in_header, f"bit {bit} is read but means nothing"
        with pytest.raises(StreamError):
            split(bytes(damaged), size, SIZES)


@given(st.binary(max_size=40), st.sampled_from([b"", b"\xdd", b"\xdd\xc3", STREAMS[0][:6], STREAMS[1][:14]]))
@example(b"", b"")
def test_random_bytes_raise_nothing_but_stream_errors(tail: bytes, start: bytes) -> None:
    data = start + tail
    try:
        header, size = parse_header(data)
    except StreamError:
        return
    assert pack(header, [b""])[:size] == data[:size], "an accepted header has this spelling only"
    with pytest.raises(StreamError):
        split(data, size, [len(data)])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", TruncatedStream),
        (b"RIFF", NotAStream),
        (b"\xdd\xd1" + STREAMS[0][2:], NotAStream),
        (with_byte(1, 0xC4), UnsupportedStream),
        (with_byte(1, 0xC2), UnsupportedStream),
        (with_byte(1, 0xC1), UnsupportedStream),
        (with_byte(5, 0x2E), CorruptStream),  # sample-rate code 14, then flags 0
    ],
)
def test_errors_have_their_names(data: bytes, error: type[StreamError]) -> None:
    with pytest.raises(error):
        parse_header(data)


@pytest.mark.parametrize(
    "tail",
    [
        "07 8000 00",  # sample count 0 in two bytes
        "07 ffffffffffffff7f 00",  # varint of eight bytes
        "07 81808080808040 00",  # sample count 2**48 + 1
        "47 05 00 00",  # seed byte 0
        "0f 05 00 c4d802",  # 44100 Hz spelled out
        "0f 05 00 00",  # 0 Hz
        "0f 05 00 81f02e",  # 768001 Hz
    ],
)
def test_spellings_and_ranges_that_no_encoder_writes_are_corrupt(tail: str) -> None:
    with pytest.raises(CorruptStream):
        parse_header(bytes.fromhex("ddc3 1234 01" + tail) + bytes(20))


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ("03 09 40 28 64", CorruptStream),  # parts of 8
        ("20 09 40 28 64", CorruptStream),  # parts of 2**32
        ("09 00 40 28 64", CorruptStream),  # one atom
        ("09 10 40 28 64", CorruptStream),  # 128 atoms a value
        ("09 09 00 28 64", CorruptStream),  # no frames
        ("09 09 8110 28 64", CorruptStream),  # 2049 frames
        ("09 09 40 00 64", CorruptStream),  # no steps
        ("09 09 40 e907 64", CorruptStream),  # 1001 steps
        ("09 09 40 28", TruncatedStream),
    ],
)
def test_engine_blocks_out_of_range(params: str, error: type[StreamError]) -> None:
    start = "ddc3 1234 00 07 05 00"
    assert parse_header(bytes.fromhex(start + "09 09 40 28 64"))[1] == 13
    with pytest.raises(error):
        parse_header(bytes.fromhex(start + params))


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("10 aabbccdd", UnsupportedStream),  # rule 0
        ("13 aabbccdd", UnsupportedStream),  # rule 3
        ("31 aabbccdd", UnsupportedStream),  # reserved bit 5
        ("51 aabbccdd", UnsupportedStream),  # reserved bit 6
        ("11 aabbcc", TruncatedStream),
    ],
)
def test_latent_blocks_out_of_range(block: str, error: type[StreamError]) -> None:
    start = "ddc3 1234 00 07 05 00"
    assert parse_header(bytes.fromhex(start + "12 aabbccdd"))[1] == 13
    with pytest.raises(error):
        parse_header(bytes.fromhex(start + block))


def test_payloads_with_endless_sizes_or_segments_end_with_the_bytes() -> None:
    head, header_size = STREAMS[1], parse_header(STREAMS[1])[1]
    for size in ("ffffffffffff3f", "80", "8000"):
        data = head[:header_size] + bytes.fromhex(size)
        with pytest.raises((TruncatedStream, CorruptStream)):
            split(data, header_size, sized_payloads(data, header_size, 2**48))
    data = head[:header_size] + bytes(30)
    with pytest.raises(TruncatedStream):
        split(data, header_size, sized_payloads(data, header_size, 2**48))


def test_bytes_past_the_end_are_corrupt() -> None:
    with pytest.raises(CorruptStream, match="bytes"):
        read(STREAMS[0] + b"\x00")


def test_a_stream_without_segments_is_corrupt() -> None:
    with pytest.raises(CorruptStream):
        split(STREAMS[0][:9], 9, ())


def test_a_wrong_crc_names_its_segment() -> None:
    damaged = bytearray(STREAMS[0])
    damaged[-3] ^= 1
    with pytest.raises(CorruptStream, match="segment 2"):
        read(bytes(damaged))
    with pytest.raises(CorruptStream, match="step 2"):
        split(bytes(damaged), parse_header(STREAMS[0])[1], SIZES, what="step")


def test_a_quantised_latent_cannot_be_progressive() -> None:
    parse_header(bytes.fromhex("ddc3 1234 00 07 05 00 11 aabbccdd"))
    with pytest.raises(CorruptStream, match="progressive"):
        parse_header(bytes.fromhex("ddc3 1234 80 07 05 00 11 aabbccdd"))


def test_endless_promises_end_with_the_bytes() -> None:
    taken = itertools.count()
    with pytest.raises(TruncatedStream):
        split(STREAMS[1], parse_header(STREAMS[1])[1], (0 * next(taken) for _ in itertools.count()))
    assert next(taken) <= len(STREAMS[1])
    with pytest.raises(TruncatedStream):
        split(STREAMS[1], 9, [2**62])


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ("07 01 00 01", CorruptStream),  # flags without any
        ("1e 01 00 01", CorruptStream),  # a rate's code that announces flags again
        ("97 01 00 01", UnsupportedStream),  # a flag of a later build
        ("17 00", CorruptStream),  # no pauses
        ("17 01 00 00", CorruptStream),  # a pause of no length
        ("17 02 00 01 00 01", CorruptStream),  # two that touch
        ("17 01 00 ff ff ff ff ff ff 7f", CorruptStream),  # beyond any sound
        ("17 01 80 00 01", CorruptStream),  # a varint that is not minimal
        ("17 ff ff ff ff 0f 00 01", TruncatedStream),  # more than there are
    ],
)
def test_bad_stretches(rest: str, error: type[StreamError]) -> None:
    """10 s at 44100 Hz, mono, of preset 4, and what follows the gain."""
    start = bytes.fromhex("dd c3 1234 04 0e a8f51a 00")
    assert parse_header(start + bytes.fromhex("17 01 00 01"))[0].pauses == ((0, 1),)
    with pytest.raises(error):
        parse_header(start + bytes.fromhex(rest))


def test_a_quantised_latent_has_no_pauses() -> None:
    latent = bytes.fromhex("11 aabbccdd")
    assert parse_header(bytes.fromhex("dd c3 1234 00 07 a8f51a 00") + latent)[0].latent
    with pytest.raises(CorruptStream, match="no pauses"):
        parse_header(bytes.fromhex("dd c3 1234 00 0e a8f51a 00 17 01 00 01") + latent)
