"""Waveform metrics against their formulas, at their limits and under growing noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from noisebook.metrics import energy_ratio_db, loudness_difference_lu, si_sdr_db, snr_db

RATE = 16000
SILENCE = np.zeros(RATE, np.float32)
INF = math.inf


@pytest.fixture
def music() -> np.ndarray:
    time = np.arange(RATE) / RATE
    noise = 0.01 * np.random.default_rng(1).normal(size=RATE)
    return (0.3 * np.sin(2 * np.pi * 220 * time) + noise).astype(np.float32)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(2).normal(size=RATE).astype(np.float32)


@pytest.mark.parametrize(
    ("metric", "identical", "silent_estimate", "silent_reference"),
    [(snr_db, INF, 0.0, -INF), (si_sdr_db, INF, -INF, -INF), (energy_ratio_db, 0.0, -INF, INF)],
)
def test_limits_are_the_documented_values(
    metric: Callable[..., float],
    identical: float,
    silent_estimate: float,
    silent_reference: float,
    music: np.ndarray,
) -> None:
    for signal in (music, SILENCE, music[:1], SILENCE[:1]):
        assert metric(signal, signal.copy(), sample_rate=RATE) == identical
    for length in (RATE, 1):
        sound, nothing = music[-length:], SILENCE[-length:]
        assert metric(sound, nothing, sample_rate=RATE) == silent_estimate
        assert metric(nothing, sound, sample_rate=RATE) == silent_reference


@pytest.mark.parametrize("level_db", [-40.0, -6.0, 0.0, 12.0])
def test_snr_is_the_level_at_which_noise_was_added(level_db: float, music: np.ndarray, noise: np.ndarray) -> None:
    music, noise = music.astype(float), noise.astype(float)
    scale = 10 ** (level_db / 20) * np.linalg.norm(music) / np.linalg.norm(noise)
    assert snr_db(music, music + scale * noise, sample_rate=RATE) == pytest.approx(-level_db, abs=1e-9)


def test_si_sdr_is_the_angle_between_the_signals(music: np.ndarray, noise: np.ndarray) -> None:
    """Independent form: with c the cosine of the angle, SI-SDR = 10 log10(c^2 / (1 - c^2))."""
    estimate = (music + 0.1 * noise).astype(float)
    cosine = estimate @ music / (np.linalg.norm(estimate) * np.linalg.norm(music.astype(float)))
    expected = 10 * math.log10(cosine**2 / (1 - cosine**2))
    assert si_sdr_db(music, estimate, sample_rate=RATE) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("gain", [1e-3, 0.25, -1.0, 7.0])
def test_si_sdr_ignores_gain_where_snr_does_not(gain: float, music: np.ndarray, noise: np.ndarray) -> None:
    estimate = (music + 0.05 * noise).astype(float)
    plain = si_sdr_db(music, estimate, sample_rate=RATE)
    assert si_sdr_db(music, gain * estimate, sample_rate=RATE) == pytest.approx(plain, abs=1e-9)
    assert snr_db(music, gain * estimate, sample_rate=RATE) < snr_db(music, estimate, sample_rate=RATE) - 1


def test_si_sdr_keeps_the_means() -> None:
    reference, estimate = np.array([1.0, 1.0]), np.array([1.0, 3.0])
    # a = 2, target [2, 2], distortion [1, -1]: 8 / 2. Without its mean the reference would be silent.
    assert si_sdr_db(reference, estimate, sample_rate=RATE) == pytest.approx(10 * math.log10(4))


def test_orthogonal_signals_share_nothing() -> None:
    reference, estimate = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert si_sdr_db(reference, estimate, sample_rate=RATE) == -INF
    assert snr_db(reference, estimate, sample_rate=RATE) == pytest.approx(-10 * math.log10(2))


@pytest.mark.parametrize(("gain", "expected"), [(2.0, 6.0206), (0.5, -6.0206), (-1.0, 0.0), (0.1, -20.0)])
def test_energy_ratio_is_the_gain(gain: float, expected: float, music: np.ndarray) -> None:
    louder = gain * music.astype(float)
    assert energy_ratio_db(music, louder, sample_rate=RATE) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("gain_db", [-20.0, 6.0])
def test_loudness_difference_is_the_gain(gain_db: float, music: np.ndarray) -> None:
    louder = 10 ** (gain_db / 20) * music
    assert loudness_difference_lu(music, louder, sample_rate=RATE) == pytest.approx(gain_db, abs=1e-3)
    assert loudness_difference_lu(music[:800], louder[:800], sample_rate=RATE) == pytest.approx(gain_db, abs=1e-3)


def test_loudness_weighs_frequencies_and_energy_does_not() -> None:
    time = np.arange(RATE) / RATE
    low, high = (0.1 * np.sin(2 * np.pi * hertz * time) for hertz in (50, 3000))
    assert energy_ratio_db(low, high, sample_rate=RATE) == pytest.approx(0, abs=0.01)
    assert loudness_difference_lu(low, high, sample_rate=RATE) > 5


def test_silence_is_as_far_as_the_gate(music: np.ndarray) -> None:
    down = loudness_difference_lu(music, SILENCE, sample_rate=RATE)
    assert -70 < down < -40
    assert loudness_difference_lu(music, 1e-6 * music, sample_rate=RATE) == down
    assert loudness_difference_lu(SILENCE, music, sample_rate=RATE) == -down
    assert loudness_difference_lu(SILENCE, 1e-6 * music, sample_rate=RATE) == 0.0


@pytest.mark.parametrize("metric", [snr_db, si_sdr_db])
def test_more_noise_is_worse(metric: Callable[..., float], music: np.ndarray, noise: np.ndarray) -> None:
    scores = [metric(music, music + scale * noise, sample_rate=RATE) for scale in (0.01, 0.03, 0.1, 0.3)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 20


def test_very_quiet_signals_do_not_divide_by_zero() -> None:
    quiet, other = np.full(4, 1e-200), np.array([1e-200, 0, 0, 0])
    assert si_sdr_db(quiet, other, sample_rate=RATE) == -INF
    assert not math.isnan(snr_db(quiet, other, sample_rate=RATE))
    assert not math.isnan(energy_ratio_db(quiet, other, sample_rate=RATE))
