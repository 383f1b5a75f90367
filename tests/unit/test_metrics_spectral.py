"""Spectral metrics against straight-line librosa versions, at their limits and under growing noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import librosa
import numpy as np
import pytest

from noisebook.audio.mel import LOG_FLOOR, log_mel
from noisebook.errors import AudioError
from noisebook.metrics import (
    band_energy_ratio_db,
    band_level_db,
    log_mel_l1_db,
    log_spectral_distance_db,
    mel_db_mae,
    multi_resolution_stft,
)

RATE = 16000
SILENCE = np.zeros(RATE, np.float32)
DISTANCES = [mel_db_mae, multi_resolution_stft, log_spectral_distance_db]


@pytest.fixture
def music() -> np.ndarray:
    time = np.arange(RATE) / RATE
    chirp = 0.3 * np.sin(2 * np.pi * (200 + 1500 * time) * time) * np.exp(-2 * time)
    return (chirp + 0.001 * np.random.default_rng(1).normal(size=RATE)).astype(np.float32)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(2).normal(size=RATE).astype(np.float32)


def _librosa_mel_db(signal: np.ndarray) -> np.ndarray:
    spectrum = np.abs(librosa.stft(signal.astype(float), n_fft=1024, hop_length=256, pad_mode="reflect")) ** 2
    filters = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=128, htk=True, norm=None, dtype=float)
    return librosa.power_to_db(filters @ spectrum, ref=1.0, amin=1e-10, top_db=80.0)


@pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning")
@pytest.mark.parametrize("scale", [1e-4, 0.05, 1.0])
def test_mel_db_mae_equals_librosa(scale: float, music: np.ndarray, noise: np.ndarray) -> None:
    estimate = music + scale * noise
    expected = np.abs(_librosa_mel_db(music) - _librosa_mel_db(estimate)).mean()
    assert mel_db_mae(music, estimate, sample_rate=RATE) == pytest.approx(expected, rel=1e-6)


def test_mel_db_mae_clamps_each_side_at_its_own_maximum(music: np.ndarray) -> None:
    """A pure gain of 20 dB moves every cell, the clamped ones included, by 20 dB."""
    assert mel_db_mae(music, 0.1 * music, sample_rate=RATE) == pytest.approx(20, abs=1e-3)


def test_mel_db_mae_judges_at_16_khz(music: np.ndarray, noise: np.ndarray) -> None:
    reference, estimate = music, music + 0.02 * noise
    at_48 = [librosa.resample(s, orig_sr=RATE, target_sr=48000, res_type="soxr_hq") for s in (reference, estimate)]
    here = mel_db_mae(reference, estimate, sample_rate=RATE)
    assert mel_db_mae(*at_48, sample_rate=48000) == pytest.approx(here, rel=0.05)
    assert abs(mel_db_mae(*at_48, sample_rate=RATE) - here) > 0.2 * here


def test_log_spectral_distance_equals_its_formula(music: np.ndarray, noise: np.ndarray) -> None:
    estimate = music + 0.01 * noise
    spectra = [
        np.abs(librosa.stft(s.astype(float), n_fft=2048, hop_length=512, pad_mode="reflect")) for s in (music, estimate)
    ]
    per_frame = []
    for frame, frame_hat in zip(spectra[0].T, spectra[1].T, strict=True):
        difference = 20 * np.log10(np.maximum(frame, 1e-5)) - 20 * np.log10(np.maximum(frame_hat, 1e-5))
        per_frame.append(math.sqrt(np.mean(difference**2)))
    mine = log_spectral_distance_db(music, estimate, sample_rate=RATE)
    assert mine == pytest.approx(np.mean(per_frame), rel=1e-9)


def test_multi_resolution_stft_equals_its_formula(music: np.ndarray, noise: np.ndarray) -> None:
    estimate = music + 0.01 * noise
    terms = []
    for n_fft in (512, 1024, 2048):
        a, b = (
            np.abs(librosa.stft(s.astype(float), n_fft=n_fft, hop_length=n_fft // 4, pad_mode="reflect"))
            for s in (music, estimate)
        )
        convergence = math.sqrt(((a - b) ** 2).sum() / (a**2).sum())
        terms.append(convergence + np.abs(np.log(a.clip(1e-5)) - np.log(b.clip(1e-5))).mean())
    mine = multi_resolution_stft(music, estimate, sample_rate=RATE)
    assert mine == pytest.approx(np.mean(terms), rel=1e-9)


@pytest.mark.parametrize("metric", DISTANCES)
def test_identical_signals_have_no_distance(metric: Callable[..., float], music: np.ndarray) -> None:
    for signal in (music, SILENCE, music[1:2], SILENCE[:1], music[:700]):
        assert metric(signal, signal.copy(), sample_rate=RATE) == 0.0


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("length", [RATE, 1])
def test_silence_is_far_but_documented(
    metric: Callable[..., float], length: int, music: np.ndarray, noise: np.ndarray
) -> None:
    sound, nothing = noise[:length], SILENCE[:length]
    assert 0 < metric(sound, nothing, sample_rate=RATE) < math.inf
    backwards = metric(nothing, sound, sample_rate=RATE)
    if metric is multi_resolution_stft:
        assert backwards == math.inf
    else:
        assert backwards == pytest.approx(metric(sound, nothing, sample_rate=RATE))


@pytest.mark.parametrize("metric", DISTANCES)
def test_more_noise_is_farther(metric: Callable[..., float], music: np.ndarray, noise: np.ndarray) -> None:
    scores = [metric(music, music + scale * noise, sample_rate=RATE) for scale in (1e-3, 1e-2, 0.1, 1.0)]
    assert scores == sorted(scores)
    assert scores[-1] > 2 * scores[0] > 0


@pytest.mark.parametrize("metric", DISTANCES)
def test_polarity_is_not_heard(metric: Callable[..., float], music: np.ndarray) -> None:
    assert metric(music, -music, sample_rate=RATE) == 0.0


def shelved(high_gain: float = 1.0) -> np.ndarray:
    """Noise, of which what lies above 4 kHz is louder or softer."""
    spectrum = np.fft.rfft(0.1 * np.random.default_rng(5).normal(size=RATE))
    spectrum[np.fft.rfftfreq(RATE, 1 / RATE) > 4000] *= high_gain
    return np.fft.irfft(spectrum)


@pytest.mark.parametrize("metric", [log_spectral_distance_db, mel_db_mae])
def test_a_band_hears_what_lies_in_it(metric: Callable[..., float]) -> None:
    pair = shelved(), shelved(0.1)
    inside, across = (metric(*pair, sample_rate=RATE, band=band) for band in ((4100, 8000), (0, 4000)))
    assert inside == pytest.approx(20, abs=0.5)
    assert across < 1
    whole = metric(*pair, sample_rate=RATE)
    assert across < whole < inside
    assert metric(*pair, sample_rate=RATE, band=(-math.inf, math.inf)) == whole


def test_band_level_hears_every_moment(noise: np.ndarray) -> None:
    band = (2000.0, 4000.0)
    assert band_level_db(noise, noise, sample_rate=RATE, band=band) == 0
    assert band_level_db(noise, 0.5 * noise, sample_rate=RATE, band=band) == pytest.approx(6.02, abs=0.01)
    louder_and_softer = noise * np.where(np.arange(RATE) < RATE / 2, 2, 0.5)  # the mean error of level is 0
    assert band_level_db(noise, louder_and_softer, sample_rate=RATE, band=band) == pytest.approx(6, abs=0.3)
    assert band_level_db(noise, SILENCE, sample_rate=RATE, band=band) > 40
    assert band_level_db(SILENCE, noise, sample_rate=RATE, band=band) > 40


def test_band_level_leaves_out_what_nobody_hears() -> None:
    low = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    top = 1e-5 * np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE)  # 100 dB below
    assert band_level_db(low, low + top, sample_rate=RATE, band=(2000.0, 4000.0)) < 0.01
    assert band_level_db(low, low + 1e4 * top, sample_rate=RATE, band=(2000.0, 4000.0)) > 35
    assert band_level_db(low, 0.5 * low, sample_rate=RATE) == 0  # nothing from 8 to 16 kHz at this rate


def test_band_energy_ratio_is_the_gain_of_the_band() -> None:
    pair = shelved(), shelved(0.1)
    assert band_energy_ratio_db(*pair, sample_rate=RATE) == pytest.approx(-20, abs=1e-6)
    assert band_energy_ratio_db(*pair[::-1], sample_rate=RATE) == pytest.approx(20, abs=1e-6)
    assert band_energy_ratio_db(*pair, sample_rate=RATE, band=(0, 4000)) == pytest.approx(0, abs=1e-6)
    down = band_energy_ratio_db(pair[0], SILENCE, sample_rate=RATE)
    mean_square = np.square(np.fft.irfft(np.where(np.arange(RATE // 2 + 1) > 4000, np.fft.rfft(pair[0]), 0))).mean()
    assert down == pytest.approx(-100 - 10 * math.log10(mean_square), abs=0.01)


def test_a_band_that_the_rate_does_not_reach_agrees(music: np.ndarray, noise: np.ndarray) -> None:
    band = (8000.0, math.inf)
    for metric in (log_spectral_distance_db, band_energy_ratio_db):
        assert metric(music, noise, sample_rate=RATE, band=band) == 0.0
        assert metric(music, noise, sample_rate=2 * RATE, band=band) > 1


def test_log_mel_distance_of_a_gain_is_the_gain_in_db(music: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    signal = np.tile(np.abs(music) + 0.5, 2)  # no bin near the floor, where a gain would be hidden
    signal += 0.1 * np.random.default_rng(3).normal(size=signal.size).astype(np.float32)
    mels = [log_mel(torch.from_numpy(gain * signal)[None]).numpy() for gain in (1.0, 0.5)]
    assert log_mel_l1_db(*mels) == pytest.approx(20 * math.log10(2), abs=1e-4)
    assert log_mel_l1_db(mels[0], mels[0]) == 0.0


def test_log_mel_distance_by_hand() -> None:
    reference = np.full((1, 1, 2, 2), LOG_FLOOR, np.float32)
    estimate = reference.copy()
    estimate[0, 0, 0, 0] += 1
    expected = 20 / math.log(10) / 4  # one neper in one cell of four
    assert log_mel_l1_db(reference, estimate) == pytest.approx(expected, rel=1e-6)
    assert log_mel_l1_db(estimate, reference) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("reference", "estimate", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), r"shapes \(2, 3\) and \(3, 2\)"),
        (np.zeros((2, 3)), np.zeros((1, 3)), "shapes"),
        (np.zeros((0, 64)), np.zeros((0, 64)), "non-empty"),
        (np.zeros(2), np.array([0.0, np.nan]), "NaN or infinite"),
        (np.full(2, -np.inf), np.zeros(2), "NaN or infinite"),
    ],
)
def test_malformed_mels_are_refused(reference: np.ndarray, estimate: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        log_mel_l1_db(reference, estimate)
