"""The order of a stream's choices: segment by segment, or progressive, step by step over all segments.

    segment 0   s0 s1 s2          progressive   step 0   s0 s0 s0
    segment 1   s0 s1 s2   <-->                 step 1   s1 s1 s1
    segment 2   s0 s1 s2                        step 2   s2 s2 s2

What begins a progressive stream is the whole sound, less exactly (docs/format.md, 5.6). A segment is coded and decoded
from its own choices, step after step; here they change places, as bits, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from noisebook.codec.allocation import Layout
from noisebook.errors import CorruptStream

__all__ = ["of_segments", "of_stream", "what_is_left"]


def of_stream(choices: Sequence[bytes], layout: Layout) -> Sequence[bytes]:
    """The payloads of the stream, from the choices of each segment."""
    if not layout.progressive:
        return choices
    pieces = [
        _bits(data)[: layout.steps * layout.segment_bits(index)].reshape(layout.steps, -1)
        for index, data in enumerate(choices)
    ]
    return [np.packbits(step).tobytes() for step in np.concatenate(pieces, axis=1)]


def of_segments(payloads: Sequence[bytes], layout: Layout) -> tuple[bytes, ...]:
    """The choices of each segment, from the payloads of a whole stream.

    Raises:
        CorruptStream: bits of filling that are not 0.
    """
    if not layout.progressive:
        return tuple(payloads)
    steps = [_bits(payload) for payload in payloads]
    columns = list(_columns(layout, len(steps[0])))
    if any(step[columns[-1].stop :].any() for step in steps):
        raise CorruptStream("bits follow the last choice of a step: only 0 to 7 zero bits may")
    return tuple(_joined(steps, column) for column in columns)


def what_is_left(payloads: Sequence[bytes], layout: Layout, most: int) -> list[tuple[bytes, int]]:
    """The choices of each segment and how many of its steps they are, of a stream that may be cut short.

    Only segments of which there is a step at least, and none behind one of which there is none: a short stream of a
    long sound costs no more than its bytes. A segment that is all pause has all of its steps.

    Args:
        payloads: what is there of each.
        layout: of the stream.
        most: segments of a progressive stream, where pauses are longer than what is there of it vouches for.
    """
    if not layout.progressive:
        whole = [(data, layout.whole_steps(index, len(data))) for index, data in enumerate(payloads)]
        playable = [steps > 0 for _, steps in whole]
        return whole[: playable.index(False)] if False in playable else whole
    if not payloads:
        return []
    steps = [_bits(payload) for payload in payloads]
    left = []
    for column in islice(_columns(layout, len(steps[0])), most):
        there = [step for step in steps if column.stop <= len(step)]
        left.append((_joined(there, column), len(there) if column.stop > column.start else layout.steps))
    return left


def _columns(layout: Layout, bits: int) -> Iterator[slice]:
    """Where each segment lies in a step of so many bits, as far as it lies there whole."""
    start = 0
    for index in range(layout.segment_count):
        stop = start + layout.segment_bits(index)
        if stop > bits:
            return
        yield slice(start, stop)
        start = stop


def _joined(steps: Sequence[np.ndarray], column: slice) -> bytes:
    return np.packbits(np.concatenate([step[column] for step in steps])).tobytes()


def _bits(data: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(data, np.uint8))
