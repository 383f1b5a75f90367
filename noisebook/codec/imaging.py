"""The stereo image within a budget: which values are worth their bits.

A value costs almost nothing where it stays as it was, so the choice is of when and in which bands it changes. It is
made by dynamic programming: the image of least `error + price * bits`, with the price at which the bits fit the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from noisebook.audio.image import COHERENCES, LEVELS, StereoImage
from noisebook.coding.image import image_bytes, parse_image

__all__ = ["encode_image", "image_budget", "read_image"]

_SHARE, _MOST = 0.1, 200.0  # of the bitrate, and bit/s
_FARTHEST_DB = 38.0  # what one side alone counts as
_DB, _COHERENCE = 1.5, 0.08  # errors that weigh the same
_STAY, _CHANGE, _DOUBLE = 0.15, 5.0, 1.5  # about the bits of no change, of one by a step, and of twice as many steps
_ROUNDS = 12  # of bisection for the price
_CHEAPEST, _DEAREST = 1e-4, 1e6  # prices in errors a bit


def image_budget(bitrate: float) -> float:
    """Bit/s of the image in a stream of so many bit/s."""
    return min(_MOST, _SHARE * bitrate)


def read_image(data: bytes, bands: int, frames: int) -> StereoImage:
    """The image in a stream.

    Raises:
        CorruptStream: bytes that no encoder writes.
    """
    return StereoImage(*parse_image(data, bands, frames))


def encode_image(image: StereoImage, bits: float) -> tuple[bytes, StereoImage]:
    """The image in at most so many bits, for the whole sound.

    Returns:
        Its bytes, and the image as the decoder will see it. With too few bits for anything all is equal, but a channel
        that is silent throughout stays so, in the 2 bytes or 3 that this takes.
    """
    exact = image_bytes(image.level, image.coherence)
    if 8 * len(exact) <= bits or (image.level == LEVELS).all() or (image.level == -LEVELS).all():
        return exact, StereoImage(image.level, image.coherence)
    problem = _problem(image)
    best, low, high = (b"", StereoImage.equal(image.bands, image.frames)), np.log(_CHEAPEST), np.log(_DEAREST)
    for _ in range(_ROUNDS):
        price = (low + high) / 2
        tried = _cheapest(problem, float(np.exp(price)))
        data = image_bytes(tried.level, tried.coherence)
        if 8 * len(data) <= bits:
            best, high = (data, tried), price
        else:
            low = price
    return best


@dataclass(frozen=True)
class _Problem:
    """What there is to choose.

    Attributes:
        errors: `[frames, 2, bands, states]` of a level (kind 0) or coherence (kind 1), as float32; infinite for a state
            that the kind does not have.
        bits: `[states, states]` from the value foretold to the value coded.
    """

    errors: np.ndarray
    bits: np.ndarray


def _problem(image: StereoImage) -> _Problem:
    levels = np.arange(-LEVELS, LEVELS + 1)
    states = len(levels)
    table = StereoImage(levels[None].astype(np.int8), np.zeros((1, states), np.int8)).level_db[0]
    decibels = np.clip(table, -_FARTHEST_DB, _FARTHEST_DB)
    weight = np.ones(image.level.shape) if image.weight is None else image.weight / max(image.weight.mean(), 1e-30)
    errors = np.full((image.frames, 2, image.bands, states), inf, np.float32)
    true = decibels[image.level.astype(int) + LEVELS]
    errors[:, 0] = (weight[..., None] * np.abs(true[..., None] - decibels) / _DB).transpose(1, 0, 2)
    true = COHERENCES[image.coherence.astype(int)]
    of_coherence = (weight[..., None] * np.abs(true[..., None] - COHERENCES) / _COHERENCE).transpose(1, 0, 2)
    errors[:, 1, :, : len(COHERENCES)] = of_coherence
    steps = np.abs(levels[:, None] - levels)
    return _Problem(errors, np.where(steps == 0, _STAY, _CHANGE + _DOUBLE * np.log2(np.maximum(steps, 1))))


def _cheapest(problem: _Problem, price: float) -> StereoImage:
    """The image of least `errors + price * bits`: from the last frame to the first, then up the bands of the first."""
    frames, kinds, bands, states = problem.errors.shape
    toll = (price * problem.bits).astype(np.float32)
    best_next = np.empty((frames, kinds, bands, states), np.int8)
    to_go = problem.errors[-1]
    for frame in range(frames - 2, -1, -1):
        ways = to_go[:, :, None, :] + toll
        best_next[frame] = ways.argmin(-1)
        to_go = problem.errors[frame] + ways.min(-1)
    values = np.empty((kinds, bands, frames), np.int64)
    for kind, zero in enumerate((LEVELS, 0)):
        values[kind, :, 0] = _cheapest_path(to_go[kind], toll, zero)
    kind_index, band_index = np.indices((kinds, bands))
    for frame in range(1, frames):
        values[:, :, frame] = best_next[frame - 1, kind_index, band_index, values[:, :, frame - 1]]
    level, coherence = values
    return StereoImage((level - LEVELS).astype(np.int8), coherence.astype(np.int8))


def _cheapest_path(costs: np.ndarray, toll: np.ndarray, start: int) -> np.ndarray:
    """States `[n]` of least cost `[n, states]` and toll `[states, states]` from each to the next, from `start` on."""
    best_next = np.empty(costs.shape, int)
    to_go = np.zeros(costs.shape[1], np.float32)
    for place in range(len(costs) - 1, -1, -1):
        ways = costs[place] + to_go + toll
        best_next[place], to_go = ways.argmin(1), ways.min(1)
    path = []
    for place in range(len(costs)):
        start = int(best_next[place, start])
        path.append(start)
    return np.array(path)
