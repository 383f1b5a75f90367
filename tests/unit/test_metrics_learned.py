"""Metrics with weights of their own: order, documented ends, and what they say where a package is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

import noisebook
from noisebook.errors import AudioError, MissingExtra
from noisebook.metrics import cdpam, dnsmos

RATE = 16000
ASSETS = Path(noisebook.__file__).parent / "assets"


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return soundfile.read(ASSETS / "demo-speech.flac")[0][: 5 * RATE]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the package was given, in place of the package."""
    given: list[np.ndarray] = []

    def run(sample: np.ndarray, rate: int) -> dict[str, float]:
        assert rate == RATE
        given.append(sample)
        return {"ovrl_mos": 3.5, "sig_mos": 4.0}

    package = type(sys)("speechmos.dnsmos")
    package.run = run  # type: ignore[attr-defined]
    for name, module in (("onnxruntime", type(sys)("onnxruntime")), ("speechmos.dnsmos", package)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "speechmos", type(sys)("speechmos"))
    return given


def test_dnsmos_hears_noise_in_speech(speech: np.ndarray) -> None:
    pytest.importorskip("onnxruntime", reason="needs noisebook[metrics]")
    pytest.importorskip("speechmos", reason="needs noisebook[metrics]")
    noise = np.random.default_rng(0).normal(size=speech.size)
    clean = dnsmos(speech, speech, sample_rate=RATE)
    noisy = dnsmos(speech, speech + 0.05 * noise, sample_rate=RATE)
    assert 5 >= clean > noisy + 0.5 > 1.5


def test_dnsmos_judges_the_estimate_at_16_khz_within_full_scale(speech: np.ndarray, heard: list[np.ndarray]) -> None:
    assert dnsmos(0 * speech, speech, sample_rate=RATE) == 3.5
    assert dnsmos(speech, 40 * speech, sample_rate=RATE) == 3.5
    assert dnsmos(speech, speech, sample_rate=2 * RATE) == 3.5
    assert np.array_equal(heard[0], speech)
    assert np.abs(heard[1]).max() == 1
    assert heard[2].size == speech.size // 2


def test_dnsmos_of_silence_and_of_a_short_clip_is_the_worst(speech: np.ndarray, heard: list[np.ndarray]) -> None:
    silence = np.zeros_like(speech)
    assert dnsmos(speech, silence, sample_rate=RATE) == dnsmos(silence, silence, sample_rate=RATE) == 1.0
    assert dnsmos(speech[:3999], speech[:3999], sample_rate=RATE) == 1.0
    with pytest.raises(AudioError, match="equal lengths"):
        dnsmos(speech, speech[:-1], sample_rate=RATE)
    assert heard == []


@pytest.mark.slow
def test_cdpam_is_a_distance(speech: np.ndarray) -> None:
    pytest.importorskip("resampy", reason="needs noisebook[cdpam]")
    if find_spec("cdpam") is None:
        pytest.skip("needs noisebook[cdpam]")
    short = speech[: RATE // 2]
    noise = np.random.default_rng(0).normal(size=short.size)
    scores = [cdpam(short, short + level * noise, sample_rate=RATE) for level in (0, 0.003, 0.1)]
    assert scores[0] == 0.0 < scores[1] < scores[2]
    assert cdpam(short, 0 * short, sample_rate=RATE) == 2.0
    assert cdpam(0 * short, 0 * short, sample_rate=RATE) == 0.0


@pytest.mark.parametrize(
    ("metric", "package", "extra"),
    [(dnsmos, "speechmos", "metrics"), (dnsmos, "onnxruntime", "metrics"), (cdpam, "cdpam", "cdpam")],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    metric: Callable[..., float], package: str, extra: str, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("speechmos", "onnxruntime", "cdpam", "resampy"):
        stub = None if name == package else type(sys)(name)
        monkeypatch.setitem(sys.modules, name, stub)
    monkeypatch.delitem(sys.modules, "speechmos.dnsmos", raising=False)
    with pytest.raises(MissingExtra, match=rf"{package}.*pip install 'noisebook\[{extra}\]'"):
        metric(speech, speech, sample_rate=RATE)
