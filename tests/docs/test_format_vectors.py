"""The test vectors of docs/format.md, read from the page."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from fuzz.toy import INFO as TOY
from noisebook.audio.image import COHERENCES, LEVELS, StereoImage, image_bands, image_frames
from noisebook.codec.stereo import image_bytes, parse_image
from noisebook.codec.stream import by_segment, by_step
from noisebook.codec.timeline import Layout
from noisebook.coding.bitio import BitReader
from noisebook.coding.container import (
    SAMPLE_RATES,
    ChannelMode,
    CodingParams,
    Header,
    LatentCode,
    LatentRule,
    pack,
    parse_header,
    sized,
    sized_payloads,
    split,
    unsized,
)
from noisebook.coding.entropy import SymbolReader
from noisebook.rng import Purpose, gaussian, packed_signs, permutation, unpacked_signs, words

MODEL = replace(TOY, latent_channels=8, latent_bins=16)  # with the numbers that the page has in brackets
PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")


def section(number: str) -> str:
    """The text from the heading with this number to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(number)}\.? .*?\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"format.md has no section {number}"
    return found[1]


def stream(number: str) -> bytes:
    """The last line of bytes in that section, which is the only one but in 8.5."""
    lines = re.findall(r"^    ([0-9a-f ]+)$", section(number), re.MULTILINE)
    assert len(lines) == 1 + (number == "8.5")
    return bytes.fromhex(lines[-1])


def test_words() -> None:
    lines = re.findall(r"^ {8}([0-9a-f ]+)$", section("8.1"), re.MULTILINE)
    names = [(0, 1, 0, 0), (7, 3, 2, 40), (2**64 - 1,) * 4]
    drawn = [words(6, seed=a, purpose=b, segment=c, step=d).tolist() for a, b, c, d in names]
    assert [[int(word, 16) for word in line.split()] for line in lines] == drawn


def test_signs_permutation_and_gaussian_numbers() -> None:
    flips, order, numbers = re.findall(r"^ {8}(\S.*)$", section("8.2"), re.MULTILINE)
    drawn = unpacked_signs(packed_signs(words(1, seed=7, purpose=Purpose.SIGNS, segment=2, step=40)))[:16]
    assert flips.split() == ["-" if sign < 0 else "+" for sign in drawn]
    assert [int(index) for index in order.split()] == permutation(8, seed=0, purpose=Purpose.PERMUTATION).tolist()
    expected = np.array(numbers.split(), dtype=np.float32)
    np.testing.assert_allclose(gaussian(6, seed=0, purpose=Purpose.START), expected, rtol=2e-7)


def unpacked(payload: bytes, width: int, count: int) -> list[int]:
    reader = BitReader(payload)
    values = reader.read_array(count, width).tolist()
    reader.finish()
    return values


def test_the_stream_with_a_preset() -> None:
    data = stream("8.3")
    header, size = parse_header(data)
    assert header == Header(b"\x5a\x17", 3, 44100, ChannelMode.MONO, 441_000, -6)
    (payload,) = split(data, size, [4])
    assert unpacked(payload, 9 + 1, 3) == [2 * 300, 2 * 7 + 1, 2 * 511 + 1]
    assert pack(header, [payload]) == data


def test_the_stream_with_an_engine_block() -> None:
    data = stream("8.4")
    header, size = parse_header(data)
    params = CodingParams(10, 14, 256, 1, 120)
    assert header == Header(b"\x5a\x17", 0, 44000, ChannelMode.MONO, 5, 0, 9, 2, params)
    layout = Layout.of_header(header, MODEL)
    assert list(layout.payload_sizes()) == [2]
    (payload,) = split(data, size, [2])
    assert unpacked(payload, 14 + 1, 1) == [2 * 16383 + 1]
    assert pack(header, [payload]) == data


def test_the_symbols() -> None:
    symbols, counts = [3, 3, 2, 4, 0, 3, 1, 3, 3, 3, 2], [5, 1, 900, 2**31, 94]
    message = re.findall(r"^    ([0-9a-f ]+)$", section("8.5"), re.MULTILINE)[0]
    reader = SymbolReader(bytes.fromhex(message))
    assert reader.read(len(symbols), counts).tolist() == symbols
    reader.finish()


