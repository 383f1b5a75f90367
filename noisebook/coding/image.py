"""The bytes of a stereo image: level and coherence indices of bands and frames (`docs/format.md`, section 6.2).

One message of adaptive symbols (`noisebook.coding.entropy`). The first frame codes each band by its difference to the
band below; every other frame whether anything changes, and if so each value by its difference to the frame before.
Counts start as the tables below say and grow with what was coded, in integers, on both sides alike.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from noisebook.coding.entropy import SymbolReader, SymbolWriter
from noisebook.errors import ConfigError, CorruptStream

__all__ = ["HIGHEST_LEVEL", "LOWEST_COHERENCE", "image_bytes", "parse_image"]

HIGHEST_LEVEL, LOWEST_COHERENCE = 11, 10  # levels are -11 .. 11, coherences 0 .. 10
_LOWEST, _HIGHEST = (-HIGHEST_LEVEL, 0), (HIGHEST_LEVEL, LOWEST_COHERENCE)
_STEP, _MOST = 24, 1024  # what a symbol adds to its count; the sum of a table at which all counts are halved
_LOOK_BACK = 4  # values of the same frame, the last ones coded, whose changes foretell another


def image_bytes(level: np.ndarray, coherence: np.ndarray) -> bytes:
    """The message of indices `[bands, frames]`; empty where all are 0.

    Raises:
        ConfigError: arrays of other shapes, without values, or with values out of range.
    """
    if level.ndim != 2 or level.shape != coherence.shape or not level.size:
        raise ConfigError(f"levels {level.shape} and coherences {coherence.shape}: give both as [bands, frames]")
    values = np.stack([level, coherence])
    for kind in range(2):
        if values[kind].min() < _LOWEST[kind] or values[kind].max() > _HIGHEST[kind]:
            raise ConfigError(f"image indices outside {_LOWEST[kind]} to {_HIGHEST[kind]}")
    if not values.any():
        return b""
    coding = _Coding()
    _walk(coding, values)
    return coding.writer.getvalue()


def parse_image(data: bytes, bands: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Level and coherence `[bands, frames]` int8 from `image_bytes`.

    Time follows bands times frames, 10 us each at most, whatever the bytes are: bound the frames first.

    Raises:
        CorruptStream: bytes that `image_bytes` does not write.
    """
    values = np.zeros((2, bands, frames), np.int8)
    if data:
        coding = _Coding(data)
        _walk(coding, values)
        coding.finish()
        if not values.any():
            raise CorruptStream("the stereo image says at length that all is equal: damaged payload")
    return values[0], values[1]


class _Table:
    """Counts that follow what was coded."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.counts, self.total = list(counts), sum(counts)

    def add(self, symbol: int) -> None:
        self.counts[symbol] += _STEP
        self.total += _STEP
        if self.total > _MOST:
            self.counts = [(count + 1) // 2 for count in self.counts]
            self.total = sum(self.counts)


class _Coding:
    """Codes one symbol after the other: a writer takes them, a reader of `data` pays no heed to them and finds them."""

    def __init__(self, data: bytes | None = None) -> None:
        self.writer, self.reader = SymbolWriter(), None if data is None else SymbolReader(data)

    def __call__(self, table: _Table, symbol: int) -> int:
        if self.reader is None:
            self.writer.write_one(symbol, table.counts, table.total)
        else:
            symbol = self.reader.read_one(table.counts, table.total)
        table.add(symbol)
        return symbol

    def finish(self) -> None:
        """CorruptStream unless what was read is spelled as a writer spells it."""
        if self.reader is not None:
            self.reader.finish()


class _Tables:
    """All tables of a message. Flags: (0 as foretold, 1 changed). Differences: by size and then by sign."""

    def __init__(self) -> None:
        self.frame = [_Table((24, 24)) for _ in range(2)]
        # By frame (first or not), kind, changes looked back on, and whether the band's level changed.
        contexts = product((0, 1), (0, 1), (0, 1, 2), (0, 1))
        self.flags = {key: _Table((40 - 12 * key[2], 12 + 12 * key[2])) for key in contexts}
        self.differences: dict[tuple[int, int], _Table] = {}
        for kind in (0, 1):  # counts of 1, -1, 2, -2, ... as foretold and against it
            sizes = range(1, _HIGHEST[kind] - _LOWEST[kind] + 1)
            falling = tuple(max(1, share // size**2) for size in sizes for share in (96, 48))
            self.differences |= {(first, kind): _Table(falling) for first in (0, 1)}


def _walk(code: _Coding, values: np.ndarray) -> None:
    """Code `[2, bands, frames]`: what a reader finds is written into it.

    Raises:
        CorruptStream: a value out of range, or a frame that is said to change and does not.
    """
    tables, changed = _Tables(), 1
    _, bands, frames = values.shape
    last = [[0] * bands, [0] * bands]
    for frame in range(frames):
        now = values[:, :, frame].tolist()
        if frame:
            changed = code(tables.frame[changed], int(now != last))
            if changed:
                _walk_frame(code, tables, now, last)
                if now == last:
                    raise CorruptStream("a frame of the stereo image changes nothing: damaged payload")
            else:
                now = last
        else:
            _walk_frame(code, tables, now, None)
        values[:, :, frame] = now
        last = now


def _walk_frame(code: _Coding, tables: _Tables, now: list[list[int]], last: list[list[int]] | None) -> None:
    """One frame `[2][bands]`, coded by the frame before, or band by band if there is none."""
    changes = [0] * _LOOK_BACK
    direction = [0, 0]  # in which the last change of each kind went
    for band in range(len(now[0])):
        level_changed = 0
        for kind in range(2):
            foretold = last[kind][band] if last else now[kind][band - 1] if band else 0
            context = (int(last is None), kind, min(2, sum(changes[-_LOOK_BACK:])), level_changed)
            flag = code(tables.flags[context], int(now[kind][band] != foretold))
            changes.append(flag)
            if not flag:
                now[kind][band] = foretold
                continue
            up = direction[kind] or (1 if foretold <= 0 else -1)
            # A difference that is not 0, of which the sign is foretold: its size, then whether it goes the other way.
            difference = now[kind][band] - foretold
            wanted = 2 * (abs(difference) - 1) + int(difference * up < 0)
            symbol = code(tables.differences[context[:2]], wanted)
            found = (symbol // 2 + 1) * (-up if symbol % 2 else up)
            if not _LOWEST[kind] <= foretold + found <= _HIGHEST[kind]:
                raise CorruptStream("a value of the stereo image is out of range: damaged payload")
            now[kind][band] = foretold + found
            direction[kind] = 1 if found > 0 else -1
            level_changed = int(kind == 0)
