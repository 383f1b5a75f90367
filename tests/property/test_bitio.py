from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.coding.bitio import MAX_WIDTH, BitReader, BitWriter, ByteReader, varint
from noisebook.errors import ConfigError, CorruptStream, TruncatedStream


@st.composite
def sized_values(draw: st.DrawFn, max_width: int) -> list[tuple[int, int]]:
    widths = draw(st.lists(st.integers(0, max_width), max_size=40))
    return [(draw(st.integers(0, 2**width - 1)), width) for width in widths]


def packed(values: list[int], width: int) -> bytes:
    writer = BitWriter()
    writer.write_array(np.array(values), width)
    return writer.getvalue()


def as_bits(items: list[tuple[int, int]]) -> str:
    return "".join(f"{value:0{width}b}" for value, width in items if width)


def as_bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


@given(st.integers(0, MAX_WIDTH), st.integers(0, 50), st.randoms(use_true_random=False))
def test_an_array_is_written_most_significant_bit_first(width: int, count: int, random) -> None:
    values = [random.randrange(2**width) for _ in range(count)]
    data = packed(values, width)
    assert data == as_bytes(as_bits([(value, width) for value in values]))
    reader = BitReader(data)
    assert reader.read_array(count, width).tolist() == values
    reader.finish()


@given(sized_values(max_width=3000))
def test_writer_takes_integers_of_any_size(items: list[tuple[int, int]]) -> None:
    writer = BitWriter()
    for value, width in items:
        writer.write(value, width)
    assert writer.bit_count == sum(width for _, width in items)
    assert writer.getvalue() == as_bytes(as_bits(items))
    reader = BitReader(writer.getvalue())
    assert [reader.read(width) for _, width in items] == [value for value, _ in items]
    reader.finish()


def test_single_integers_and_arrays_share_one_stream() -> None:
    writer = BitWriter()
    writer.write(1, 3)
    writer.write_array(np.array([5, 0, 7]), 3)
    writer.write(2**100 - 1, 100)
    assert (writer.bit_count, writer.getvalue()[:2]) == (112, bytes([0b001_101_00, 0b0_111_1111]))
    reader = BitReader(writer.getvalue())
    assert reader.read(3) == 1
    assert reader.read_array(3, 3).tolist() == [5, 0, 7]
    assert reader.read(100) == 2**100 - 1
    assert reader.bits_left == 0


def test_nothing_is_no_bytes() -> None:
    assert packed([], 7) == BitWriter().getvalue() == b""
    assert BitReader(b"").read_array(0, 7).shape == (0,)


def test_the_widest_values_survive() -> None:
    values = [2**62 - 1] * 5 + [2**61, 0]
    assert BitReader(packed(values, 62)).read_array(7, 62).tolist() == values


@pytest.mark.parametrize(
    ("values", "width"),
    [([8], 3), ([-1], 8), ([1], 0), ([0], 63), ([0], -1), ([[1]], 1), ([1.0], 1), ([2**64 - 1], 62)],
)
def test_an_array_that_does_not_fit_is_refused(values: list, width: int) -> None:
    with pytest.raises(ConfigError):
        packed(values, width)


@pytest.mark.parametrize(("value", "width"), [(1, 0), (8, 3), (-1, 3), (0, -1), (2**100, 100)])
def test_write_refuses_what_does_not_fit(value: int, width: int) -> None:
    with pytest.raises(ConfigError):
        BitWriter().write(value, width)


def test_reading_past_the_end_is_a_truncated_stream() -> None:
    reader = BitReader(b"\xff")
    assert reader.read(5) == 31
    for attempt in (
        lambda: reader.read(4),
        lambda: reader.read_array(2, 2),
        lambda: reader.read_array(2**60, 60),
    ):
        with pytest.raises(TruncatedStream):
            attempt()
    assert reader.read(3) == 7, "a failed read must not move the reader"


@pytest.mark.parametrize("data", [b"\xa1", b"\xa0\x00"])
def test_only_zero_filling_may_follow(data: bytes) -> None:
    for payload in (b"\xa0", data):
        reader = BitReader(payload)
        assert reader.read_array(3, 1).tolist() == [1, 0, 1]
        if payload == data:
            with pytest.raises(CorruptStream):
                reader.finish()
        else:
            reader.finish()


@given(st.integers(0, 2**49 - 1))
def test_varint_round_trip_is_minimal(value: int) -> None:
    data = varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    assert ByteReader(data).varint() == value


def test_varint_bytes() -> None:
    assert [varint(value).hex() for value in (0, 127, 128, 300, 160_000)] == [
        "00",
        "7f",
        "8001",
        "ac02",
        "80e209",
    ]
    for value in (-1, 2**49):
        with pytest.raises(ConfigError):
            varint(value)
