"""Image metrics on sounds whose image is known."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook.errors import AudioError, ConfigError
from noisebook.metrics import METRICS, available, evaluate, image_coherence, image_level_db, mean_coherence

RATES = [1000, 8000, 16000, 44100, 48000, 384000]


def noise(rate: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, rate))


def panned(decibels: float, rate: int) -> np.ndarray:
    (mono,) = noise(rate, 1)
    return np.stack([mono * 10 ** (decibels / 20), mono])


@pytest.mark.parametrize("rate", RATES)
def test_a_panned_source_is_off_by_what_it_was_moved(rate: int) -> None:
    middle, left = panned(0, rate), panned(6, rate)
    assert image_level_db(middle, left, sample_rate=rate) == pytest.approx(6, abs=0.02)
    assert image_level_db(left, left[::-1], sample_rate=rate) == pytest.approx(12, abs=0.02)
    assert image_coherence(middle, left, sample_rate=rate) == pytest.approx(0, abs=1e-6)


def test_differences_are_heard_up_to_30_db() -> None:
    (mono,) = noise(16000, 1)
    left = np.stack([mono, 0 * mono])
    assert image_level_db(left, left[::-1], sample_rate=16000) == pytest.approx(60, abs=0.1)
    assert image_level_db(left, np.stack([mono, mono / 1000]), sample_rate=16000) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("rate", RATES)
def test_coherence_of_like_opposite_and_unlike_channels(rate: int) -> None:
    like, unlike = panned(0, rate), noise(4 * rate)
    assert image_coherence(like, np.stack([like[0], -like[1]]), sample_rate=rate) == pytest.approx(2, abs=1e-3)
    assert mean_coherence(like, sample_rate=rate) == pytest.approx(1, abs=1e-3)
    assert mean_coherence(unlike, sample_rate=rate) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("wanted", [0.9, 0.5, -0.3])
def test_mean_coherence_is_the_correlation_that_noise_was_made_with(wanted: float) -> None:
    a, b = noise(8 * 44100)
    sound = np.stack([a, wanted * a + (1 - wanted**2) ** 0.5 * b])
    assert mean_coherence(sound, sample_rate=44100) == pytest.approx(wanted, abs=0.04)


def test_only_the_image_counts() -> None:
    sound = noise(16000)
    for same in (0.3 * sound, -sound, sound * np.linspace(0.5, 1, 16000)):
        assert image_level_db(sound, same, sample_rate=16000) < 0.1
        assert image_coherence(sound, same, sample_rate=16000) < 0.01


def test_loud_bands_count_for_more_and_what_is_60_db_below_not_at_all() -> None:
    time = np.arange(32000) / 16000
    low, high = (np.sin(2 * np.pi * hz * time) for hz in (300.0, 5000.0))
    reference = np.stack([low + 1e-2 * high, low + 1e-2 * high])
    wrong_high, wrong_low = np.stack([low + 2e-2 * high, low]), np.stack([2 * low, low]) + 1e-2 * high
    errors = [image_level_db(reference, wrong, sample_rate=16000) for wrong in (wrong_high, wrong_low)]
    assert 0.2 < errors[0] < errors[1]
    faint = reference + np.stack([1e-5 * high, 0 * high])
    assert image_level_db(np.stack([low, low]), faint - 1e-2 * high, sample_rate=16000) < 0.01


@pytest.mark.parametrize("metric", [image_level_db, image_coherence])
def test_the_same_is_0_and_a_silent_reference_has_no_image(metric) -> None:
    sound, silence = noise(16000), np.zeros((2, 16000))
    assert metric(sound, sound.copy(), sample_rate=16000) == 0
    assert metric(silence, silence, sample_rate=16000) == 0
    assert metric(silence, sound, sample_rate=16000) == {"image_level_db": 60, "image_coherence": 2}[metric.__name__]
    assert np.isfinite(metric(sound, silence, sample_rate=16000))


@pytest.mark.parametrize("count", [1, 100, 2047, 2049, 5000])
def test_short_sounds_have_a_value(count: int) -> None:
    sound = noise(count)
    assert image_level_db(sound, sound[::-1], sample_rate=44100) > 0
    assert image_level_db(sound, sound, sample_rate=44100) == 0


def test_hours_are_worked_on_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = noise(48000), noise(48000, seed=1)
    whole = image_level_db(a, b, sample_rate=16000)
    monkeypatch.setattr("noisebook.metrics.image._BLOCK", 7)
    assert image_level_db(a, b, sample_rate=16000) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("metric", [image_level_db, image_coherence])
def test_what_has_no_two_channels_is_refused(metric) -> None:
    sound = noise(1000)
    for bad in (sound[0], sound[:1], np.zeros((3, 1000)), np.full((2, 1000), np.nan), np.zeros((2, 0))):
        with pytest.raises(AudioError):
            metric(sound, bad, sample_rate=16000)
    with pytest.raises(AudioError, match="equal lengths"):
        metric(sound, sound[:, 1:], sample_rate=16000)
    for rate in (0, 999):
        with pytest.raises(ConfigError):
            metric(sound, sound, sample_rate=rate)


def test_the_table_runs_them_on_two_channels_and_the_others_on_their_mean() -> None:
    stereo = {metric.name for metric in METRICS if metric.kind == "stereo"}
    assert stereo == {"image_level_db", "image_coherence"} == set(available(stereo=True)) - set(available())
    a, b = noise(16000), noise(16000, seed=1)
    found = evaluate(a, b, sample_rate=16000, names=["image_level_db", "snr_db"])
    assert found["image_level_db"] == image_level_db(a, b, sample_rate=16000)
    assert found["snr_db"] == evaluate(a.mean(0), b.mean(0), sample_rate=16000, names=["snr_db"])["snr_db"]
    with pytest.raises(AudioError, match="two channels"):
        evaluate(a[0], b[0], sample_rate=16000, names=["image_level_db"])
