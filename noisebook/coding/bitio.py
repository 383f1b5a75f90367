"""Integers to bits and bytes and back (`docs/format.md`, section 1).

Payloads are packed bits, most significant first: a writer collects bits, one uint8 each, and packs them once;
a reader unpacks once and walks. Numbers come as single Python integers of any size (ranks of subsets take
thousands of bits) or as int64 arrays of at most 62 bits a value. Headers are bytes and varints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noisebook.errors import ConfigError, CorruptStream, TruncatedStream

__all__ = [
    "MAX_VARINT",
    "MAX_WIDTH",
    "BitReader",
    "BitWriter",
    "ByteReader",
    "Widths",
    "pack",
    "unpack",
    "varint",
]

MAX_WIDTH = 62  # of a value in an array: it and every intermediate result fit int64
MAX_VARINT = 7  # bytes

Widths = int | NDArray[np.integer]  # bits per value: one for all, or one each


def pack(values: NDArray[np.integer], widths: Widths) -> bytes:
    """`[n]` integers as packed bits, filled with zero bits to a whole byte.

    Raises:
        ConfigError: a width outside 0 .. 62, a value that does not fit, or shapes that do not match.
    """
    writer = BitWriter()
    writer.write_array(values, widths)
    return writer.getvalue()


def unpack(data: bytes, widths: Widths, count: int) -> NDArray[np.int64]:
    """The `[count]` int64 values of `pack`; `data` must be exactly those bits and their filling.

    Raises:
        ConfigError: a width outside 0 .. 62, or not `count` widths.
        TruncatedStream: `data` is shorter.
        CorruptStream: `data` is longer, or the filling is not zero.
    """
    reader = BitReader(data)
    values = reader.read_array(count, widths)
    reader.finish()
    return values


class BitWriter:
    """Collects integers; `getvalue` packs what has been written so far."""

    def __init__(self) -> None:
        self._chunks: list[NDArray[np.uint8]] = []
        self.bit_count = 0

    def write(self, value: int, width: int) -> None:
        """One integer of any size, 0 <= value < 2**width.

        Raises:
            ConfigError: the value does not fit.
        """
        if width < 0 or value < 0 or value >> width:
            raise ConfigError(f"{value} does not fit {width} bits: give an integer from 0 to 2**width - 1")
        octets = np.frombuffer(value.to_bytes((width + 7) // 8, "big"), dtype=np.uint8)
        self._append(np.unpackbits(octets)[-width % 8 :])

    def write_array(self, values: NDArray[np.integer], widths: Widths) -> None:
        """`[n]` integers, 0 <= value < 2**width, width 0 .. 62 for all or `[n]` widths.

        Raises:
            ConfigError: a width out of range, a value that does not fit, or shapes that do not match.
        """
        values = np.asarray(values)
        if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
            raise ConfigError(f"values are {values.dtype} {values.shape}: give integers of shape [n]")
        each = _expand(widths, len(values))
        bad = np.flatnonzero(values.astype(np.int64) >> each)  # a negative value leaves -1
        if bad.size:
            raise ConfigError(f"value {values[bad[0]]} at {bad[0]} does not fit {each[bad[0]]} bits")
        self._append(((np.repeat(values.astype(np.int64), each) >> _shifts(each)) & 1).astype(np.uint8))

    def getvalue(self) -> bytes:
        """All bits so far, filled with zero bits to a whole byte."""
        return np.packbits(np.concatenate(self._chunks)).tobytes() if self._chunks else b""

    def _append(self, bits: NDArray[np.uint8]) -> None:
        self._chunks.append(bits)
        self.bit_count += len(bits)


class BitReader:
    """Reads the integers of a `BitWriter` in the order in which they were written."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
        self._position = 0

    @property
    def bits_left(self) -> int:
        """Bits not yet read, the filling of the last byte included."""
        return len(self._bits) - self._position

    def read(self, width: int) -> int:
        """One integer of `width` bits, any width.

        Raises:
            ConfigError: a negative width.
            TruncatedStream: fewer bits are left.
        """
        if width < 0:
            raise ConfigError(f"width is {width}: give an integer >= 0")
        bits = np.concatenate([np.zeros(-width % 8, dtype=np.uint8), self._take(width)])
        return int.from_bytes(np.packbits(bits).tobytes(), "big")

    def read_array(self, count: int, widths: Widths) -> NDArray[np.int64]:
        """`[count]` int64 of 0 .. 62 bits each.

        Raises:
            ConfigError: a width out of range, or not `count` widths.
            TruncatedStream: fewer bits are left; checked before anything of the size of `count` is allocated.
        """
        if isinstance(widths, int):
            self._require(count * widths)
        each = _expand(widths, count)
        ends = np.cumsum(each)
        weighted = self._take(int(ends[-1]) if count else 0).astype(np.int64) << _shifts(each)
        # Differences of running sums: exact even where the sums wrap around, and right for widths of 0.
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(weighted.astype(np.uint64))])
        return (sums[ends] - sums[ends - each]).astype(np.int64)

    def finish(self) -> None:
        """Checks that nothing but zero filling of the last byte is left.

        Raises:
            CorruptStream: a whole byte or more is left, or the filling is not zero.
        """
        if self.bits_left >= 8 or self._bits[self._position :].any():
            raise CorruptStream(f"{self.bits_left} bits follow the last value: only 0 to 7 zero bits may")

    def _require(self, width: int) -> None:
        if width > self.bits_left:
            raise TruncatedStream(f"{width} bits needed, {self.bits_left} left: the payload is cut short")

    def _take(self, width: int) -> NDArray[np.uint8]:
        self._require(width)
        self._position += width
        return self._bits[self._position - width : self._position]


