"""Lag and gain that were put in are found; what has none, and what is empty, is left alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from noisebook.errors import AudioError, ConfigError
from noisebook.metrics import align
from noisebook.metrics.waveform import _BLOCK, _products

RATE = 8000


@pytest.fixture
def sound() -> np.ndarray:
    """2 s of noise whose level swings."""
    time = np.arange(2 * RATE) / RATE
    return (0.2 + 0.1 * np.sin(9 * time)) * np.random.default_rng(0).normal(size=time.size)


@pytest.mark.parametrize("lag", [-4000, -37, 0, 1, 312, 4000])
@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_a_lag_and_a_gain_are_found(sound: np.ndarray, lag: int, gain: float) -> None:
    late = gain * (np.concatenate((np.zeros(lag), sound)) if lag > 0 else sound[-lag:])
    aligned = align(sound, late, sample_rate=RATE)
    assert aligned.lag == lag
    assert aligned.gain_db == pytest.approx(20 * math.log10(gain), abs=1e-6)
    assert aligned.correlation == pytest.approx(1)
    np.testing.assert_allclose(aligned.estimate, gain * aligned.reference)
    assert aligned.reference.size == aligned.estimate.size == sound.size - max(0, -lag)


def test_a_lag_is_found_under_noise_and_between_other_lengths(sound: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(size=sound.size + 500)
    late = np.concatenate((np.zeros(200), sound, np.zeros(300))) + 0.3 * noise
    aligned = align(sound, late, sample_rate=RATE)
    assert (aligned.lag, aligned.reference.size) == (200, sound.size)
    assert 0.2 < aligned.correlation < 0.9


def test_a_given_lag_is_not_searched(sound: np.ndarray) -> None:
    late = np.concatenate((np.zeros(100), sound))
    aligned = align(sound, late, sample_rate=RATE, lag=0)
    assert aligned.lag == 0
    assert np.array_equal(aligned.estimate, late[: sound.size])
    assert aligned.correlation < 0.2
    assert align(sound, late, sample_rate=RATE, lag=-3).reference.size == sound.size - 3


def test_the_search_stays_in_its_range(sound: np.ndarray) -> None:
    late = np.concatenate((np.zeros(100), sound))
    assert abs(align(sound, late, sample_rate=RATE, max_lag_seconds=0.01).lag) <= 80
    assert align(sound, late, sample_rate=RATE, max_lag_seconds=0).lag == 0


def test_a_tone_is_not_moved_by_whole_periods() -> None:
    tone = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    assert align(tone, 0.5 * tone, sample_rate=RATE).lag == 0
    assert align(tone, np.roll(tone, 10), sample_rate=RATE).lag == 10


def test_little_overlap_does_not_win() -> None:
    """Two clicks at opposite ends correlate perfectly where nothing else overlaps: out of reach."""
    first, last = np.zeros(1000), np.zeros(1000)
    first[0], last[-1] = 1, 1
    assert abs(align(first, last, sample_rate=RATE, max_lag_seconds=1).lag) <= 500


def test_silence_has_no_lag(sound: np.ndarray) -> None:
    silence = np.zeros_like(sound)
    for pair, gain in (((sound, silence), -math.inf), ((silence, sound), math.inf), ((silence, silence), 0.0)):
        aligned = align(*pair, sample_rate=RATE)
        assert (aligned.lag, aligned.gain_db, aligned.correlation) == (0, gain, 0.0)


def test_one_sample_is_enough() -> None:
    aligned = align(np.ones(1), np.array([2.0, 5.0]), sample_rate=RATE)
    assert (aligned.lag, aligned.reference.size) == (0, 1)
    assert aligned.gain_db == pytest.approx(20 * math.log10(2))


@pytest.mark.parametrize("lengths", [(_BLOCK + 5000, _BLOCK - 3000), (_BLOCK // 2, _BLOCK + 7000)])
def test_products_in_blocks_equal_the_plain_sum(lengths: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=length) for length in lengths)
    reach = 40
    mine = _products(a, b, reach)
    for lag in (-40, -1, 0, 17, 40):
        start, stop = max(0, -lag), min(a.size, b.size - lag)
        assert mine[lag + reach] == pytest.approx(a[start:stop] @ b[start + lag : stop + lag], abs=1e-6)


def test_what_cannot_be_aligned_is_refused(sound: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"lag of 16000 samples leaves nothing in common of 16000 and 16000"):
        align(sound, sound, sample_rate=RATE, lag=16000)
    with pytest.raises(ConfigError, match="nothing in common"):
        align(sound, sound, sample_rate=RATE, lag=-16000)
    with pytest.raises(ConfigError, match=r"max_lag_seconds -1 is out of range"):
        align(sound, sound, sample_rate=RATE, max_lag_seconds=-1)
    with pytest.raises(ConfigError, match="sample_rate 0"):
        align(sound, sound, sample_rate=0)
    with pytest.raises(AudioError, match="estimate has shape"):
        align(sound, sound[None], sample_rate=RATE)
