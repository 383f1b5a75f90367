from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio import level, post
from noisebook.audio.features import BAND_FEATURES, MEL_FEATURES

RATE = 16000


def tone(hz: float, sample_rate: int = RATE, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(sample_rate * seconds)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * hz * time))[None].astype(np.float32)


def gain_db(filtered: np.ndarray, samples: np.ndarray) -> float:
    """Of the middle, away from the ends."""
    middle = slice(samples.shape[1] // 4, -samples.shape[1] // 4)
    return 10 * np.log10(np.square(filtered[:, middle]).sum() / np.square(samples[:, middle]).sum())


@pytest.mark.parametrize("cutoff", [50.0, 200.0])
def test_high_pass_cuts_where_it_says(cutoff):
    def gain(hz: float) -> float:
        samples = tone(hz)
        return gain_db(post.high_passed(samples, RATE, cutoff), samples)

    assert gain(0.5 * cutoff) < -40
    assert gain(cutoff) == pytest.approx(-6, abs=0.5)
    assert gain(1.6 * cutoff) == pytest.approx(0, abs=0.1)
    assert gain(3000) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("sample_rate", [16000, 44100])
@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_band_lift_acts_from_4_khz_up(factor, sample_rate):
    for hz, wanted in ((1000, 1), (3900, 1), (4250, (1 + factor) / 2), (4600, factor), (7000, factor), (12000, factor)):
        if hz < sample_rate / 2:
            samples = tone(hz, sample_rate)
            gain = gain_db(post.band_lifted(samples, sample_rate, factor), samples)
            assert gain == pytest.approx(20 * np.log10(wanted), abs=0.1), hz


def test_filters_delay_nothing():
    samples = np.random.default_rng(0).standard_normal((2, 30000)).astype(np.float32)
    whole = post.band_lifted(samples, RATE, 1.5)
    assert whole.shape == samples.shape
    assert whole.dtype == np.float32
    low = tone(440)
    assert np.abs(post.band_lifted(low, RATE, 2.0) - low)[:, 3000:-3000].max() < 1e-4


def test_mel_lift_raises_the_top_bins_by_decibels_with_a_ramp():
    mel = torch.zeros(1, 1, 5, 64)
    lift = post.lifted(mel, 6.0, MEL_FEATURES)[0, 0, 0] * 20 / np.log(10)
    assert (lift[:48] == 0).all()
    assert (lift[48:].diff() >= 0).all()
    assert lift[52:].numpy() == pytest.approx(6, abs=1e-5)
    assert 0 < float(lift[48]) < 1  # not a step
    # It is added to a logarithm: louder whatever the sign of the mel.
    assert torch.allclose(post.lifted(mel - 9, 6.0, MEL_FEATURES), post.lifted(mel, 6.0, MEL_FEATURES) - 9, atol=1e-5)


def test_mel_lift_of_bands_raises_those_above_3700_hz():
    lift = post.lifted(torch.zeros(1, 1, 2, BAND_FEATURES.bins), 6.0, BAND_FEATURES)[0, 0, 0] * 20 / np.log(10)
    high = BAND_FEATURES.centres > 3700
    assert (lift[~high] == 0).all()
    assert (lift[high] > 0).all()
    assert lift[high][4:].numpy() == pytest.approx(6, abs=1e-5)


def test_smoothing_averages_over_time_alone():
    mel = torch.zeros(1, 1, 9, 64)
    mel[0, 0, 4, 10] = 3.0
    smooth = post.smoothed(mel, 3)
    assert smooth.shape == mel.shape
    assert smooth[0, 0, :, 10].tolist() == pytest.approx([0, 0, 0, 1, 1, 1, 0, 0, 0])
    assert float(smooth[0, 0, :, [9, 11]].abs().max()) == 0
    ramp = torch.arange(9.0).view(1, 1, 9, 1).expand(1, 1, 9, 64)
    assert torch.allclose(post.smoothed(ramp, 3)[0, 0, 1:-1], ramp[0, 0, 1:-1])
    assert torch.equal(post.smoothed(mel, 1), mel)


def test_high_band_energy_hears_the_high_band_alone():
    high = post.high_band_energy(tone(6000), RATE)
    assert post.high_band_energy(tone(1000), RATE) < 1e-5 * high
    assert post.high_band_energy(2 * tone(6000), RATE) == pytest.approx(4 * high, rel=1e-4)
    assert post.high_band_loss_db(tone(6000), 0.5 * tone(6000), RATE) == pytest.approx(6.02, abs=0.01)
    assert post.high_band_loss_db(0.5 * tone(6000), tone(6000), RATE) == pytest.approx(-6.02, abs=0.01)
    assert post.high_band_loss_db(0 * tone(6000), tone(6000), RATE) == 0


def test_energy_does_not_depend_on_pieces(monkeypatch):
    samples = np.random.default_rng(1).standard_normal((2, 50000)).astype(np.float32)
    whole = post.high_band_energy(samples, RATE)
    monkeypatch.setattr(level, "_PIECE", 2**12)
    assert post.high_band_energy(samples, RATE) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(("level", "limits", "softness", "expected"), [
    (0.5, (0.1, 10), 0, 2.0),
    (2.0, (0.1, 10), 0, 0.5),
    (0.01, (0.1, 10), 0, 10.0),
    (100.0, (0.1, 10), 0, 0.1),
    (0.01, (0.3, 3), 0, 3.0),
    (0.5, (0.2, 5), 0.2, 1.8),
    (0.1, (0.2, 5), 0.2, 5.0),
])  # fmt: skip
def test_loudness_ratio_stays_in_its_range(level, limits, softness, expected):
    samples = tone(440)
    assert post.loudness_ratio(samples, level * samples, limits, softness=softness) == pytest.approx(expected, rel=1e-5)


def test_silence_is_not_made_louder():
    assert post.loudness_ratio(tone(440), 0 * tone(440), (0.1, 10)) == 1
    assert post.peak_gain(0 * tone(440)) == 1


def test_the_peak_guard_only_turns_down():
    assert post.peak_gain(0.5 * tone(440)) == 1
    loud = 10 * tone(440)
    assert np.abs(loud * np.float32(post.peak_gain(loud))).max() == pytest.approx(1, abs=1e-6)
