from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from noisebook.audio.level import SETTLED_SECONDS, coding_gain, coding_gain_of, high_passed, high_passed_blocks
from noisebook.audio.waveform import Waveform


class Pieces:
    """A waveform that gives its samples a few at a time."""

    def __init__(self, waveform: Waveform, size: int) -> None:
        self.samples, self.sample_rate, self.size = waveform.samples, waveform.sample_rate, size
        self.channels, self.sample_count = waveform.samples.shape

    def blocks(self) -> Iterator[np.ndarray]:
        for start in range(0, self.sample_count, self.size):
            yield self.samples[:, start : start + self.size]


def tone(frequency: float, sample_rate: int = 16000, seconds: float = 4.0) -> Waveform:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return Waveform.of((0.25 * np.sin(2 * np.pi * frequency * time)).astype(np.float32), sample_rate)


def filtered(sound: Waveform) -> np.ndarray:
    return np.concatenate(list(high_passed(sound).blocks()), axis=1)


def loss_db(sound: Waveform) -> float:
    """Of the second half, where a filter has settled."""
    settled = (slice(None), slice(sound.sample_count // 2, None))
    return float(10 * np.log10(np.mean(sound.samples[settled] ** 2) / np.mean(filtered(sound)[settled] ** 2)))


@pytest.mark.parametrize("offset", [0.3, -0.03])
def test_an_offset_is_gone_from_the_first_sample_on(offset):
    sound = Waveform(np.full((2, 5000), offset, np.float32), 44100)
    assert np.abs(filtered(sound)).max() < 1e-9


def test_an_offset_changes_nothing_else():
    clean = tone(300)
    shifted = Waveform(clean.samples + np.float32(0.3), 16000)
    np.testing.assert_allclose(filtered(shifted), filtered(clean), atol=1e-6)
    assert coding_gain_of(shifted) == coding_gain_of(clean)
    assert coding_gain(shifted.samples) < coding_gain(clean.samples)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 48000])
def test_what_is_heard_stays(sample_rate):
    """Butterworth of second order: 10 log10(1 + (20 / f)^4)."""
    for frequency in (10.0, 20.0, 40.0, 100.0, 1000.0):
        expected = 10 * np.log10(1 + (20 / frequency) ** 4)
        assert loss_db(tone(frequency, sample_rate)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_blocks_join_to_the_whole(size):
    sound = Waveform(np.random.default_rng(0).standard_normal((2, 3000)).astype(np.float32) + 1, 16000)
    pieces = np.concatenate(list(high_passed(Pieces(sound, size)).blocks()), axis=1)
    np.testing.assert_array_equal(pieces, filtered(sound))


def test_what_came_before_is_settled():
    """A decode of a part begins so much earlier, and is that of the whole."""
    sound = np.random.default_rng(0).uniform(-1, 1, (1, 16000)).astype(np.float32)
    sound[:, :4000] += 1
    whole, part = (np.concatenate(list(high_passed_blocks([x], 16000)), axis=1) for x in (sound, sound[:, 4000:]))
    settled = round(SETTLED_SECONDS * 16000)
    np.testing.assert_allclose(part[:, settled:], whole[:, 4000 + settled :], atol=1e-7)
