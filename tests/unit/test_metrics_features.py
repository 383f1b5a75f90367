"""Timbre, harmony, onsets and tempo: what each hears, what it does not, and its documented ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisebook.errors import MissingExtra
from noisebook.metrics import (
    chroma_similarity,
    mfcc_correlation,
    mfcc_correlation_without_c0,
    onset_correlation,
    tempo_agreement,
)

librosa = pytest.importorskip("librosa", reason="needs noisebook[metrics]")

RATE = 16000
MUSIC = Path(__file__).parents[1] / "sounds" / "music-16k.flac"
METRICS = [mfcc_correlation, mfcc_correlation_without_c0, chroma_similarity, onset_correlation, tempo_agreement]


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return soundfile.read(MUSIC)[0][RATE : 4 * RATE]


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(2).normal(size=3 * RATE)


def chord(midi: list[int], seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.1 * sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) for note in midi)  # type: ignore[return-value]


def clicks(bpm: float, seconds: float = 8.0) -> np.ndarray:
    sound = np.zeros(round(seconds * RATE))
    decay = np.exp(-np.arange(800) / 100) * np.random.default_rng(0).normal(size=800)
    for start in np.arange(0, sound.size - 800, 60 / bpm * RATE).astype(int):
        sound[start : start + 800] = decay
    return sound


@pytest.mark.parametrize("metric", METRICS)
def test_identity_is_one_and_silence_nothing(metric: Callable[..., float], music: np.ndarray) -> None:
    silence = np.zeros_like(music)
    for signal in (music, silence, music[:1], np.full(RATE, 0.25)):
        assert metric(signal, signal.copy(), sample_rate=RATE) == 1.0
    for pair in ((music, silence), (silence, music), (music[:100], -music[:100])):
        assert metric(*pair, sample_rate=RATE) == 0.0


@pytest.mark.parametrize("metric", METRICS)
def test_constants_and_short_clips_give_a_number(metric: Callable[..., float], music: np.ndarray) -> None:
    constant = np.full(RATE, 0.25)
    for pair in ((music[:RATE], constant), (constant, music[:RATE]), (music[:200], music[200:400])):
        assert -1 <= metric(*pair, sample_rate=RATE) <= 1


@pytest.mark.parametrize("metric", METRICS[:4])
def test_more_noise_is_less_alike(metric: Callable[..., float], music: np.ndarray, noise: np.ndarray) -> None:
    scores = [metric(music, music + scale * noise, sample_rate=RATE) for scale in (1e-3, 0.03, 1.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.1


def test_mfcc_is_librosas_with_and_without_the_level(music: np.ndarray, noise: np.ndarray) -> None:
    estimate = music + 0.05 * noise
    mfcc, mfcc_hat = (librosa.feature.mfcc(y=y, sr=RATE, n_mfcc=13) for y in (music, estimate))
    with_level = np.corrcoef(mfcc.ravel(), mfcc_hat.ravel())[0, 1]
    without = np.corrcoef(mfcc[1:].ravel(), mfcc_hat[1:].ravel())[0, 1]
    assert mfcc_correlation(music, estimate, sample_rate=RATE) == pytest.approx(with_level)
    assert mfcc_correlation_without_c0(music, estimate, sample_rate=RATE) == pytest.approx(without)


def test_chroma_hears_the_chord_and_not_the_octave() -> None:
    major, octave, other = chord([60, 64, 67]), chord([72, 76, 79]), chord([61, 66, 70])
    assert chroma_similarity(major, octave, sample_rate=RATE) > 0.9
    assert chroma_similarity(major, other, sample_rate=RATE) < 0.1
    noise = np.random.default_rng(0).normal(size=major.size)
    assert abs(chroma_similarity(major, noise, sample_rate=RATE)) < 0.3


def test_chroma_leaves_the_silent_frames_of_the_reference_out() -> None:
    major, silence = chord([60, 64, 67]), np.zeros(RATE)
    reference, estimate = np.concatenate((major, silence)), np.concatenate((major, chord([61, 66, 70])))
    assert chroma_similarity(reference, estimate, sample_rate=RATE) > 0.85
    assert chroma_similarity(estimate, reference, sample_rate=RATE) < 0.6


def test_onsets_hear_when_and_not_how_loud() -> None:
    beat = clicks(120)
    swelling = np.linspace(0.2, 1, beat.size) * beat
    assert onset_correlation(beat, swelling, sample_rate=RATE) > 0.8
    assert onset_correlation(beat, np.roll(beat, RATE // 4), sample_rate=RATE) < 0.2


def test_tempo_agreement_is_the_ratio_of_tempi() -> None:
    slow, fast = clicks(100), clicks(125)
    assert tempo_agreement(slow, np.roll(slow, 3000), sample_rate=RATE) == pytest.approx(1, abs=0.05)
    assert tempo_agreement(slow, fast, sample_rate=RATE) == pytest.approx(0.8, abs=0.05)


@pytest.mark.slow
def test_the_tempo_is_that_of_the_beat_tracker(music: np.ndarray) -> None:
    other = clicks(100)[: music.size]
    tempi = [float(np.atleast_1d(librosa.beat.beat_track(y=y, sr=RATE)[0])[0]) for y in (music, other)]
    expected = 1 - abs(tempi[0] - tempi[1]) / max(tempi)
    assert tempo_agreement(music, other, sample_rate=RATE) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_librosa_is_named_where_it_is_missing(metric: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingExtra, match=r"librosa.*pip install 'noisebook\[metrics\]'"):
        metric(np.ones(RATE), np.ones(RATE), sample_rate=RATE)