class ByteReader:
    """Walks over the bytes of a header."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def u8(self) -> int:
        """The next byte.

        Raises:
            TruncatedStream: there is none.
        """
        if self.position >= len(self._data):
            raise TruncatedStream(f"the stream ends after {len(self._data)} bytes, within its header or a size")
        self.position += 1
        return self._data[self.position - 1]

    def varint(self) -> int:
        """The next unsigned LEB128 integer.

        Raises:
            TruncatedStream: the bytes end within it.
            CorruptStream: it is longer than it needs to be, or than 7 bytes.
        """
        value, start = 0, self.position
        for shift in range(0, 7 * MAX_VARINT, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise CorruptStream(f"the varint at byte {start} is longer than it needs to be")
                return value
        raise CorruptStream(f"the varint at byte {start} is longer than {MAX_VARINT} bytes")


def varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, least significant first, bit 7 set in all but the last.

    Raises:
        ConfigError: the value is negative or takes more than 7 bytes.
    """
    if not 0 <= value < 2 ** (7 * MAX_VARINT):
        raise ConfigError(f"{value} as a varint: give an integer from 0 to 2**{7 * MAX_VARINT} - 1")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _expand(widths: Widths, count: int) -> NDArray[np.int64]:
    """`[count]` int64 widths, checked."""
    if count < 0:
        raise ConfigError(f"count is {count}: give an integer >= 0")
    each = np.asarray(widths)
    if each.shape not in ((), (count,)) or (each.size and not np.issubdtype(each.dtype, np.integer)):
        raise ConfigError(f"widths are {each.dtype} {each.shape}: give one integer or {count} of them")
    if each.size and not 0 <= each.min() <= each.max() <= MAX_WIDTH:
        raise ConfigError(f"widths from {each.min()} to {each.max()}: give 0 to {MAX_WIDTH}")
    return np.broadcast_to(each.astype(np.int64), (count,))


def _shifts(each: NDArray[np.int64]) -> NDArray[np.int64]:
    """For every bit of every value, most significant first, its power of two: width - 1 down to 0."""
    ends = np.cumsum(each)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(ends, each) - 1 - np.arange(total)
