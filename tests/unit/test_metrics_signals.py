"""The validation that every metric shares, and the spectrogram under the spectral ones."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from noisebook.errors import AudioError, ConfigError
from noisebook.metrics import METRICS, validate
from noisebook.metrics.signals import power_spectrogram, resample

PAIR = np.ones(8, np.float32)
NUMPY_ONLY = [metric for metric in METRICS if metric.needs is None]


@pytest.mark.parametrize(
    ("reference", "estimate", "message"),
    [
        (PAIR, PAIR[:7], "reference has 8 samples and estimate 7"),
        (PAIR[:0], PAIR[:0], r"reference has shape \(0,\)"),
        (PAIR, PAIR.reshape(2, 4), r"estimate has shape \(2, 4\)"),
        (PAIR * 1j, PAIR, "reference has dtype complex"),
        (PAIR, np.array(["a"] * 8), "estimate has dtype <U1"),
        (PAIR, PAIR * np.float32(np.nan), "estimate holds NaN or infinite"),
        (np.full(8, -np.inf), PAIR, "reference holds NaN or infinite"),
    ],
)
def test_malformed_signals_are_refused_by_name(reference: np.ndarray, estimate: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        validate(reference, estimate, sample_rate=16000)


@pytest.mark.parametrize("sample_rate", [0, -16000])
def test_a_rate_that_is_none_is_refused(sample_rate: int) -> None:
    with pytest.raises(ConfigError, match=f"sample_rate {sample_rate}"):
        validate(PAIR, PAIR, sample_rate=sample_rate)


@pytest.mark.parametrize("metric", NUMPY_ONLY, ids=lambda metric: metric.name)
def test_every_metric_validates(metric) -> None:
    pair = np.stack((PAIR, PAIR)) if metric.kind == "stereo" else PAIR
    with pytest.raises(AudioError, match="8 samples and estimate 7"):
        metric.function(pair, pair[..., :7], sample_rate=16000)
    with pytest.raises(ConfigError, match="sample_rate 0"):
        metric.function(pair, pair, sample_rate=0)


def test_validate_keeps_the_callers_samples_and_widens_integers() -> None:
    samples = np.array([-32768, 32767], np.int16)
    reference, estimate = validate(samples, samples, sample_rate=8000)
    assert reference.dtype == estimate.dtype == np.float64
    assert reference.tolist() == [-32768.0, 32767.0]
    reference[0] = 0
    assert samples[0] == -32768


@pytest.mark.parametrize("n_fft", [512, 1024, 2048])
@pytest.mark.parametrize("length", [2049, 5000, 5120])
def test_power_spectrogram_equals_librosa(n_fft: int, length: int) -> None:
    signal = np.random.default_rng(n_fft).normal(size=length)
    expected = np.abs(librosa.stft(signal, n_fft=n_fft, hop_length=n_fft // 4, pad_mode="reflect")) ** 2
    mine = power_spectrogram(signal, n_fft=n_fft, hop_length=n_fft // 4)
    np.testing.assert_allclose(mine, expected.T, rtol=1e-9, atol=1e-9)


def test_short_signals_are_extended_with_silence() -> None:
    short, extended = np.ones(1), np.append(1.0, np.zeros(256))
    assert np.array_equal(
        power_spectrogram(short, n_fft=512, hop_length=128),
        power_spectrogram(extended, n_fft=512, hop_length=128),
    )


def test_resample_keeps_a_tone_and_skips_equal_rates() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert resample(tone, sample_rate=16000, to=16000) is tone
    raised = resample(tone, sample_rate=16000, to=48000)
    expected = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    assert raised.size == 48000
    assert np.abs(raised - expected)[4800:-4800].max() < 1e-3
