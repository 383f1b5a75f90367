"""Choices change places between segments and steps, and nothing else happens to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.codec import timeline as timelines
from noisebook.codec.stream import by_segment, by_step, what_is_left
from noisebook.codec.timeline import Layout
from noisebook.coding.container import CodingParams
from noisebook.errors import CorruptStream

INFO = SimpleNamespace(frame_values=8, frame_samples=1, frame_multiple=1)


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch):
    monkeypatch.setattr(timelines, "SEGMENT_FRAMES", 5)
    monkeypatch.setattr(timelines, "_SHORTEST_SEGMENT", 2)
    monkeypatch.setattr(timelines, "CELL_FRAMES", 2)  # no divisor of a segment, so that cells reach over its end


@st.composite
def layouts_that_vary(draw, progressive: bool) -> Layout:
    """A few segments, with pauses or without."""
    params = CodingParams(4, draw(st.integers(1, 10)), draw(st.integers(1, 5)), 9, 0)
    layout = Layout(
        INFO,
        draw(st.integers(1, 2)),
        draw(st.integers(1, 30)),
        params=params,
        plan=(None,) * draw(st.integers(1, 9)),
        progressive=progressive,
    )
    cells = st.lists(st.booleans(), max_size=layout.channels * -(-layout.frames // 2))
    return replace(layout, pauses=tuple(runs(draw(cells))))


@st.composite
def streams(draw) -> tuple[Layout, list[bytes]]:
    """A progressive layout, and random choices for it."""
    layout = draw(layouts_that_vary(progressive=True))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    bits = [random.integers(0, 2, layout.steps * bits_by_hand(layout, i)) for i in range(layout.segment_count)]
    return layout, [np.packbits(each).tobytes() for each in bits]


def runs(cells: list[bool]) -> Iterator[tuple[int, int]]:
    """First and end of each run of true ones."""
    edges = np.flatnonzero(np.diff(np.array(cells, int), prepend=0, append=0))
    return ((int(first), int(end)) for first, end in edges.reshape(-1, 2))


def bits_by_hand(layout: Layout, segment: int) -> int:
    """The definition: bits of a step of a segment, a choice for 16 values of a unit, but where all lie in a pause."""
    start, end = layout.segment(segment)
    unit, parts = layout.params.unit_frames, 0
    silent = {cell for first, last in layout.pauses for cell in range(first, last)}
    for offset in range(0, layout.channels * -(-layout.frames // 2), -(-layout.frames // 2)):
        for first in range(start, end, unit):
            each = {offset + frame // 2 for frame in range(first, min(first + unit, end))}
            values = 8 * (min(first + unit, end) - first)
            parts += 0 if each <= silent else -(-values // 16)
    return parts * layout.params.choice_bits


def by_hand(choices: list[bytes], layout: Layout) -> list[bytes]:
    """The definition: of each step the bits of all segments, one after the other."""
    texts = ["".join(f"{byte:08b}" for byte in data) for data in choices]
    sizes = [bits_by_hand(layout, index) for index in range(layout.segment_count)]
    found = []
    for step in range(layout.steps):
        bits = "".join(text[step * size : (step + 1) * size] for text, size in zip(texts, sizes, strict=True))
        bits += "0" * (-len(bits) % 8)
        found.append(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    return found


@given(streams())
def test_there_and_back(stream):
    layout, choices = stream
    payloads = by_step(choices, layout)
    assert list(payloads) == by_hand(choices, layout)
    assert [len(payload) for payload in payloads] == list(layout.payload_sizes())
    assert sum(map(len, payloads)) == layout.payload_size
    assert by_segment(payloads, layout) == tuple(choices)
    assert what_is_left(payloads, layout, most=99) == [(data, layout.steps) for data in choices]


@given(st.booleans().flatmap(lambda progressive: layouts_that_vary(progressive=progressive)))
def test_sizes_are_known_to_the_bit(layout):
    bits = [bits_by_hand(layout, index) for index in range(layout.segment_count)]
    assert [layout.segment_bits(index) for index in range(layout.segment_count)] == bits
    sizes = [-(-sum(bits) // 8)] * layout.steps if layout.progressive else [-(-layout.steps * b // 8) for b in bits]
    assert list(layout.payload_sizes()) == sizes
    assert (layout.payload_size, layout.payload_count) == (sum(sizes), len(sizes))


@given(streams(), st.data())
def test_what_is_left_is_every_step_that_is_there_whole(stream, data):
    layout, choices = stream
    whole = b"".join(by_step(choices, layout))
    kept = whole[: data.draw(st.integers(0, len(whole)))]
    size = next(layout.payload_sizes())
    left = what_is_left([kept[i : i + size] for i in range(0, len(kept), size)] if size else [b""], layout, most=99)
    coded = [number for index, (_, number) in enumerate(left) if layout.segment_bits(index)]
    assert all(number == layout.steps for index, (_, number) in enumerate(left) if not layout.segment_bits(index))
    assert coded == sorted(coded, reverse=True)
    assert not coded or coded[0] - coded[-1] <= 1, "no part of the sound is a step ahead of another by two"
    for index, ((found, number), choice) in enumerate(zip(left, choices, strict=False)):
        bits = number * bits_by_hand(layout, index)
        there = np.unpackbits(np.frombuffer(choice, np.uint8))[:bits]
        assert found == np.packbits(there).tobytes()
    if len(kept) >= size:  # of nothing but silence, in any case
        assert len(left) == layout.segment_count, "behind the first step it is the whole sound"


def test_filling_is_zero():
    params = CodingParams(6, 2, 5, 9, 0)
    layout = Layout(INFO, 1, 5, params=params, plan=(None,) * 2, progressive=True)
    assert by_segment([b"\xe0", b"\x20"], layout) == (b"\xe4",)
    with pytest.raises(CorruptStream, match="zero bits"):
        by_segment([b"\xe1", b"\x20"], layout)


def test_segments_stay_as_they_are():
    params = CodingParams(6, 2, 5, 9, 0)
    layout = Layout(INFO, 1, 10, params=params, plan=(None,) * 2)
    assert what_is_left([b"a", b""], layout, most=99) == [(b"a", 2)]


def test_a_long_pause_is_no_longer_than_the_bytes_allow():
    """Three bits of a segment, then 2**37 segments of silence: the limit is not a matter of time or memory."""
    params = CodingParams(6, 2, 5, 9, 0)
    layout = Layout(INFO, 1, 5 * 2**37, params=params, plan=(None,) * 2, progressive=True, pauses=((2, 5 * 2**36),))
    assert layout.step_size == 1
    assert what_is_left([b"\xe0"], layout, most=40) == [(b"\xe0", 1), *[(b"", 2)] * 39]
    assert what_is_left([], layout, most=40) == []
