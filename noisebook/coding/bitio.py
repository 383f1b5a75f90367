"""Integers to bits and bytes and back (`docs/format.md`, section 1).

Payloads are packed bits, most significant first: a writer collects bits, one uint8 each, and packs them once; a reader
unpacks once and walks. Headers are bytes and varints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noisebook.errors import ConfigError, CorruptStream, TruncatedStream

MAX_WIDTH = 62  # bits of a value in an array: it and every intermediate result fit int64
MAX_VARINT = 7  # bytes


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

    def write_array(self, values: NDArray[np.integer], width: int) -> None:
        """`[n]` integers of 0 .. 62 bits each.

        Raises:
            ConfigError: a width out of range, values that are no integers, or one that does not fit.
        """
        values, shifts = np.asarray(values), _shifts(width)
        if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
            raise ConfigError(f"values are {values.dtype} {values.shape}: give integers of shape [n]")
        values = values.astype(np.int64)
        bad = np.flatnonzero(values >> width)  # a negative value leaves -1
        if bad.size:
            raise ConfigError(f"value {values[bad[0]]} at {bad[0]} does not fit {width} bits")
        self._append(((values[:, None] >> shifts) & 1).astype(np.uint8).ravel())

    def getvalue(self) -> bytes:
        """All bits so far, filled with zero bits to a whole byte."""
        return np.packbits(np.concatenate(self._chunks)).tobytes() if self._chunks else b""

    def _append(self, bits: NDArray[np.uint8]) -> None:
        self._chunks.append(bits)
        self.bit_count += len(bits)


class BitReader:
    """Reads the integers of a `BitWriter` in the order in which they were written.

    What reads raises `TruncatedStream` where fewer bits are left, before anything of their number is allocated.
    """

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
        self._position = 0

    @property
    def bits_left(self) -> int:
        """Bits not yet read, the filling of the last byte included."""
        return len(self._bits) - self._position

    def read(self, width: int) -> int:
        """One integer of `width` bits, any width from 0."""
        bits = np.concatenate([np.zeros(-width % 8, dtype=np.uint8), self._take(width)])
        return int.from_bytes(np.packbits(bits).tobytes(), "big")

    def read_array(self, count: int, width: int) -> NDArray[np.int64]:
        """`[count]` int64 of 0 .. 62 bits each.

        Raises:
            ConfigError: a width out of range.
        """
        shifts = _shifts(width)
        return (self._take(count * width).reshape(count, width).astype(np.int64) << shifts).sum(1)

    def finish(self) -> None:
        """Checks that nothing but zero filling of the last byte is left.

        Raises:
            CorruptStream: a whole byte or more is left, or the filling is not zero.
        """
        if self.bits_left >= 8 or self._bits[self._position :].any():
            raise CorruptStream(f"{self.bits_left} bits follow the last value: only 0 to 7 zero bits may")

    def _take(self, width: int) -> NDArray[np.uint8]:
        if width > self.bits_left:
            raise TruncatedStream(f"{width} bits needed, {self.bits_left} left: the payload is cut short")
        self._position += width
        return self._bits[self._position - width : self._position]


class ByteReader:
    """Walks over the bytes of a header."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position

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


def _shifts(width: int) -> NDArray[np.int64]:
    """The power of two of every bit of a value, most significant first."""
    if not 0 <= width <= MAX_WIDTH:
        raise ConfigError(f"a width of {width} bits: give 0 to {MAX_WIDTH}")
    return np.arange(width - 1, -1, -1)
