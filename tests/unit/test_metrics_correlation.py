"""Correlation metrics against librosa's features, at their limits and under growing noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from noisebook.metrics import (
    centroid_correlation,
    mel_correlation,
    spectrum_correlation,
    waveform_correlation,
    zcr_correlation,
)
from noisebook.metrics.signals import pearson

RATE = 16000
MUSIC = Path(__file__).parents[1] / "sounds" / "music-16k.flac"
SILENCE = np.zeros(RATE)
METRICS = [waveform_correlation, spectrum_correlation, mel_correlation, centroid_correlation, zcr_correlation]
FEATURES = {
    waveform_correlation: lambda y: y,
    spectrum_correlation: lambda y: np.abs(np.fft.fft(y)),
    mel_correlation: lambda y: librosa.feature.melspectrogram(y=y, sr=RATE),
    centroid_correlation: lambda y: librosa.feature.spectral_centroid(y=y, sr=RATE),
    zcr_correlation: lambda y: librosa.feature.zero_crossing_rate(y),
}


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return soundfile.read(MUSIC)[0][RATE : 3 * RATE]


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(2).normal(size=2 * RATE)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-3, 0.1])
def test_the_features_are_those_of_librosa(
    metric: Callable[..., float], scale: float, music: np.ndarray, noise: np.ndarray
) -> None:
    estimate = music + scale * noise
    expected = np.corrcoef(*(FEATURES[metric](signal).ravel() for signal in (music, estimate)))[0, 1]
    assert metric(music, estimate, sample_rate=RATE) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_identity_is_one_and_silence_nothing(metric: Callable[..., float], music: np.ndarray) -> None:
    for signal in (music, SILENCE, music[:1], SILENCE[:1], np.full(RATE, 0.25)):
        assert metric(signal, signal.copy(), sample_rate=RATE) == 1.0
    sound = music[:RATE]
    for pair in ((sound, SILENCE), (SILENCE, sound), (sound, 1e-50 * sound), (sound[:100], -sound[:100])):
        assert metric(*pair, sample_rate=RATE) == 0.0


@pytest.mark.parametrize("metric", METRICS)
def test_gain_is_not_heard_and_the_rate_is(metric: Callable[..., float], music: np.ndarray, noise: np.ndarray) -> None:
    estimate = music + 0.03 * noise
    here = metric(music, estimate, sample_rate=RATE)
    assert metric(music, 0.25 * estimate, sample_rate=RATE) == pytest.approx(here, abs=1e-6)
    at_48 = [librosa.resample(s, orig_sr=RATE, target_sr=48000, res_type="soxr_hq") for s in (music, estimate)]
    assert metric(*at_48, sample_rate=48000) == pytest.approx(here, abs=0.02)


@pytest.mark.parametrize("metric", METRICS)
def test_more_noise_is_less_alike(metric: Callable[..., float], music: np.ndarray, noise: np.ndarray) -> None:
    scores = [metric(music, music + scale * noise, sample_rate=RATE) for scale in (1e-3, 0.05, 5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.3


def test_a_track_of_one_frame_does_not_move(music: np.ndarray) -> None:
    pair = music[:400], music[400:800]
    assert centroid_correlation(*pair, sample_rate=RATE) == zcr_correlation(*pair, sample_rate=RATE) == 0.0
    assert waveform_correlation(*pair, sample_rate=RATE) != 0.0


def test_pearson_knows_constants_and_small_numbers() -> None:
    ramp = np.arange(10.0)
    assert pearson(ramp, 3 - 2 * ramp) == pytest.approx(-1)
    assert pearson(1e-300 * ramp, ramp) == pytest.approx(1)
    assert pearson(ramp, np.full(10, 0.1)) == 0.0  # the mean of which is not 0.1 to the last bit
    assert pearson(np.full(10, 0.1), np.full(10, 0.3)) == 0.0
    assert pearson(np.zeros(3), np.zeros(3)) == 1.0
