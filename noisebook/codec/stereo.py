"""The stereo image of a sound within a budget of bits: the first payload of its stream.

sound --audio.image.measure_image--> image --encode_image--> message --image_payload--> payload
message --read_image--> image, by which a decoder spreads its mono (`codec.signal`)

A value costs almost nothing where it stays as it was, so the choice is of when and in which bands it changes. It is
made by dynamic programming: the image of least `error + price * bits`, with the price at which the bits fit the budget.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log

import numpy as np

from noisebook.audio.image import COHERENCES, LEVELS, StereoImage, image_shape
from noisebook.codec.timeline import SoundFormat, Timeline
from noisebook.coding import container
from noisebook.coding.container import ChannelMode
from noisebook.coding.image import image_bytes, parse_image

__all__ = ["encode_image", "image_payload", "read_image"]

_FARTHEST_DB = 38.0  # what one side alone counts as
_DB, _COHERENCE = 1.5, 1.2  # errors that weigh the same
_STAY, _CHANGE, _DOUBLE = 0.15, 5.0, 1.5  # about the bits of no change, of one by a step, and of twice as many steps
_ROUNDS, _FILLED = 14, 0.95  # of the search for the price, and how full the budget has to be
_CHEAPEST, _USUAL, _DEAREST = 1e-3, 1.0, 1e3  # prices in errors a bit
_STRETCH = 400  # frames that are chosen together: 64 s


def image_payload(image: StereoImage | None, sound: SoundFormat, bitrate: float) -> tuple[bytes, ...]:
    """The payload of an image within so many bit/s; none where the channel mode has none."""
    if image is None or sound.channel_mode is not ChannelMode.IMAGE:
        return ()
    return (container.sized(encode_image(image, bitrate * sound.sample_count / sound.sample_rate)[0]),)


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
