"""The bytes of a stereo image: exact both ways, short where nothing happens, calm before hostile bytes."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.audio.image import COHERENCES, LEVELS, StereoImage
from noisebook.codec.presets import image_share
from noisebook.codec.stereo import encode_image, image_bytes, parse_image
from noisebook.errors import ConfigError, CorruptStream

Indices = tuple[np.ndarray, np.ndarray]


@st.composite
def indices(draw: st.DrawFn) -> Indices:
    """Images whose values hold for a while, as those of sounds do."""
    bands, frames = draw(st.integers(1, 24)), draw(st.integers(1, 20))
    rng, holding = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.sampled_from([0.0, 0.5, 0.95, 1.0]))
    level = rng.integers(-LEVELS, LEVELS + 1, (bands, frames))
    coherence = rng.integers(0, len(COHERENCES), (bands, frames))
    for values in (level, coherence):
        for frame in range(1, frames):
            held = rng.random(bands) < holding
            values[held, frame] = values[held, frame - 1]
    return level.astype(np.int8), coherence.astype(np.int8)


def test_the_tables_have_the_sizes_of_the_format() -> None:
    assert (LEVELS, len(COHERENCES)) == (11, 11)


@given(indices())
def test_an_image_comes_back(image: Indices) -> None:
    level, coherence = parse_image(image_bytes(*image), *image[0].shape)
    assert np.array_equal(level, image[0])
    assert np.array_equal(coherence, image[1])
    assert level.dtype == coherence.dtype == np.int8


@pytest.mark.parametrize("frames", [1, 100, 22500])
def test_equal_channels_take_no_byte_and_a_constant_image_few(frames: int) -> None:
    zeros = np.zeros((24, frames), np.int8)
    assert image_bytes(zeros, zeros) == b""
    assert len(image_bytes(zeros + LEVELS, zeros)) <= 6 + frames / 64
    assert not any(values.any() for values in parse_image(b"", 24, frames))


@given(st.binary(min_size=1, max_size=40), st.integers(1, 24), st.integers(1, 30))
def test_any_bytes_are_an_image_in_its_one_spelling_or_corrupt(data: bytes, bands: int, frames: int) -> None:
    try:
        level, coherence = parse_image(data, bands, frames)
    except CorruptStream:
        return
    assert image_bytes(level, coherence) == data


@given(indices(), st.data())
def test_a_damaged_image_is_found_or_is_another(image: Indices, data: st.DataObject) -> None:
    message = image_bytes(*image)
    if not message:
        return
    bit = data.draw(st.integers(0, 8 * len(message) - 1))
    damaged = bytearray(message)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        found = parse_image(bytes(damaged), *image[0].shape)
    except CorruptStream:
        return
    assert not all(np.array_equal(a, b) for a, b in zip(found, image, strict=True))


@pytest.mark.parametrize("data", [b"\xff", b"\x01", b"\x80" * 9, bytes(range(1, 200))])
def test_time_follows_the_frames_whatever_the_bytes(data: bytes) -> None:
    start = perf_counter()
    with pytest.raises(CorruptStream):
        parse_image(data, 24, 1000)
    assert perf_counter() - start < 5


@pytest.mark.parametrize(
    ("level", "coherence"),
    [(np.zeros(4, int), np.zeros(4, int)), (np.zeros((2, 0), int), np.zeros((2, 0), int)),
     (np.full((1, 1), LEVELS + 1), np.zeros((1, 1), int)), (np.zeros((1, 1), int), np.full((1, 1), -1))],
)  # fmt: skip
def test_what_is_no_image_is_refused(level: np.ndarray, coherence: np.ndarray) -> None:
    with pytest.raises(ConfigError):
        image_bytes(level, coherence)


# ---------------------------------------------------------------- within a budget


def image(frames: int, seed: int = 0) -> StereoImage:
    rng = np.random.default_rng(seed)
    level = np.cumsum(rng.integers(-1, 2, (24, frames)), axis=1).clip(-LEVELS, LEVELS)
    coherence = np.cumsum(rng.integers(-1, 2, (24, frames)), axis=1).clip(0, len(COHERENCES) - 1)
    return StereoImage(level.astype(np.int8), coherence.astype(np.int8), rng.random((24, frames)).astype(np.float32))


def error(true: StereoImage, got: StereoImage) -> float:
    decibels = [np.clip(x.level_db, -38, 38) for x in (true, got)]
    return float((true.weight * np.abs(decibels[0] - decibels[1])).mean())


def test_more_bits_make_a_better_image_and_none_too_many() -> None:
    true, last = image(100), np.inf
    for bits in (0, 40, 300, 1000, 3000, 6000):
        data, got = encode_image(true, bits)
        assert 8 * len(data) <= bits
        assert bits < 300 or 8 * len(data) > 0.9 * bits
        again = StereoImage(*parse_image(data, 24, 100))
        assert np.array_equal(again.level, got.level)
        assert np.array_equal(again.coherence, got.coherence)
        assert error(true, got) <= last
        last = error(true, got)
    assert encode_image(true, 1e9)[0] == image_bytes(true.level, true.coherence)


def test_without_bits_all_is_equal_but_a_silent_channel_stays_silent() -> None:
    assert encode_image(image(10), 0)[0] == b""
    zeros = np.zeros((24, 60), np.int8)
    for level in (LEVELS, -LEVELS):
        data, got = encode_image(StereoImage(zeros + np.int8(level), zeros), 0)
        assert 1 <= len(data) <= 6
        assert np.all(got.level == level)


def test_a_channel_that_is_silent_for_a_while_is_so_in_every_band() -> None:
    """Also in those that hardly count: one band that goes on is not silence."""
    true = image(40)
    true.level[:, 15:30] = -LEVELS
    true.coherence[:, 15:30] = 0
    true.weight[[0, 23]] = 1e-4
    assert 8 * len(image_bytes(true.level, true.coherence)) > 1500
    _, got = encode_image(true, 1500)
    assert np.all(got.level[:, 16:29] == -LEVELS)


@pytest.mark.parametrize(("bitrate", "budget"), [(8, 0), (100, 10), (1500, 150), (3000, 200), (6000, 200)])
def test_an_image_gets_a_tenth_and_at_most_200_bits_a_second(bitrate: float, budget: float) -> None:
    assert image_share(bitrate) == pytest.approx(budget)