def test_the_stream_with_a_latent_block() -> None:
    data = stream("8.5")
    header, size = parse_header(data)
    latent = LatentCode(LatentRule.HARD, b"\xca\xae\x3a\xf7")
    assert header == Header(b"\x5a\x17", 0, 44100, ChannelMode.DUAL, 12_000, -6, latent=latent)
    (payload,) = split(data, size, sized_payloads(data, size, 1))
    reader = SymbolReader(unsized(payload))
    assert reader.read(14, [70, 1, 9, 400, 20, 3]).tolist() == [0, 3, 3, 4, 1, 5, 5, 1, 4, 3, 3, 0, 3, 3]
    reader.finish()
    assert pack(header, [payload]) == data


def test_the_progressive_stream() -> None:
    data = stream("8.6")
    header, size = parse_header(data)
    params = CodingParams(15, 2, 2048, 2, 0)
    assert header == Header(b"\x5a\x17", 0, 8000, ChannelMode.MONO, 600_000, params=params, progressive=True)
    layout = Layout.of_header(header, MODEL)
    payloads = split(data, size, layout.payload_sizes())
    segments = by_segment(payloads, layout)
    choices = [unpacked(each, 3, 2 * parts) for each, parts in zip(segments, (7, 2), strict=True)]
    assert choices == [[5, 2, 0, 7, 1, 4, 3, 0, 1, 2, 3, 4, 5, 6], [6, 1, 7, 0]]
    assert pack(header, by_step(segments, layout)) == data


def test_the_fields_of_the_streams_are_where_the_tables_say() -> None:
    for number in ("8.3", "8.4", "8.6"):
        data = stream(number)
        rows = re.findall(r"^\| (\d+) \| `([0-9a-f ]+)`", section(number), re.MULTILINE)
        assert len(rows) >= 6
        for offset, field in rows:
            assert data[int(offset) :].startswith(bytes.fromhex(field)), f"{number}: offset {offset}"


def test_tables_of_wire_ids() -> None:
    rates = re.search(r"^\| Hz \|(.*)\|$", section("2.1"), re.MULTILINE)
    assert rates
    assert tuple(int(rate) for rate in rates[1].split("|")) == SAMPLE_RATES
    purposes = re.findall(r"^\| ([A-Z]+) \| (\d+) \|", section("4.1"), re.MULTILINE)
    assert [(name, int(value)) for name, value in purposes] == [(purpose.name, purpose) for purpose in Purpose]


def test_a_stream_with_pauses() -> None:
    data = stream("8.7")
    header, size = parse_header(data)
    pauses = ((0, 3), (12, 13), (32, 64))
    assert header == Header(b"\x5a\x17", 4, 44_100, ChannelMode.DUAL, 441_000, -6, pauses=pauses)
    (payload,) = split(data, size, [6])
    assert unpacked(payload, 16, 3) == [600, 15, 1023]
    assert pack(header, [payload]) == data


def test_a_stream_with_an_image() -> None:
    data = stream("8.8")
    header, size = parse_header(data)
    assert header == Header(b"\x5a\x17", 4, 44_100, ChannelMode.IMAGE, 13_230, -6)
    layout, info = Layout.of_header(header, MODEL), MODEL
    assert list(layout.payload_sizes()) == [22]
    image, *choices = split(data, size, chain(sized_payloads(data, size, 1), layout.payload_sizes()), image=True)
    message = unsized(image)
    assert choices == [bytes(range(1, 23))]
    assert (image_bands(info.sample_rate), image_frames(layout.sample_count, info.sample_rate)) == (31, 2)
    half = 31 // 2
    level, coherence = parse_image(message, 31, 2)
    assert level.T.tolist() == [[3] * half + [-11] * (31 - half), [5] + [3] * (half - 1) + [-11] * (31 - half)]
    assert coherence.T.tolist() == [[0, 0, 4, 4, 4, 4] + [0] * (31 - 6)] * 2
    assert image_bytes(level, coherence) == message
    assert pack(header, [sized(message), *choices]) == data


def test_a_stream_with_equal_channels() -> None:
    header, size = parse_header(stream("8.9"))
    assert header == Header(b"\x5a\x17", 3, 44100, ChannelMode.EQUAL, 441_000, -6)
    assert pack(header, split(stream("8.9"), size, [4])) == stream("8.9")


def test_tables_of_the_image() -> None:
    text = section("5.10")
    decibels, correlations = (re.search(rf"^\| {name} \|(.*)\|$", text, re.MULTILINE) for name in ("dB", "correlation"))
    assert decibels
    assert correlations
    shown = [float(cell.replace("all", "inf")) for cell in decibels[1].split("|")]
    levels = np.arange(LEVELS + 1, dtype=np.int8)[None]
    assert shown == StereoImage(levels, np.zeros_like(levels)).level_db[0].tolist()
    assert [float(cell) for cell in correlations[1].split("|")] == COHERENCES.tolist()
