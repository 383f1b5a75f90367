"""Change of sample rate: band-limited, by soxr at quality HQ (20 bit), linear phase, without delay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from noisebook.audio.waveform import MAX_SAMPLES, Sound, Waveform, check_sample_rate
from noisebook.errors import AudioError

OnBlock = Callable[[np.ndarray], np.ndarray]  # [C, n] -> [C, n]


def resampled_count(sample_count: int, sample_rate: int, new_rate: int) -> int:
    """Samples per channel after resampling: `ceil(sample_count * new_rate / sample_rate)`, exactly."""
    return -(-sample_count * new_rate // sample_rate)


def resample(
    sound: Sound,
    sample_rate: int,
    *,
    before: OnBlock | None = None,
    after: OnBlock | None = None,
    count: int | None = None,
) -> Waveform:
    """A sound at another rate.

    Args:
        sound: `[C, N]` at any rate.
        sample_rate: the new rate in Hz.
        before, after: done to the samples of the old and of the new rate, block by block, sample by sample.
        count: keep the first so many samples of the result; all if None.

    Returns:
        `[C, resampled_count(N, ...)]`; a waveform itself where its rate is that already and nothing is to be done.
        Resampling back gives at least N samples, so a cut to N restores the length.

    Raises:
        AudioError: a rate outside the range, or more than `MAX_SAMPLES` samples of result.
    """
    new_rate, old_rate = check_sample_rate(sample_rate), sound.sample_rate
    whole = resampled_count(sound.sample_count, old_rate, new_rate)
    count = whole if count is None else min(count, whole)
    if isinstance(sound, Waveform) and new_rate == old_rate and before is after is None and count == whole:
        return sound
    if count * sound.channels > MAX_SAMPLES:
        raise AudioError(
            f"{sound.sample_count / old_rate:.0f} s at {new_rate} Hz are {count * sound.channels} samples, "
            f"and at most {MAX_SAMPLES} are allowed: cut the sound into parts"
        )
    result, filled = np.empty((sound.channels, count), np.float32), 0
    blocks = sound.blocks() if before is None else map(before, sound.blocks())
    for piece in resampled_blocks(blocks, old_rate, new_rate, count=count, after=after):
        result[:, filled : filled + piece.shape[1]] = piece
        filled += piece.shape[1]
    return Waveform(result, new_rate)


def resampled_blocks(
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    new_rate: int,
    *,
    count: int | None = None,
    after: OnBlock | None = None,
) -> Iterator[np.ndarray]:
    """`resample` of `[C, n]` blocks to blocks: nothing is held but a block.

    Without a `count` a few samples of silence may follow the end.
    """
    left = count
    for block in blocks if new_rate == sample_rate else _converted(blocks, sample_rate, new_rate):
        piece = block[:, :left]
        left = None if left is None else left - piece.shape[1]
        if piece.size:
            yield piece if after is None else after(piece)


def _converted(blocks: Iterable[np.ndarray], old_rate: int, new_rate: int) -> Iterator[np.ndarray]:
    import soxr

    stream, channels = None, 0
    for block in blocks:
        if stream is None:
            channels = len(block)
            stream = soxr.ResampleStream(old_rate, new_rate, channels, dtype="float32", quality="HQ")
        yield stream.resample_chunk(np.ascontiguousarray(block.T)).T
    if stream is not None:
        # soxr rounds its length down or up; a little silence behind the end makes it give enough at least.
        silence = np.zeros((old_rate // new_rate + 2, channels), np.float32)
        yield stream.resample_chunk(silence, last=True).T
