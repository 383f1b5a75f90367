"""The range coder: exact both ways, at the ideal size, and calm before hostile bytes."""

from __future__ import annotations

from fractions import Fraction
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.coding.entropy import MAX_TOTAL, SymbolReader, SymbolWriter
from noisebook.errors import ConfigError, CorruptStream

Part = tuple[list[int], list[int]]  # symbols, counts


def encode(parts: list[Part]) -> bytes:
    writer = SymbolWriter()
    for symbols, counts in parts:
        writer.write(symbols, counts)
    return writer.getvalue()


def decode(data: bytes, parts: list[Part]) -> list[list[int]]:
    reader = SymbolReader(data)
    found = [reader.read(len(symbols), counts).tolist() for symbols, counts in parts]
    reader.finish()
    return found


def ideal_bits(parts: list[Part]) -> float:
    shares = [(symbols, np.array(counts) / sum(counts)) for symbols, counts in parts]
    return sum(-log2(share[symbol]) for symbols, share in shares for symbol in symbols)


@st.composite
def part(draw: st.DrawFn) -> Part:
    counts = draw(st.lists(st.one_of(st.integers(1, 4), st.integers(1, 2**27)), min_size=1, max_size=20))
    return draw(st.lists(st.integers(0, len(counts) - 1), max_size=40)), counts


@given(st.lists(part(), max_size=4))
def test_a_message_comes_back_and_costs_what_its_counts_say(parts: list[Part]) -> None:
    data = encode(parts)
    assert decode(data, parts) == [symbols for symbols, _ in parts]
    assert 8 * len(data) <= ideal_bits(parts) + 8 + 1e-3


@given(st.lists(part(), max_size=4))
def test_one_symbol_at_a_time_is_the_same_message(parts: list[Part]) -> None:
    writer, data = SymbolWriter(), encode(parts)
    for symbols, counts in parts:
        for symbol in symbols:
            writer.write_one(symbol, counts, sum(counts))
    assert writer.getvalue() == data
    reader = SymbolReader(data)
    for symbols, counts in parts:
        assert [reader.read_one(counts, sum(counts)) for _ in symbols] == symbols
    reader.finish()


@given(st.binary(max_size=30), st.lists(st.integers(1, 2**20), min_size=1, max_size=9), st.integers(0, 30))
def test_hostile_bytes_read_one_by_one_are_symbols_or_corrupt(data: bytes, counts: list[int], number: int) -> None:
    reader = SymbolReader(data)

    def one_by_one() -> list[int]:
        return [reader.read_one(counts, sum(counts)) for _ in range(number)]

    try:
        expected = SymbolReader(data).read(number, counts).tolist()
    except CorruptStream:
        with pytest.raises(CorruptStream):
            one_by_one()
        return
    assert one_by_one() == expected


@given(st.lists(part(), min_size=1, max_size=3))
def test_the_bytes_are_a_number_in_the_exact_interval(parts: list[Part]) -> None:
    """Against arithmetic coding in fractions, which needs no window: rounding only ever shrinks an interval."""
    low, width, rounding = Fraction(0), Fraction(1), Fraction(0)
    for symbols, counts in parts:
        total = sum(counts)
        for symbol in symbols:
            rounding += width / 2**24
            low += width * Fraction(sum(counts[:symbol]), total)
            width *= Fraction(counts[symbol], total)
    data = encode(parts)
    value = Fraction(int.from_bytes(data, "big"), 256 ** len(data))
    assert low - rounding <= value < low + width


@given(st.binary(max_size=40), st.lists(part(), min_size=1, max_size=3))
def test_random_bytes_are_refused_or_the_spelling_of_their_symbols(data: bytes, parts: list[Part]) -> None:
    try:
        found = decode(data, parts)
    except CorruptStream:
        return
    assert encode([(symbols, counts) for symbols, (_, counts) in zip(found, parts, strict=True)]) == data


@given(part(), st.integers(1, 255))
def test_no_byte_may_follow_or_be_zero_at_the_end(one: Part, byte: int) -> None:
    data = encode([one])
    with pytest.raises(CorruptStream):
        decode(data + b"\0", [one])
    try:  # more bytes may spell other symbols, never the same
        found = decode(data + bytes([byte, byte, byte]), [one])
    except CorruptStream:
        return
    assert found != [one[0]]


def test_carries_run_through() -> None:
    """Symbols of the top end of the interval fill the bytes with FF before a carry comes."""
    counts = [1, 254, 1]
    message = [2] * 12 + [1] * 3 + [0] * 5 + [2] * 30
    assert decode(encode([(message, counts)]), [(message, counts)]) == [message]
    for index in range(len(message)):
        changed = [*message[:index], 1, *message[index + 1 :]]
        assert decode(encode([(changed, counts)]), [(changed, counts)]) == [changed]


def test_a_single_index_takes_the_bytes_of_its_bits() -> None:
    sizes = {len(encode([([index], [1] * 1024)])) for index in range(1024)}
    assert max(sizes) == 2
    assert len(encode([([77], [1] * 256)])) == 1
    assert encode([([], [1, 1])]) == encode([([0] * 99, [5])]) == b""


def test_bytes_are_pinned() -> None:
    """A changed value here means that streams written before no longer decode."""
    counts = [5, 1, 900, 2**31, 94]
    message = ([3, 3, 2, 4, 0, 3, 1, 3, 3, 3, 2], counts)
    pinned = ([0, 1, 2, 1, 1023], [1 + index % 7 for index in range(1024)])
    assert encode([message]).hex() == "0000153bfeaec699ead000016f800f19"
    assert encode([message, pinned]).hex() == "0000153bfeaec699ead000016f800f1851bcb25d2fe00a"
    assert encode([pinned]).hex() == "0000010100b76d"


def test_large_messages_stay_within_a_byte_of_the_ideal() -> None:
    generator = np.random.default_rng(0)
    counts = (1 + generator.zipf(1.3, 4096) % 100000).astype(int).tolist()
    symbols = generator.choice(4096, 20000, p=np.array(counts) / sum(counts)).tolist()
    data = encode([(symbols, counts)])
    assert ideal_bits([(symbols, counts)]) <= 8 * len(data) <= ideal_bits([(symbols, counts)]) + 9
    assert decode(data, [(symbols, counts)]) == [symbols]


@pytest.mark.parametrize(
    ("symbols", "counts"), [([2], [1, 1]), ([-1], [1, 1]), ([0], [1, 0]), ([0], []), ([0], [MAX_TOTAL, 1])]
)
def test_what_no_table_can_code_is_refused(symbols: list[int], counts: list[int]) -> None:
    with pytest.raises(ConfigError):
        encode([(symbols, counts)])


@pytest.mark.parametrize("counts", [[], [0, 1], [MAX_TOTAL, 1]])
def test_a_reader_refuses_the_same_tables(counts: list[int]) -> None:
    with pytest.raises(ConfigError):
        SymbolReader(b"abc").read(1, counts)
