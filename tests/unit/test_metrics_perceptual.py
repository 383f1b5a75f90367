"""Perceptual metrics: bounds, order and documented ends; each skips where its package is not installed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from noisebook.errors import AudioError, MissingExtra
from noisebook.metrics import estoi, pesq_wb, stoi, visqol, zimtohrli

RATE = 16000
# metric, package, best, worst, a length in samples that is too short
CASES = [
    pytest.param(zimtohrli, "zimtohrli", 5.0, 1.0, 3999, id="zimtohrli"),
    pytest.param(stoi, "pystoi", 1.0, 0.0, 7999, id="stoi"),
    pytest.param(estoi, "pystoi", 1.0, 0.0, 7999, id="estoi"),
    pytest.param(pesq_wb, "pesq", 4.643888, 1.0, 3999, id="pesq_wb"),
    pytest.param(visqol, "visqol", 4.732101, 1.0, 15999, id="visqol"),
]
QUICK = CASES[:4]


@pytest.fixture
def speech() -> np.ndarray:
    """2 s of syllables: a buzz of 120 Hz through two moving resonances, with pauses."""
    time = np.arange(2 * RATE) / RATE
    buzz = sum(
        np.sin(2 * np.pi * 120 * k * time)
        * (
            np.exp(-(((120 * k - 600 - 200 * np.sin(7 * time)) / 200) ** 2))
            + 0.3 * np.exp(-(((120 * k - 1800 + 500 * np.sin(9 * time)) / 300) ** 2))
        )
        for k in range(1, 40)
    )
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, None) ** 0.5
    hiss = 1e-3 * np.random.default_rng(0).normal(size=time.size)
    return (0.2 * buzz * syllables + hiss).astype(np.float32)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(3).normal(size=2 * RATE).astype(np.float32)


@pytest.mark.parametrize(("metric", "package", "best", "worst", "short"), QUICK)
def test_identity_is_best_and_more_noise_is_worse(
    metric: Callable[..., float],
    package: str,
    best: float,
    worst: float,
    short: int,
    speech: np.ndarray,
    noise: np.ndarray,
) -> None:
    pytest.importorskip(package, reason="needs noisebook[metrics]")
    scores = [metric(speech, speech + level * noise, sample_rate=RATE) for level in (0, 0.001, 0.005, 0.03)]
    assert scores[0] == pytest.approx(best, abs=1e-3)
    assert scores == sorted(scores, reverse=True)
    assert all(before - after > 0.01 for before, after in pairwise(scores))
    assert scores[-1] >= worst


@pytest.mark.parametrize(("metric", "package", "best", "worst", "short"), QUICK)
def test_the_rate_is_taken_into_account(
    metric: Callable[..., float],
    package: str,
    best: float,
    worst: float,
    short: int,
    speech: np.ndarray,
    noise: np.ndarray,
) -> None:
    """The same sound at 32 kHz scores the same; misread as 64 kHz it does not."""
    pytest.importorskip(package, reason="needs noisebook[metrics]")
    import soxr

    pair = speech, speech + np.float32(0.01) * noise
    doubled = [soxr.resample(signal, RATE, 2 * RATE) for signal in pair]
    here = metric(*pair, sample_rate=RATE)
    assert metric(*doubled, sample_rate=2 * RATE) == pytest.approx(here, abs=0.05)
    assert abs(metric(*doubled, sample_rate=4 * RATE) - here) > 0.07


@pytest.mark.parametrize(("metric", "package", "best", "worst", "short"), CASES)
def test_silence_and_short_clips_score_the_documented_ends(
    metric: Callable[..., float],
    package: str,
    best: float,
    worst: float,
    short: int,
    speech: np.ndarray,
    noise: np.ndarray,
) -> None:
    pytest.importorskip(package, reason="needs noisebook[metrics]")
    silence = np.zeros_like(speech)
    inaudible = 1e-50 * speech.astype(float)  # silence to single precision, in which the packages compute
    pairs = [(speech, silence), (silence, speech), (speech, inaudible), (inaudible, speech)]
    pairs += [(noise[:1], speech[:1]), (noise[:short], speech[:short])]
    for reference, estimate in pairs:
        assert metric(reference, estimate, sample_rate=RATE) == worst
        assert metric(estimate, estimate.copy(), sample_rate=RATE) == pytest.approx(best, abs=1e-3)
    with pytest.raises(AudioError, match="equal lengths"):
        metric(speech, speech[:-1], sample_rate=RATE)


def test_estoi_of_a_single_click_is_the_documented_end(speech: np.ndarray) -> None:
    """Less than 30 frames carry sound: pystoi itself would warn and answer 1e-5."""
    pytest.importorskip("pystoi", reason="needs noisebook[metrics]")
    click = np.zeros_like(speech)
    click[100] = 1
    assert estoi(click, speech, sample_rate=RATE) == 0.0
    assert estoi(click, click.copy(), sample_rate=RATE) == 1.0


def test_pesq_without_an_utterance_is_the_documented_end(speech: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pesq = pytest.importorskip("pesq", reason="needs noisebook[metrics]")

    def find_nothing(*args: object) -> float:
        raise pesq.NoUtterancesError(b"No utterances detected")

    monkeypatch.setattr(pesq, "pesq", find_nothing)
    assert pesq_wb(speech, 0.5 * speech, sample_rate=RATE) == 1.0
    assert pesq_wb(speech, speech.copy(), sample_rate=RATE) == pytest.approx(4.643888)


@pytest.mark.slow
def test_visqol_orders_and_stays_silent(
    speech: np.ndarray, noise: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("visqol", reason="needs noisebook[metrics]")
    scores = [visqol(speech, speech + level * noise, sample_rate=RATE) for level in (0, 0.01, 0.1)]
    assert scores[0] == pytest.approx(4.732101, abs=1e-3)
    assert scores[0] > scores[1] > scores[2] >= 1
    logging.getLogger("visqol.patch_selector").warning("a remark that nobody asked for")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("metric", "package", "best", "worst", "short"), CASES)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    metric: Callable[..., float],
    package: str,
    best: float,
    worst: float,
    short: int,
    speech: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from noisebook.metrics import perceptual

    perceptual._visqol_api.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package}.*pip install 'noisebook\[metrics\]'"):
        metric(speech, speech, sample_rate=RATE)
