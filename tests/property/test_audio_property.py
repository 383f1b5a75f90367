from __future__ import annotations

from io import BytesIO

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from noisebook.audio.formats import encode
from noisebook.audio.io import read
from noisebook.audio.level import apply_gain, coding_gain, loudness_lufs, peak_db
from noisebook.audio.resample import resample, resampled_count
from noisebook.audio.waveform import Waveform

rates = st.integers(1_000, 384_000) | st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000])
lengths = st.integers(1, 100_000) | st.integers(1, 20)
few_lengths = st.integers(1, 500)
seeds = st.integers(0, 2**32 - 1)


def noise(seed: int, channels: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (channels, count)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(lengths, rates, rates)
def test_resampled_there_and_back_the_length_is_restored(count: int, old_rate: int, new_rate: int) -> None:
    count = max(1, min(count, 2_000_000 * old_rate // new_rate))  # for speed: at most 2 million samples between
    there = resample(Waveform(noise(0, 1, count), old_rate), new_rate)
    assert there.sample_count == -(-count * new_rate // old_rate) == resampled_count(count, old_rate, new_rate)
    back = resample(there, old_rate)
    assert back.sample_rate == old_rate
    assert count <= back.sample_count <= count + old_rate // new_rate + 1


@settings(max_examples=50, deadline=None)
@given(st.integers(-127, 127), seeds)
def test_gain_is_undone_by_its_negative(half_db: int, seed: int) -> None:
    samples = noise(seed, 2, 500)
    back = apply_gain(apply_gain(samples, half_db), -half_db)
    assert np.abs(back - samples).max() <= 4 * np.finfo(np.float32).eps


@settings(max_examples=100, deadline=None)
@given(st.floats(-60, 50), seeds)
def test_coding_gain_meets_the_target_within_a_quarter_db(level_db: float, seed: int) -> None:
    samples = noise(seed, 1, 300) * np.float32(10 ** (level_db / 20))
    gain = coding_gain(samples)
    assert -128 <= gain <= 127
    assert abs(peak_db(apply_gain(samples, gain)) - 20 * np.log10(0.5)) <= 0.2501


@settings(max_examples=50, deadline=None)
@given(few_lengths, st.integers(1, 8), rates, seeds)
def test_a_float_wav_is_exact_for_any_shape_and_rate(count: int, channels: int, rate: int, seed: int) -> None:
    original = Waveform(noise(seed, channels, count) * 3, rate)
    back = read(BytesIO(encode(original, "WAV", "FLOAT")[0]))
    assert back.sample_rate == rate
    assert np.array_equal(back.samples, original.samples)


@settings(max_examples=30, deadline=None)
@given(st.integers(1_000, 20_000), st.integers(-40, 40), seeds)
def test_loudness_follows_the_gain(count: int, half_db: int, seed: int) -> None:
    samples = noise(seed, 1, count) * np.float32(0.1)
    quiet, loud = (loudness_lufs(Waveform(s, 16000)) for s in (samples, apply_gain(samples, half_db)))
    assert abs(loud - quiet - half_db / 2) < 1e-3
