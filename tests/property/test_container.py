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
    Codebook,
    Engine,
    Header,
    LatentCode,
    LatentRule,
    Rule,
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
EXPLICIT = Engine(Rule.PARTITIONED, Codebook.STRUCTURED, 9, 9, 1, 64, 40, 100)


@st.composite
def engines(draw: st.DrawFn) -> Engine:
    rule, log2_K = draw(st.sampled_from(Rule)), draw(st.integers(0, 24))
    atoms = {Rule.TOP_M: (1, min(2**log2_K, 4096)), Rule.PURSUIT: (2, 64)}
    return Engine(
        rule=rule,
        codebook=draw(st.sampled_from(Codebook)),
        log2_part=draw(st.integers(4, 15)) if rule == Rule.PARTITIONED else 0,
        log2_K=log2_K,
        M=draw(st.integers(*atoms.get(rule, (1, 1)))),
        unit_frames=draw(st.integers(1, 2048)),
        steps=draw(st.integers(1, 1000)),
        kappa_percent=draw(st.integers(0, 255)),
        level_bits=draw(st.integers(2, 6)) if rule == Rule.PURSUIT else 0,
    )


@st.composite
def latent_codes(draw: st.DrawFn) -> LatentCode:
    strength = draw(st.integers(0, 255))
    return LatentCode(
        rule=draw(st.sampled_from(LatentRule)),
        codebook=draw(st.binary(min_size=4, max_size=4)),
        strength=strength,
        steering=draw(st.none() | engines()) if strength else None,
    )


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
    block = None if preset else draw(engines() | latent_codes())
    orderly = block is None or (isinstance(block, Engine) and block.choice_bits > 0)
    return Header(
        fingerprint=draw(st.binary(min_size=2, max_size=2)),
        preset=preset,
        sample_rate=draw(st.sampled_from(SAMPLE_RATES) | st.integers(1, 768_000)),
        channel_mode=draw(st.sampled_from(ChannelMode)),
        sample_count=draw(st.integers(0, 2**48)),
        gain_half_db=draw(st.integers(-128, 127)),
        seed=draw(st.integers(0, 255)),
        tag=draw(st.none() | st.integers(0, 255)),
        engine=block if isinstance(block, Engine) else None,
        latent=block if isinstance(block, LatentCode) else None,
        progressive=draw(st.booleans()) if orderly else False,
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


@given(headers(), st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=9)), min_size=1, max_size=4))
def test_payloads_with_sizes_round_trip(header: Header, payloads: list[tuple[bytes, bytes]]) -> None:
    data = pack(header, [sized(*payload) for payload in payloads])
    sizes = sized_payloads(data, parse_header(data)[1], (len(choices) for _, choices in payloads))
    parts = split(data, parse_header(data)[1], sizes)
    assert [unsized(part)[0] for part in parts] == [codes for codes, _ in payloads]
    assert [unsized(part)[1] for part in parts] == [choices for _, choices in payloads]


@given(headers())
def test_parsed_ids_are_enum_members(header: Header) -> None:
    parsed, _ = parse_header(pack(header, [b""]))
    assert isinstance(parsed.channel_mode, ChannelMode)
    if parsed.engine is not None:
        assert isinstance(parsed.engine.rule, Rule)
        assert isinstance(parsed.engine.codebook, Codebook)
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
    engine = Engine(Rule.TOP_M, Codebook.DENSE, 0, 14, 300, 256, 50, 120)
    header = replace(PLAIN, preset=0, sample_count=5, tag=1, engine=engine)
    assert pack(header, [b""])[:-2] == bytes.fromhex("dd c3 1234 00 87 05 00 01 03 02 00 0e ac02 8002 32 78")


def test_the_engine_block_of_a_pursuit_ends_in_the_bits_of_a_level() -> None:
    engine = Engine(Rule.PURSUIT, Codebook.DENSE, 0, 13, 2, 256, 999, 0, level_bits=3)
    header = replace(PLAIN, preset=0, sample_count=5, engine=engine)
    assert pack(header, [b""])[:-2] == bytes.fromhex("dd c3 1234 00 07 05 00 04 02 00 0d 02 8002 e707 00 03")


