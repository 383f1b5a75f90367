from __future__ import annotations

from binascii import crc_hqx
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.coding.container import (
    SAMPLE_RATES,
    ChannelMode,
    CodingParams,
    Header,
    LatentCode,
    LatentRule,
    overhead,
    pack,
    parse_header,
    sized,
    sized_payloads,
    split,
    unsized,
    verified,
)
from noisebook.errors import ConfigError

PLAIN = Header(b"\x12\x34", 1, 44100, ChannelMode.MONO, 2**21 - 1)
EXPLICIT = CodingParams(9, 9, 64, 40, 100)


@st.composite
def params(draw: st.DrawFn) -> CodingParams:
    log2_part = draw(st.integers(4, 15))
    return CodingParams(
        log2_part=log2_part,
        log2_K=draw(st.integers(1, log2_part + 6)),
        unit_frames=draw(st.integers(1, 2048)),
        steps=draw(st.integers(1, 1000)),
        kappa_percent=draw(st.integers(0, 255)),
    )


latent_codes = st.builds(LatentCode, st.sampled_from(LatentRule), st.binary(min_size=4, max_size=4))


@st.composite
def stretches(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    lengths, end, found = draw(st.lists(st.tuples(st.integers(1, 2**20), st.integers(1, 2**20)), max_size=6)), 0, []
    for gap, length in lengths:
        found.append((end + gap, end + gap + length))
        end = found[-1][1]
    return tuple(found)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    preset = draw(st.integers(0, 127))
    block = None if preset else draw(params() | latent_codes)
    return Header(
        fingerprint=draw(st.binary(min_size=2, max_size=2)),
        preset=preset,
        sample_rate=draw(st.sampled_from(SAMPLE_RATES) | st.integers(1, 768_000)),
        channel_mode=draw(st.sampled_from(ChannelMode)),
        sample_count=draw(st.integers(0, 2**48)),
        gain_half_db=draw(st.integers(-128, 127)),
        seed=draw(st.integers(0, 255)),
        tag=draw(st.none() | st.integers(0, 255)),
        params=block if isinstance(block, CodingParams) else None,
        latent=block if isinstance(block, LatentCode) else None,
        progressive=False if isinstance(block, LatentCode) else draw(st.booleans()),
        pauses=() if isinstance(block, LatentCode) else draw(stretches()),
    )


@given(headers().filter(lambda header: not header.latent), stretches())
def test_order_and_pauses_are_told_apart(header: Header, silent: tuple[tuple[int, int], ...]) -> None:
    for progressive, pauses in product({False, header.progressive}, ((), silent)):
        changed = replace(header, progressive=progressive, pauses=pauses)
        data = pack(changed, [b""])
        assert parse_header(data) == (changed, len(data) - 2)
        assert data[4] >> 7 == progressive
        assert (data[5] & 15 == 14) == bool(pauses or header.channel_mode is ChannelMode.EQUAL)


@given(headers(), st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_a_stream_round_trips(header: Header, payloads: list[bytes]) -> None:
    data = pack(header, payloads)
    parsed, size = parse_header(data)
    assert parsed == header
    assert split(data, size, (len(payload) for payload in payloads)) == tuple(payloads)
    assert overhead(header, len(payloads)) == len(data) - sum(map(len, payloads))


@given(headers(), st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_payloads_with_sizes_round_trip(header: Header, messages: list[bytes]) -> None:
    data = pack(header, [sized(message) for message in messages])
    size = parse_header(data)[1]
    assert [unsized(part) for part in split(data, size, sized_payloads(data, size, len(messages)))] == messages


@given(headers())
def test_parsed_ids_are_enum_members(header: Header) -> None:
    parsed, _ = parse_header(pack(header, [b""]))
    assert isinstance(parsed.channel_mode, ChannelMode)
    if parsed.latent is not None:
        assert isinstance(parsed.latent.rule, LatentRule)


def test_overhead_of_a_short_preset_stream_is_twelve_bytes() -> None:
    assert overhead(PLAIN, 1) == 12
    assert overhead(replace(PLAIN, sample_count=2**21), 1) == 13
    assert overhead(replace(PLAIN, seed=1, tag=0), 3) == 18
    assert overhead(replace(PLAIN, pauses=((0, 5),)), 1) == 16


def test_every_field_lies_at_its_offset() -> None:
    header = replace(PLAIN, preset=7, channel_mode=ChannelMode.IMAGE, sample_count=300, gain_half_db=-3, seed=9, tag=0)
    head = bytes.fromhex("dd c3 1234 07 e7 ac02 fd 09 00")
    assert pack(header, [b"\x55"])[:-2] == head + b"\x55"
    rate = replace(PLAIN, sample_rate=44_000, sample_count=5)
    assert pack(rate, [b""])[:-2] == bytes.fromhex("dd c3 1234 01 0f 05 00 e0d702")


def test_the_engine_block_follows_everything_else() -> None:
    header = replace(PLAIN, preset=0, sample_count=5, tag=1, params=CodingParams(9, 14, 256, 999, 120))
    assert pack(header, [b""])[:-2] == bytes.fromhex("dd c3 1234 00 87 05 00 01 09 0e 8002 e707 78")


def test_the_block_of_a_latent_code() -> None:
    header = replace(PLAIN, preset=0, sample_count=5, latent=LatentCode(LatentRule.SOFT, b"\xaa\xbb\xcc\xdd"))
    assert pack(header, [b""])[:-2] == bytes.fromhex("dd c3 1234 00 07 05 00 12 aabbccdd")


def test_the_first_crc_covers_the_header_and_the_others_their_payload() -> None:
    assert crc_hqx(b"123456789", 0xFFFF) == 0x29B1, "the check value of CRC-16/CCITT-FALSE"
    data = pack(PLAIN, [b"ab", b"cd"])
    assert data[-6:-4] == crc_hqx(data[:-6], 0xFFFF).to_bytes(2, "big")
    assert data[-2:] == crc_hqx(b"cd", 0xFFFF).to_bytes(2, "big")


def test_a_progressive_stream_has_bit_7_of_the_preset_byte() -> None:
    assert pack(replace(PLAIN, progressive=True), [b""])[4] == 0x81
    params = pack(replace(PLAIN, preset=0, params=EXPLICIT, progressive=True), [b""])
    assert params[4] == 0x80
    assert parse_header(params)[0].params == EXPLICIT


def test_only_choices_of_noise_are_ordered_by_step() -> None:
    with pytest.raises(ConfigError, match="progressive"):
        replace(PLAIN, preset=0, progressive=True, latent=LatentCode(LatentRule.HARD, b"abcd"))


def test_payloads_are_verified_up_to_the_first_that_is_not_whole() -> None:
    payloads = [b"abc", b"", b"de"]
    data, sizes = pack(PLAIN, payloads), [3, 0, 2]
    size, ends = parse_header(data)[1], [5, 7, 11]
    for cut in range(size, len(data) + 1):
        assert verified(data[:cut], size, sizes) == sum(size + end <= cut for end in ends)
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        assert verified(flipped, size, sizes) == sum(size + end <= place for end in ends)


def test_channel_modes_have_one_or_two_channels() -> None:
    assert [mode.channels for mode in ChannelMode] == [1, 2, 2, 2, 2]
    assert [mode.latents for mode in ChannelMode] == [1, 2, 1, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": b"abc"},
        {"preset": 128},
        {"preset": 0},
        {"params": EXPLICIT},
        {"sample_rate": 0},
        {"sample_rate": 768_001},
        {"sample_rate": 44100.0},
        {"channel_mode": 5},
        {"sample_count": -1},
        {"sample_count": 2**48 + 1},
        {"gain_half_db": 128},
        {"gain_half_db": -129},
        {"seed": 256},
        {"tag": -1},
        {"tag": 256},
    ],
)
def test_a_header_out_of_range_cannot_be_made(change: dict) -> None:
    with pytest.raises(ConfigError):
        replace(PLAIN, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"log2_part": 3},
        {"log2_part": 16},
        {"log2_K": 0},
        {"log2_K": 16},
        {"unit_frames": 0},
        {"unit_frames": 2049},
        {"steps": 0},
        {"steps": 1001},
        {"kappa_percent": 256},
    ],
)
def test_an_engine_out_of_range_cannot_be_made(change: dict) -> None:
    with pytest.raises(ConfigError):
        replace(EXPLICIT, **change)


@pytest.mark.parametrize("change", [{"rule": 0}, {"rule": 3}, {"codebook": b"abc"}])
def test_a_latent_code_out_of_range_cannot_be_made(change: dict) -> None:
    with pytest.raises(ConfigError):
        replace(LatentCode(LatentRule.HARD, b"abcd"), **change)


@pytest.mark.parametrize("preset", [0, 1])
def test_a_header_has_one_kind_of_block(preset: int) -> None:
    with pytest.raises(ConfigError, match="coding parameters or a latent code"):
        replace(PLAIN, preset=preset, params=None if preset else EXPLICIT, latent=LatentCode(LatentRule.HARD, b"abcd"))


def test_a_stream_has_a_segment() -> None:
    with pytest.raises(ConfigError):
        pack(PLAIN, [])
