from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.level import PeakGuard, guard_margin
from noisebook.audio.waveform import Waveform


def peaky(rate: int = 16000, *, seconds: float = 1.0, peak: float = 1.5) -> Waveform:
    """A tone of level 0.5, two channels, with bursts above full scale."""
    time = np.arange(round(seconds * rate)) / rate
    bursts = 1 + (2 * peak - 1) * np.exp(-(((time % 0.25 - 0.1) / 0.004) ** 2))
    tone = 0.5 * np.sin(2 * np.pi * 440 * time) * bursts
    return Waveform(np.stack([tone, 0.3 * tone]).astype(np.float32), rate)


def guarded(sound: Waveform) -> tuple[Waveform, int]:
    """A whole sound through a guard, and how many samples were beyond full scale."""
    guard = PeakGuard(sound.sample_rate)
    return Waveform(np.concatenate(list(guard.blocks([sound.samples])), axis=1), sound.sample_rate), guard.held


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_nothing_is_beyond_full_scale_and_nothing_is_flat(rate):
    sound = peaky(rate)
    held, count = guarded(sound)
    assert count == np.count_nonzero(np.abs(sound.samples) > 1) > 0
    assert np.abs(held.samples).max() <= 1
    full = np.abs(held.samples) == 1
    assert not (full[:, 1:] & full[:, :-1]).any(), "turned down, not clipped"
    np.testing.assert_allclose(held.samples[1], 0.3 * held.samples[0], rtol=1e-5, atol=1e-7)


def test_what_is_within_full_scale_is_kept_to_the_bit():
    quiet = peaky(peak=1.0)
    held, beyond = guarded(quiet)
    np.testing.assert_array_equal(held.samples, quiet.samples)
    assert beyond == 0
    sound = peaky()
    held, _ = guarded(sound)
    near = np.convolve(np.abs(sound.samples).max(axis=0) > 1, np.ones(2 * guard_margin(16000) + 1), mode="same") > 0
    np.testing.assert_array_equal(held.samples[:, ~near], sound.samples[:, ~near])
    assert (held.samples[:, near] != sound.samples[:, near]).any()


def test_far_beyond_it_is_clipped_as_its_original_was():
    held, _ = guarded(peaky(peak=4.0))
    assert np.abs(held.samples).max() == 1
    assert np.count_nonzero(np.abs(held.samples) == 1) > 0


@pytest.mark.parametrize("size", [1, 10, 64, 65, 1000, 16000])
def test_it_is_the_same_however_it_is_cut(size):
    sound = peaky()
    guard = PeakGuard(16000)
    blocks = (sound.samples[:, start : start + size] for start in range(0, sound.sample_count, size))
    np.testing.assert_array_equal(np.concatenate(list(guard.blocks(blocks)), axis=1), guarded(sound)[0].samples)
    margin, start, end = guard_margin(16000), 1500, 1700
    part = Waveform(sound.samples[:, start - margin : end + margin].copy(), 16000)
    np.testing.assert_array_equal(guarded(part)[0].samples[:, margin:-margin], guarded(sound)[0].samples[:, start:end])


def test_short_ones():
    for count in (1, 2, 31):
        held, beyond = guarded(Waveform(np.full((1, count), 1.2, np.float32), 16000))
        assert held.samples.shape == (1, count)
        assert beyond == count
        assert np.abs(held.samples).max() <= 1
