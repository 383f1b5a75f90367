"""Choices change places between segments and steps, and nothing else happens to them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.codec import layout as layouts
from noisebook.codec.layout import Layout
from noisebook.codec.ordering import of_segments, of_stream, what_is_left
from noisebook.coding.container import Codebook, Engine, Rule
from noisebook.errors import CorruptStream

INFO = SimpleNamespace(frame_values=8, frame_samples=1, frame_multiple=1)


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch):
    monkeypatch.setattr(layouts, "SEGMENT_FRAMES", 5)
    monkeypatch.setattr(layouts, "_SHORTEST_SEGMENT", 2)


@st.composite
def streams(draw) -> tuple[Layout, list[bytes]]:
    """A progressive layout of a few segments, and random choices for it."""
    engine = Engine(Rule.ONE_OF_K, Codebook.DENSE, 0, draw(st.integers(1, 11)), 1, draw(st.integers(1, 5)), 9, 0)
    layout = Layout(
        INFO,
        draw(st.integers(1, 2)),
        draw(st.integers(1, 30)),
        engine=engine,
        steps=draw(st.integers(1, 9)),
        progressive=True,
    )
    random = np.random.default_rng(draw(st.integers(0, 99)))
    bits = [random.integers(0, 2, layout.payload_bits(end - start)) for start, end in layout.segments()]
    return layout, [np.packbits(each).tobytes() for each in bits]


def by_hand(choices: list[bytes], layout: Layout) -> list[bytes]:
    """The definition: of each step the bits of all segments, one after the other."""
    texts = ["".join(f"{byte:08b}" for byte in data) for data in choices]
    sizes = [layout.step_bits(end - start) for start, end in layout.segments()]
    found = []
    for step in range(layout.steps):
        bits = "".join(text[step * size : (step + 1) * size] for text, size in zip(texts, sizes, strict=True))
        bits += "0" * (-len(bits) % 8)
        found.append(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    return found


@given(streams())
def test_there_and_back(stream):
    layout, choices = stream
    payloads = of_stream(choices, layout)
    assert list(payloads) == by_hand(choices, layout)
    assert [len(payload) for payload in payloads] == list(layout.payload_sizes())
    assert sum(map(len, payloads)) == layout.payload_size
    assert of_segments(payloads, layout) == tuple(choices)
    assert what_is_left(payloads, layout) == [(data, layout.steps) for data in choices]


@given(streams(), st.data())
def test_what_is_left_is_every_step_that_is_there_whole(stream, data):
    layout, choices = stream
    whole = b"".join(of_stream(choices, layout))
    kept = whole[: data.draw(st.integers(0, len(whole)))]
    size = next(layout.payload_sizes())
    left = what_is_left([kept[i : i + size] for i in range(0, len(kept), size)], layout)
    steps = [number for _, number in left]
    assert steps == sorted(steps, reverse=True)
    assert not steps or steps[0] - steps[-1] <= 1, "no part of the sound is a step ahead of another by two"
    for (found, number), choice, (start, end) in zip(left, choices, layout.segments(), strict=False):
        bits = number * layout.step_bits(end - start)
        there = np.unpackbits(np.frombuffer(choice, np.uint8))[:bits]
        assert found == np.packbits(there).tobytes()
    if len(kept) >= size:
        assert len(left) == layout.segment_count, "behind the first step it is the whole sound"


def test_filling_is_zero():
    engine = Engine(Rule.ONE_OF_K, Codebook.DENSE, 0, 3, 1, 5, 9, 0)
    layout = Layout(INFO, 1, 5, engine=engine, steps=2, progressive=True)
    assert of_segments([b"\xe0", b"\x20"], layout) == (b"\xe4",)
    with pytest.raises(CorruptStream, match="zero bits"):
        of_segments([b"\xe1", b"\x20"], layout)


def test_segments_stay_as_they_are():
    engine = Engine(Rule.ONE_OF_K, Codebook.DENSE, 0, 3, 1, 5, 9, 0)
    layout = Layout(INFO, 1, 10, engine=engine, steps=2)
    assert of_stream([b"a", b"b"], layout) == [b"a", b"b"]
    assert of_segments([b"a", b"b"], layout) == (b"a", b"b")
    assert what_is_left([b"a", b""], layout) == [(b"a", 2)]