def test_the_block_of_a_latent_code() -> None:
    code = LatentCode(LatentRule.HARD, b"\xaa\xbb\xcc\xdd")
    head = "dd c3 1234 00 07 05 00"
    header = replace(PLAIN, preset=0, sample_count=5, latent=code)
    assert pack(header, [b""])[:-2] == bytes.fromhex(head + "11 aabbccdd")
    refined = replace(header, latent=replace(code, rule=LatentRule.SOFT, strength=51))
    assert pack(refined, [b""])[:-2] == bytes.fromhex(head + "52 aabbccdd 33")
    steered = replace(header, latent=replace(code, strength=51, steering=EXPLICIT))
    assert pack(steered, [b""])[:-2] == bytes.fromhex(head + "d1 aabbccdd 33 02 01 09 09 01 40 28 64")


def test_the_first_crc_covers_the_header_and_the_others_their_payload() -> None:
    assert crc_hqx(b"123456789", 0xFFFF) == 0x29B1, "the check value of CRC-16/CCITT-FALSE"
    data = pack(PLAIN, [b"ab", b"cd"])
    assert data[-6:-4] == crc_hqx(data[:-6], 0xFFFF).to_bytes(2, "big")
    assert data[-2:] == crc_hqx(b"cd", 0xFFFF).to_bytes(2, "big")


def test_a_progressive_stream_has_bit_7_of_the_preset_byte() -> None:
    assert pack(replace(PLAIN, progressive=True), [b""])[4] == 0x81
    engine = pack(replace(PLAIN, preset=0, engine=EXPLICIT, progressive=True), [b""])
    assert engine[4] == 0x80
    assert parse_header(engine)[0].engine == EXPLICIT


def test_only_choices_of_noise_are_ordered_by_step() -> None:
    nothing = Engine(Rule.ONE_OF_K, Codebook.DENSE, 0, 0, 1, 8, 1, 0)
    for block in ({"latent": LatentCode(LatentRule.HARD, b"abcd")}, {"engine": nothing}):
        with pytest.raises(ConfigError, match="progressive"):
            replace(PLAIN, preset=0, progressive=True, **block)


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
        {"engine": EXPLICIT},
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
        {"rule": 5},
        {"rule": Rule.PURSUIT, "log2_part": 0, "M": 2},
        {"rule": Rule.PURSUIT, "log2_part": 0, "M": 2, "level_bits": 7},
        {"rule": Rule.PURSUIT, "log2_part": 0, "M": 1, "level_bits": 3},
        {"rule": Rule.PURSUIT, "log2_part": 0, "M": 65, "level_bits": 3},
        {"level_bits": 3},
        {"rule": Rule.ONE_OF_K},
        {"codebook": 0},
        {"log2_part": 3},
        {"log2_part": 16},
        {"log2_K": 25},
        {"M": 2},
        {"rule": Rule.TOP_M, "log2_part": 0, "M": 513},
        {"rule": Rule.TOP_M, "log2_part": 0, "M": 4097, "log2_K": 24},
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


@pytest.mark.parametrize(
    "change",
    [{"rule": 0}, {"rule": 3}, {"codebook": b"abc"}, {"strength": 256}, {"strength": 0, "steering": EXPLICIT}],
)
def test_a_latent_code_out_of_range_cannot_be_made(change: dict) -> None:
    with pytest.raises(ConfigError):
        replace(LatentCode(LatentRule.HARD, b"abcd", 1), **change)


@pytest.mark.parametrize("preset", [0, 1])
def test_a_header_has_one_kind_of_block(preset: int) -> None:
    with pytest.raises(ConfigError, match="one engine or latent code"):
        replace(PLAIN, preset=preset, engine=None if preset else EXPLICIT, latent=LatentCode(LatentRule.HARD, b"abcd"))


def test_a_stream_has_a_segment() -> None:
    with pytest.raises(ConfigError):
        pack(PLAIN, [])
