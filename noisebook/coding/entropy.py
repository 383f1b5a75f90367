"""Symbols to bytes at the cost that their counts promise: a range coder in integers (`docs/format.md`, section 6.1).

A message is a subinterval of [0, 1): every symbol takes the part of the interval that is its share of the counts
(Martin, "Range encoding", 1979). The payload is the shortest number within the last interval, so the whole message
costs its ideal `sum log2(total / count)` and at most one byte more, however many tables it goes through.

    symbols, counts --SymbolWriter--> bytes --SymbolReader--> symbols

Tables are counts, used as they are, and all arithmetic is of integers: every machine computes the same bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from noisebook.errors import ConfigError, CorruptStream

MAX_TOTAL = 2**32  # of a table's counts: an interval keeps 24 bits more, so that rounding costs nothing that counts
_BYTES = 8  # of the window in which the interval lies
_ONE, _LEAST = 1 << 8 * _BYTES, 1 << 8 * (_BYTES - 1)  # an interval of at most _LEAST moves a byte out of the window


class SymbolWriter:
    """Collects symbols; `getvalue` ends the message."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._low, self._span = 0, _ONE

    def write(self, symbols: Sequence[int] | NDArray[np.integer], counts: Sequence[int]) -> None:
        """`[n]` symbols, integers from 0, of which symbol i has the share `counts[i] / sum(counts)`.

        Raises:
            ConfigError: a symbol outside its table, a count below 1, or counts that sum to more than `MAX_TOTAL`.
        """
        starts = _starts(counts)
        values: list[int] = np.asarray(symbols, dtype=np.int64).tolist()
        if values and not 0 <= min(values) <= max(values) < len(counts):
            raise ConfigError(f"symbols from {min(values)} to {max(values)}: the table has 0 to {len(counts) - 1}")
        for symbol in values:
            self._narrow(starts[symbol], counts[symbol], starts[-1])

    def write_one(self, symbol: int, counts: list[int], total: int) -> None:
        """As `write`, of one symbol, with nothing checked: for tables that change with every symbol.

        Args:
            symbol: from 0, below `len(counts)`.
            counts: each at least 1.
            total: their sum, at most `MAX_TOTAL`.
        """
        self._narrow(sum(counts[:symbol]), counts[symbol], total)

    def getvalue(self) -> bytes:
        """The shortest bytes whose value, read on with zeros, lies in the interval; of equally short ones the least."""
        out, low = bytearray(self._out), self._low
        for kept in range(_BYTES + 1):
            unit = _ONE >> 8 * kept
            value = -(-low // unit) * unit
            if value < low + self._span:
                break
        if value >= _ONE:
            _carry(out)
        out += (value & _ONE - 1).to_bytes(_BYTES, "big")[:kept]
        return bytes(out).rstrip(b"\0")

    def _narrow(self, start: int, count: int, total: int) -> None:
        """Go on within the share of a symbol, and move bytes that are settled out of the window."""
        share = self._span // total
        self._low += share * start
        self._span = share * count
        while self._span <= _LEAST:
            if self._low >= _ONE:
                _carry(self._out)
            self._out.append(self._low >> 8 * (_BYTES - 1) & 0xFF)
            self._low = (self._low & _LEAST - 1) << 8
            self._span <<= 8


class SymbolReader:
    """Reads the symbols of a `SymbolWriter`, with the same tables in the same order.

    What reads raises `CorruptStream` where what follows is no symbol of the table.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._following = iter(data[_BYTES:])
        self._code = int.from_bytes(data[:_BYTES].ljust(_BYTES, b"\0"), "big")  # above the interval's low end
        self._span = _ONE
        self._again = SymbolWriter()

    def read(self, number: int, counts: Sequence[int]) -> NDArray[np.int64]:
        """The next `[number]` symbols; time and memory follow the number, not the bytes, so bound it first.

        Raises:
            ConfigError: as `SymbolWriter.write`.
        """
        starts = _starts(counts)
        symbols = []
        for _ in range(number):
            symbol = bisect_right(starts, self._place(starts[-1])) - 1
            self._narrow(starts[symbol], counts[symbol], starts[-1])
            symbols.append(symbol)
        return np.array(symbols, dtype=np.int64)

    def read_one(self, counts: list[int], total: int) -> int:
        """As `read`, of one symbol, with no table checked; see `SymbolWriter.write_one`."""
        rest, symbol = self._place(total), 0
        while rest >= counts[symbol]:
            rest -= counts[symbol]
            symbol += 1
        self._narrow(sum(counts[:symbol]), counts[symbol], total)
        return symbol

    def finish(self) -> None:
        """Checks that the bytes are the message of the symbols read, and nothing else.

        Raises:
            CorruptStream: an encoder writes these symbols in another way.
        """
        if self._again.getvalue() != self._data:
            raise CorruptStream("the entropy-coded symbols have another spelling than an encoder's: damaged payload")

    def _place(self, total: int) -> int:
        """Where the code lies among the counts of a table, from 0 to below their total."""
        place = self._code // (self._span // total)
        if place >= total:
            raise CorruptStream("the entropy-coded symbols are not what an encoder writes: damaged payload")
        return place

    def _narrow(self, start: int, count: int, total: int) -> None:
        share = self._span // total
        self._code -= share * start
        self._span = share * count
        while self._span <= _LEAST:
            self._code = self._code << 8 | next(self._following, 0)  # what is left out of a message are zeros
            self._span <<= 8
        self._again._narrow(start, count, total)


def _starts(counts: Sequence[int]) -> list[int]:
    """Where each symbol's share begins, and the total after the last."""
    if not counts or min(counts) < 1:
        raise ConfigError("a table has at least one symbol, and every count is at least 1")
    starts = [0, *accumulate(counts)]
    if starts[-1] > MAX_TOTAL:
        raise ConfigError(f"the counts of a table sum to {starts[-1]}: at most {MAX_TOTAL} is possible")
    return starts


def _carry(out: bytearray) -> None:
    place = len(out) - 1
    while out[place] == 0xFF:
        out[place] = 0
        place -= 1
    out[place] += 1
