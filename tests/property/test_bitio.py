from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.coding.bitio import MAX_WIDTH, BitReader, BitWriter, ByteReader, pack, unpack, varint
from noisebook.errors import ConfigError, CorruptStream, TruncatedStream


@st.composite
def sized_values(draw: st.DrawFn, max_width: int = MAX_WIDTH) -> list[tuple[int, int]]:
    widths = draw(st.lists(st.integers(0, max_width), max_size=40))
    return [(draw(st.integers(0, 2**width - 1)), width) for width in widths]


def as_bits(items: list[tuple[int, int]]) -> str:
    return "".join(f"{value:0{width}b}" for value, width in items if width)


def as_bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


@given(sized_values())
def test_pack_writes_the_bits_most_significant_first(items: list[tuple[int, int]]) -> None:
    values, widths = (np.array(column, dtype=np.int64) for column in (list(zip(*items, strict=True)) or [[], []]))
    data = pack(values, widths)
    assert data == as_bytes(as_bits(items))
    np.testing.assert_array_equal(unpack(data, widths, len(items)), values)


@given(st.integers(0, MAX_WIDTH), st.integers(0, 50), st.randoms(use_true_random=False))
def test_one_width_for_all_is_that_width_for_each(width: int, count: int, random) -> None:
    values = np.array([random.randrange(2**width) for _ in range(count)], dtype=np.int64)
    data = pack(values, width)
    assert data == pack(values, np.full(count, width))
    np.testing.assert_array_equal(unpack(data, width, count), values)


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
    assert pack(np.array([], dtype=np.int64), 7) == BitWriter().getvalue() == b""
    assert unpack(b"", 7, 0).shape == (0,)


def test_the_widest_values_survive() -> None:
    values = np.array([2**62 - 1] * 5 + [2**61, 0], dtype=np.int64)
    np.testing.assert_array_equal(unpack(pack(values, 62), 62, 7), values)


@pytest.mark.parametrize(
    ("values", "widths"),
    [
        ([8], 3),
        ([-1], 8),
        ([1], 0),
        ([0], 63),
        ([0], -1),
        ([0, 0], [1]),
        ([[1]], 1),
        ([1.0], 1),
        ([2**64 - 1], 62),
    ],
)
def test_pack_refuses_what_does_not_fit(values: list, widths: int | list) -> None:
    with pytest.raises(ConfigError):
        pack(np.array(values), np.array(widths))


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
    assert unpack(b"\xa0", 1, 3).tolist() == [1, 0, 1]
    with pytest.raises(CorruptStream):
        unpack(data, 1, 3)


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
