from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from noisebook.audio.mel import LOG_FLOOR, MelConfig, log_mel, mel_filter_bank
from noisebook.errors import ConfigError

CONFIGS = [
    MelConfig(),
    MelConfig(sample_rate=22050, n_fft=1024, hop_length=256, n_mels=80, fmin=50.0, fmax=7600.0),
]


def reference_filters(config: MelConfig) -> np.ndarray:
    return librosa.filters.mel(
        sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.fmin, fmax=config.fmax
    )


def reference_log_mel(waveform: np.ndarray, config: MelConfig) -> np.ndarray:
    pad = (config.n_fft - config.hop_length) // 2
    padded = np.pad(waveform, (pad, pad), mode="reflect")
    spectrum = np.abs(librosa.stft(padded, n_fft=config.n_fft, hop_length=config.hop_length, center=False))
    return np.log(np.maximum(reference_filters(config) @ spectrum, 1e-5)).T


def signals(count: int) -> dict[str, np.ndarray]:
    time = np.arange(count) / 16000
    return {
        "noise": 0.3 * np.random.default_rng(0).standard_normal(count),
        "sine": 0.5 * np.sin(2 * np.pi * 1000 * time),
        "silence": np.zeros(count),
    }


@pytest.mark.parametrize("config", CONFIGS, ids=["audioldm", "hifigan"])
def test_filter_bank_is_librosa_s(config: MelConfig) -> None:
    assert mel_filter_bank(config).dtype == np.float32
    assert mel_filter_bank(config) == pytest.approx(reference_filters(config), abs=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=["audioldm", "hifigan"])
@pytest.mark.parametrize("kind", ["noise", "sine", "silence"])
def test_log_mel_is_librosa_s(kind: str, config: MelConfig) -> None:
    waveform = signals(config.hop_length * 60)[kind].astype(np.float32)
    mel = log_mel(torch.from_numpy(waveform)[None], config)
    assert mel.shape == (1, 1, 60, config.n_mels)
    assert np.abs(mel[0, 0].numpy() - reference_log_mel(waveform, config)).max() < 1e-4


def test_silence_is_the_floor() -> None:
    mel = log_mel(torch.zeros(1, 1600))
    assert mel.numpy() == pytest.approx(LOG_FLOOR, abs=1e-5)
    assert pytest.approx(-11.5129, abs=1e-4) == LOG_FLOOR


@pytest.mark.parametrize("count", [480, 1600, 16000, 16159, 163840])
def test_frames_are_samples_over_hop(count: int) -> None:
    assert log_mel(torch.zeros(1, count)).shape == (1, 1, count // 160, 64)


def test_batch_rows_are_independent() -> None:
    rows = torch.from_numpy(np.stack(list(signals(3200).values())).astype(np.float32))
    batch = log_mel(rows)
    assert batch.shape == (3, 1, 20, 64)
    for row, mel in zip(rows, batch, strict=True):
        assert torch.allclose(log_mel(row[None])[0], mel, atol=1e-5)


def test_too_short_is_an_error_with_the_limit() -> None:
    assert log_mel(torch.zeros(1, 433)).shape[2] == 2
    with pytest.raises(ConfigError, match="432 samples are too few: reflection needs more than 432"):
        log_mel(torch.zeros(1, 432))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_two_channels_have_the_mel_of_their_power_mean(sign: float) -> None:
    one = torch.from_numpy(signals(16000)["noise"].astype(np.float32))[None]
    other = torch.flip(one, [1])
    same = log_mel(torch.stack([one, sign * one], dim=1))
    assert torch.allclose(same, log_mel(one), atol=1e-5)
    alone = log_mel(torch.stack([one, torch.zeros_like(one)], dim=1))
    assert torch.allclose(alone, log_mel(one / 2**0.5), atol=1e-5)
    both = log_mel(torch.stack([one, other], dim=1))
    assert both.shape == (1, 1, 100, 64)
    power = (torch.exp(log_mel(one)) ** 2 + torch.exp(log_mel(other)) ** 2).mean() / 2
    # The mean of two varies less than each, so magnitudes are larger for the power that they have: 0.37 dB for noise.
    assert float(torch.exp(both).square().mean() / power) == pytest.approx(10**0.037, rel=0.02)
