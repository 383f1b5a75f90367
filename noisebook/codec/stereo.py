"""The stereo image of a sound within a budget of bits, and its bytes: the first payload of its stream.

sound --audio.image.measure_image--> image --encode_image--> message --image_payload--> payload
message --read_image--> image, by which a decoder spreads its mono (`codec.signal`)

A value costs almost nothing where it stays as it was, so the choice is of when and in which bands it changes. It is
made by dynamic programming: the image of least `error + price * bits`, with the price at which the bits fit the budget.

A message is one of adaptive symbols (`docs/format.md`, section 6.2). The first frame codes each band by its difference
to the band below; every other frame whether anything changes, and if so each value by its difference to the frame
before. Counts start as the tables say and grow with what was coded, in integers, on both sides alike.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import exp, log

import numpy as np

from noisebook.audio.image import COHERENCES, LEVELS, StereoImage, image_shape
from noisebook.codec.timeline import SoundFormat, Timeline
from noisebook.coding import container
from noisebook.coding.entropy import SymbolReader, SymbolWriter
from noisebook.errors import ConfigError, CorruptStream

_FARTHEST_DB = 38.0  # what one side alone counts as
_DB, _COHERENCE = 1.5, 1.2  # errors that weigh the same
_STAY, _CHANGE, _DOUBLE = 0.15, 5.0, 1.5  # about the bits of no change, of one by a step, and of twice as many steps
_ROUNDS, _FILLED = 14, 0.95  # of the search for the price, and how full the budget has to be
_CHEAPEST, _USUAL, _DEAREST = 1e-3, 1.0, 1e3  # prices in errors a bit
_STRETCH = 400  # frames that are chosen together: 64 s
_LOWEST, _HIGHEST = (-LEVELS, 0), (LEVELS, len(COHERENCES) - 1)  # of levels and coherences
_STEP, _MOST = 24, 1024  # what a symbol adds to its count; the sum of a table at which all counts are halved
_LOOK_BACK = 4  # values of the same frame, the last ones coded, whose changes foretell another


def image_payload(image: StereoImage, sound: SoundFormat, bitrate: float) -> bytes:
    """The payload of an image within so many bit/s."""
    return container.sized(encode_image(image, bitrate * sound.sample_count / sound.sample_rate)[0])


def read_image(message: bytes | None, timeline: Timeline) -> StereoImage | None:
    """The image of a message, None for None; time and memory follow the length of the sound, so bound it first.

    Raises:
        CorruptStream: the message is not what an encoder writes.
    """
    if message is None:
        return None
    return StereoImage(*parse_image(message, *image_shape(timeline.sample_count, timeline.info.sample_rate)))


def encode_image(image: StereoImage, bits: float) -> tuple[bytes, StereoImage]:
    """The image in at most so many bits, for the whole sound.

    Returns:
        Its bytes, and the image as the decoder will see it. With too few bits for anything all is equal, but a channel
        that is silent throughout stays so, in the 2 bytes or 3 that this takes.
    """
    exact = image_bytes(image.level, image.coherence)
    if 8 * len(exact) <= bits or (image.level == LEVELS).all() or (image.level == -LEVELS).all():
        return exact, StereoImage(image.level, image.coherence)
    best = b"", StereoImage.equal(image.bands, image.frames)
    finer: StereoImage | None = None
    low, high, price = log(_CHEAPEST), log(_DEAREST), log(_USUAL)
    for turn in range(_ROUNDS):
        tried = _cheapest(image, exp(price))
        data = image_bytes(tried.level, tried.coherence)
        filled = 8 * len(data) / max(bits, 1.0)
        if filled > 1:
            low, finer = price, tried
        else:
            best, high = (data, tried), price
        if _FILLED < filled <= 1:
            return best
        # Bits fall about as the price rises; where they do not, halving what is left ends the search all the same.
        guess = price + log(max(filled, 0.1) / (0.5 + 0.5 * _FILLED))
        price = guess if low < guess < high and turn < _ROUNDS // 2 else (low + high) / 2
    return best if finer is None else _filled_up(best, finer, bits)


def _filled_up(best: tuple[bytes, StereoImage], finer: StereoImage, bits: float) -> tuple[bytes, StereoImage]:
    """The image that fits with as many bands, from the lowest, of the next finer one as fit: prices leave gaps."""
    coarse, fits, too_many = best[1], 0, finer.bands
    while too_many - fits > 1:
        bands = (fits + too_many) // 2
        level, coherence = (
            np.concatenate([fine[:bands], rough[bands:]])
            for fine, rough in ((finer.level, coarse.level), (finer.coherence, coarse.coherence))
        )
        data = image_bytes(level, coherence)
        if 8 * len(data) <= bits:
            best, fits = (data, StereoImage(level, coherence)), bands
        else:
            too_many = bands
    return best


def _cheapest(image: StereoImage, price: float) -> StereoImage:
    """The image of least `errors + price * bits`."""
    weight = np.ones(image.level.shape) if image.weight is None else image.weight / max(image.weight.mean(), 1e-30)
    alone = (np.abs(image.level) == LEVELS).all(0)  # there the other side is silence, if it is so in every band
    weight = np.where(alone, np.maximum(weight, 1), weight)
    chosen = []
    for indices, errors in (
        (image.level.astype(int) + LEVELS, _level_errors()),
        (image.coherence, _coherence_errors()),
    ):
        steps = np.abs(np.arange(len(errors))[:, None] - np.arange(len(errors)))
        bits = np.where(
            steps == 0, _STAY, _CHANGE + _DOUBLE * np.log2(np.maximum(steps, 1))
        )  # [foretold, coded], about
        toll = (price * bits).astype(np.float32)
        values = np.empty(indices.shape, np.int64)
        before: np.ndarray | int = LEVELS if errors is _level_errors() else 0
        for first in range(0, image.frames, _STRETCH):  # a later stretch starts from where the one before ended
            part = slice(first, first + _STRETCH)
            costs = errors[indices[:, part]] * weight[:, part, None]
            values[:, part] = _cheapest_paths(costs.transpose(1, 0, 2).astype(np.float32), toll, before)
            before = values[:, part][:, -1]
        chosen.append(values)
    level, coherence = chosen
    return StereoImage((level - LEVELS).astype(np.int8), coherence.astype(np.int8))


@lru_cache(maxsize=1)
def _level_errors() -> np.ndarray:
    """`[true, coded]` by absolute difference, which is how levels are judged."""
    levels = np.arange(-LEVELS, LEVELS + 1, dtype=np.int8)[None]
    decibels = np.clip(StereoImage(levels, np.zeros_like(levels)).level_db[0], -_FARTHEST_DB, _FARTHEST_DB)
    return np.abs(decibels[:, None] - decibels) / _DB


@lru_cache(maxsize=1)
def _coherence_errors() -> np.ndarray:
    """`[true, coded]` by squared difference: a value that is held is then the mean of many, as wide as they are."""
    return ((COHERENCES[:, None] - COHERENCES) / _COHERENCE) ** 2


def _cheapest_paths(costs: np.ndarray, toll: np.ndarray, before: np.ndarray | int) -> np.ndarray:
    """States `[bands, frames]` of least cost `[frames, bands, states]` and toll `[states, states]` between them.

    The first frame comes after the states `before` of its bands, or, where that is one state, band after band after it.
    """
    to_go = costs.copy()
    for frame in range(len(costs) - 2, -1, -1):
        to_go[frame] += (to_go[frame + 1].T[:, :, None] + toll.T[:, None]).min(0)
    path = np.empty(costs.shape[1::-1], np.int64)
    for frame in range(len(costs)):
        if isinstance(before, int):
            before = _cheapest_paths(to_go[0][:, None], toll, np.array([before]))[0]
        else:
            before = (to_go[frame] + toll[before]).argmin(1)
        path[:, frame] = before
    return path


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
