from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from noisebook.audio.resample import resample, resampled_count
from noisebook.audio.waveform import MAX_SAMPLES, Waveform
from noisebook.errors import AudioError

RATES = (1000, 1001, 8000, 11025, 16000, 44100, 48000, 96000, 383999, 384000)


def sine(frequency: float, sample_rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * sample_rate)) / sample_rate)


def test_equal_rate_is_the_identity() -> None:
    waveform = Waveform.of(np.zeros(10), 16000)
    assert resample(waveform, 16000) is waveform


def test_exact_length_for_every_pair_even_of_one_sample() -> None:
    for old_rate, new_rate, count in product(RATES, RATES, (1, 2, 7)):
        resampled = resample(Waveform.of(np.ones((1, count)), old_rate), new_rate)
        assert resampled.samples.shape == (1, -(-count * new_rate // old_rate)), (old_rate, new_rate)
        assert resampled.sample_rate == new_rate


def test_count_is_integer_arithmetic() -> None:
    assert resampled_count(10**17 + 1, 3, 3) == 10**17 + 1  # a float would drop the 1
    assert [resampled_count(n, 44100, 16000) for n in (1, 441, 442)] == [1, 160, 161]


PAIRS = [(44100, 16000), (16000, 44100), (48000, 16000), (8000, 192000)]


@pytest.mark.parametrize(("old_rate", "new_rate"), PAIRS)
def test_a_sine_keeps_level_phase_and_channel(old_rate: int, new_rate: int) -> None:
    stereo = np.stack([sine(440, old_rate), 0.5 * sine(1000, old_rate)])
    resampled = resample(Waveform.of(stereo, old_rate), new_rate).samples
    expected = np.stack([sine(440, new_rate), 0.5 * sine(1000, new_rate)])
    middle = slice(new_rate // 10, -new_rate // 10)
    assert np.abs(resampled - expected)[:, middle].max() < 1e-4


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    resampled = resample(Waveform.of(sine(12000, 48000), 48000), 16000).samples[0]
    assert np.abs(resampled[1600:-1600]).max() < 1e-4


def test_a_result_beyond_the_limit_is_refused_before_it_is_made() -> None:
    waveform = Waveform.of(np.zeros(MAX_SAMPLES // 384 + 1, np.float32), 1000)
    with pytest.raises(AudioError, match="cut the sound"):
        resample(waveform, 384000)


@pytest.mark.parametrize("rate", [0, -16000, 999, 384001, 16000.0])
def test_bad_rate(rate: int) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        resample(Waveform.of(np.zeros(10), 16000), rate)


@pytest.mark.parametrize(("old_rate", "new_rate"), [*PAIRS, (16000, 16000)])
def test_blocks_are_not_heard(old_rate: int, new_rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stereo = Waveform.of(np.random.default_rng(0).standard_normal((2, old_rate // 2)), old_rate)
    whole = resample(stereo, new_rate)
    monkeypatch.setattr("noisebook.audio.waveform._BLOCK", 1000)
    assert np.array_equal(resample(stereo, new_rate).samples, whole.samples)
    seen: list[int] = []

    def swapped(block: np.ndarray) -> np.ndarray:
        seen.append(block.shape[1])
        return block[::-1]

    before = resample(stereo, new_rate, before=swapped)
    assert max(seen) == 1000
    assert sum(seen) == stereo.sample_count
    after = resample(stereo, new_rate, after=swapped)
    for result in (before, after):
        assert np.array_equal(result.samples, whole.samples[::-1])


@pytest.mark.parametrize("new_rate", [16000, 44100])
def test_only_the_first_samples(new_rate: int) -> None:
    waveform = Waveform.of(np.random.default_rng(0).standard_normal((2, 5000)), 16000)
    whole = resample(waveform, new_rate).samples
    for count in (1, 1234, whole.shape[1], whole.shape[1] + 9):
        assert np.array_equal(resample(waveform, new_rate, count=count).samples, whole[:, :count])
