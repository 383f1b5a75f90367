from __future__ import annotations

from math import inf

import numpy as np
import pytest
from scipy.signal import lfilter

from noisebook.audio.level import (
    BandPower,
    apply_gain,
    coding_gain,
    loudness_lufs,
    loudness_of,
    peak_db,
    typical_change_db,
)
from noisebook.audio.waveform import Waveform

SHELF = [1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585]
HIGH_PASS = [1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]


def sine(sample_rate: int, *, seconds: float = 3.0, frequency: float = 997.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * sample_rate)) / sample_rate)


def lufs(samples: np.ndarray, sample_rate: int = 48000) -> float:
    return loudness_lufs(Waveform.of(samples, sample_rate))


def reference_lufs(samples: np.ndarray) -> float:
    """BS.1770-4 at 48 kHz as the standard writes it: recursive filters, explicit blocks, two gates."""
    weighted = lfilter(*HIGH_PASS, lfilter(*SHELF, samples, axis=1), axis=1)
    starts = range(0, samples.shape[1] - 19200 + 1, 4800)
    power = np.array([np.square(weighted[:, start : start + 19200]).mean(axis=1).sum() for start in starts])
    loudness = -0.691 + 10 * np.log10(power)
    kept = power[loudness > -70]
    threshold = -0.691 + 10 * np.log10(kept.mean()) - 10
    return float(-0.691 + 10 * np.log10(power[(loudness > -70) & (loudness > threshold)].mean()))


def test_peak_of_a_sine() -> None:
    assert peak_db(sine(48000)) == pytest.approx(0, abs=1e-3)
    assert peak_db(np.array([[0.1, -0.5]], np.float32)) == pytest.approx(-6.0206, abs=1e-4)


def test_silence_is_minus_infinity() -> None:
    assert peak_db(np.zeros(5, np.float32)) == -inf
    assert lufs(np.zeros(96000)) == -inf
    assert lufs(np.zeros(10)) == -inf


@pytest.mark.parametrize(
    ("peak", "gain"),
    [(0.5, 0), (1.0, -12), (0.25, 12), (-0.05, 40), (1e-30, 127), (1e-45, 127), (1e30, -128)],
)
def test_coding_gain_in_half_db(peak: float, gain: int) -> None:
    assert coding_gain(np.array([0.0, peak, peak / 2], np.float32)) == gain


def test_coding_gain_of_silence_is_zero() -> None:
    assert coding_gain(np.zeros((2, 100), np.float32)) == 0


def test_coding_gain_reaches_the_target() -> None:
    samples = np.array([0.003, -0.07], np.float32)
    gained = apply_gain(samples, coding_gain(samples))
    assert abs(peak_db(gained) - 20 * np.log10(0.5)) <= 0.2501


def test_apply_gain_keeps_the_dtype_and_zero_changes_nothing() -> None:
    samples = np.array([0.1, -0.7], np.float32)
    assert np.array_equal(apply_gain(samples, 0), samples)
    assert apply_gain(samples, 40).dtype == np.float32
    assert apply_gain(samples, 40) == pytest.approx([1.0, -7.0])


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 44100, 48000, 96000, 192000])
def test_full_scale_sine_is_minus_3_lufs_at_every_rate(sample_rate: int) -> None:
    assert lufs(sine(sample_rate), sample_rate) == pytest.approx(-3.01, abs=0.02)


def test_both_channels_are_3_db_more_than_one() -> None:
    mono, silence = sine(48000), np.zeros(144000)
    assert lufs(np.stack([mono, silence])) == pytest.approx(-3.01, abs=0.02)
    assert lufs(np.stack([mono, mono])) == pytest.approx(0.0, abs=0.02)


def test_surround_channels_weigh_more_and_the_lfe_nothing() -> None:
    def only(channel: int) -> np.ndarray:
        samples = np.zeros((6, 144000))
        samples[channel] = sine(48000)
        return samples

    assert lufs(only(3)) == -inf
    assert lufs(only(5)) - lufs(only(2)) == pytest.approx(1.49, abs=0.01)


@pytest.mark.parametrize("channels", [1, 2])
def test_against_the_recursive_filters_with_both_gates_at_work(channels: int) -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal((channels, 48000 * 25 + 777))
    noise[:, 200_000:400_000] *= 0.1  # 20 dB down: under the relative gate
    noise[:, 500_000:600_000] *= 1e-5  # under the absolute gate
    assert lufs(noise) == pytest.approx(reference_lufs(noise.astype(np.float32)), abs=1e-3)


@pytest.mark.parametrize("frequency", [25.0, 40.0, 100.0, 2000.0, 6000.0])
def test_weighting_is_the_same_at_other_rates(frequency: float) -> None:
    expected = reference_lufs(sine(48000, frequency=frequency)[None])
    for sample_rate in (16000, 44100, 96000):
        assert lufs(sine(sample_rate, frequency=frequency), sample_rate) == pytest.approx(expected, abs=0.03)


def test_a_sound_shorter_than_a_block_is_one_block() -> None:
    assert lufs(sine(48000, seconds=0.3)) == pytest.approx(-3.01, abs=0.1)
    assert np.isfinite(lufs(np.ones(1)))


@pytest.mark.parametrize("sample_rate", [1000, 1234, 383999, 384000])
def test_any_rate_has_a_loudness(sample_rate: int) -> None:
    assert np.isfinite(lufs(np.random.default_rng(0).standard_normal(5000), sample_rate))


@pytest.mark.parametrize(("size", "seconds"), [(1000, 3.0), (123_457, 27.3), (7, 0.13), (40_000, 0.9)])
def test_loudness_of_blocks_is_that_of_the_whole(size: int, seconds: float) -> None:
    samples = np.random.default_rng(0).standard_normal((2, round(44100 * seconds))).astype(np.float32)
    samples[:, : samples.shape[1] // 2] *= 0.01
    blocks = (samples[:, start : start + size] for start in range(0, samples.shape[1], size))
    assert loudness_of(blocks, 44100) == pytest.approx(lufs(samples, 44100), abs=1e-6)


def test_loudness_of_nothing() -> None:
    assert loudness_of(iter([]), 48000) == -inf


def powers(samples: np.ndarray, *, cuts: tuple[int, ...] = ()) -> np.ndarray:
    measured = BandPower(48000)
    passed = list(measured.of(np.split(samples, cuts, axis=1)))
    assert np.array_equal(np.concatenate(passed, axis=1), samples)
    return measured.bands


def test_power_of_bands_does_not_depend_on_blocks() -> None:
    samples = np.random.default_rng(0).standard_normal((2, 50_000))
    assert powers(samples, cuts=(1, 700, 700, 30_000)) == pytest.approx(powers(samples))
    tone = powers(sine(48000)[None])
    assert tone.argmax() == 12  # 800 to 1008 Hz
    assert tone[12] > 0.99 * tone.sum()


def test_the_typical_change_is_that_of_most_bands() -> None:
    noise = np.random.default_rng(0).standard_normal((1, 96_000))
    assert typical_change_db(powers(noise), powers(0.5 * noise)) == pytest.approx(-6.02, abs=0.01)
    with_tone = noise + 10 * sine(48000, seconds=2)[None]  # a decode that lost its loudest band
    assert typical_change_db(powers(with_tone), powers(noise)) == pytest.approx(0, abs=0.3)
    tone = sine(48000, seconds=2)[None]  # nothing else is there
    assert typical_change_db(powers(tone + 1e-7 * noise), powers(0.5 * tone + 1e-7 * noise)) == pytest.approx(
        -6, abs=0.1
    )
    assert typical_change_db(powers(0 * noise), powers(noise)) == 0
