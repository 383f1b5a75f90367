"""Damage: what is made is found again, and what is sound is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.damage import (
    FADE,
    clip,
    clipped_samples,
    consistent,
    faded_in,
    find_cutoff,
    find_gaps,
    find_threshold,
    low_pass,
    runs,
    silence,
    sparsely_declipped,
    with_band_above,
)
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError


def noise(seconds: float = 2.0, rate: int = 16000, channels: int = 1, seed: int = 0) -> Waveform:
    drawn = np.random.default_rng(seed).normal(0, 0.1, (channels, round(seconds * rate)))
    return Waveform(np.clip(drawn, -0.9, 0.9).astype(np.float32), rate)


def tones(rate: int = 16000, seconds: float = 1.0) -> Waveform:
    time = np.arange(round(rate * seconds)) / rate
    return Waveform(
        (0.3 * np.sin(2 * np.pi * 220 * time) + 0.2 * np.sin(2 * np.pi * 517 * time))[None].astype("f4"), rate
    )


def test_runs():
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1], bool)) == [(0, 2), (4, 5), (6, 7)]
    assert runs(np.zeros(3, bool)) == []


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_gaps_are_found_to_the_sample(rate):
    spans = ((rate // 2, rate // 2 + rate // 10), (rate, rate + rate // 100))
    assert find_gaps(silence(noise(rate=rate), spans)) == spans


def test_silence_that_breaks_nothing_off_is_no_gap():
    sound = noise(4)
    assert find_gaps(sound) == ()
    ends = silence(sound, ((0, 3000), (60000, 64000)))
    assert find_gaps(ends) == ()
    assert find_gaps(silence(sound, ((10000, 10040),))) == ()  # 2.5 ms
    assert find_gaps(silence(sound, ((10000, 43000),))) == ()  # more than 2 s
    faded = sound.samples.copy()
    faded[:, 19000:31000] *= 1e-4
    assert find_gaps(silence(Waveform(faded, 16000), ((20000, 30000),))) == ()


def test_a_gap_of_one_channel_is_none():
    sound = noise(channels=2)
    sound.samples[0, 8000:9000] = 0
    assert find_gaps(sound) == ()


@pytest.mark.parametrize(
    ("rate", "cutoff"), [(16000, 1000), (16000, 3000), (16000, 6000), (44100, 3400), (44100, 7000)]
)
def test_the_cutoff_is_found(rate, cutoff):
    found = find_cutoff(low_pass(noise(rate=rate), cutoff))
    assert found is not None
    assert abs(found - cutoff) < max(150, 0.05 * cutoff)


def test_a_full_or_sloping_spectrum_has_no_cutoff():
    sound = noise()
    assert find_cutoff(sound) is None
    spectrum = np.fft.rfft(sound.samples[0])
    slope = np.fft.irfft(spectrum / (1 + np.arange(len(spectrum))), sound.sample_count)
    sloping = Waveform((slope / np.abs(slope).max())[None].astype("f4"), 16000)  # 6 dB an octave
    assert find_cutoff(sloping) is None


def test_low_pass_keeps_what_is_below_and_takes_what_is_above():
    low, sound = low_pass(noise(), 3000), noise()
    before, after = (np.abs(np.fft.rfft(s.samples[0])) for s in (sound, low))
    hertz = np.fft.rfftfreq(sound.sample_count, 1 / 16000)
    assert np.allclose(after[hertz < 2700], before[hertz < 2700], rtol=0.02, atol=0.3)
    assert after[hertz > 3400].max() < 1e-3 * before.max()
    assert low.samples.shape == sound.samples.shape
    for cutoff in (8000, 8001, 100, 0, -1, float("nan")):
        with pytest.raises(ConfigError, match="cutoff"):
            low_pass(sound, cutoff)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.45])
def test_the_threshold_is_found(threshold):
    found = find_threshold(clip(tones(), threshold))
    assert found is not None
    assert abs(found - threshold) < 1e-4
    assert np.array_equal(clipped_samples(clip(tones(), threshold).samples, found), np.abs(tones().samples) >= found)


def test_sounds_that_are_not_clipped_have_no_threshold():
    time = np.arange(160000) / 44100
    for sound in (tones(), noise(), Waveform(np.zeros((1, 100), "f4"), 8000)):
        assert find_threshold(sound) is None
    for hertz in (20, 50, 1000):
        assert find_threshold(Waveform((0.5 * np.sin(2 * np.pi * hertz * time))[None].astype("f4"), 44100)) is None
    with pytest.raises(ConfigError, match="threshold"):
        clip(tones(), 0)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_sparse_declipping_comes_nearer_and_keeps_the_rest(rate):
    truth = tones(rate)
    clipped = clip(truth, 0.25)
    restored = sparsely_declipped(clipped, 0.25)
    lost = clipped_samples(clipped.samples, 0.25)
    assert np.array_equal(restored.samples[~lost], clipped.samples[~lost])
    assert (np.sign(clipped.samples) * restored.samples >= np.abs(clipped.samples))[lost].all()
    before, after = (np.square(s.samples - truth.samples)[lost].mean() for s in (clipped, restored))
    assert after < 0.05 * before


def test_blocks_of_declipping_leave_no_joint(monkeypatch):
    from noisebook.audio import damage

    clipped = clip(tones(seconds=2), 0.25)
    whole = sparsely_declipped(clipped, 0.25).samples
    monkeypatch.setattr(damage, "_BLOCK", 8192)
    assert np.abs(sparsely_declipped(clipped, 0.25).samples - whole).max() < 0.02


def test_consistency_is_of_sign_and_magnitude():
    clipped = np.float32([[0.2, 0.5, -0.5, 0.5, -0.1]])
    lost = np.abs(clipped) >= 0.5
    got = consistent(clipped, np.float32([[9, 0.7, -0.8, -0.9, 9]]), lost, 0.5)
    assert np.allclose(got, [[0.2, 0.7, -0.8, 0.5, -0.1]])


def test_a_spliced_gap_keeps_all_but_the_fades_and_meets_the_level():
    original, other = silence(noise(), ((16000, 17600),)), noise(seed=1)
    quiet = Waveform(other.samples * np.float32(0.6), 16000)
    got = faded_in(original, quiet, ((16000, 17600),)).samples
    fade = round(FADE * 16000)
    assert np.array_equal(got[:, : 16000 - fade], original.samples[:, : 16000 - fade])
    assert np.array_equal(got[:, 17600 + fade :], original.samples[:, 17600 + fade :])
    assert not np.array_equal(got[:, 16000 - fade : 16000], original.samples[:, 16000 - fade : 16000])
    assert np.std(got[:, 16000:17600]) == pytest.approx(np.std(other.samples[:, 16000:17600]), rel=0.1)
    ends = faded_in(silence(original, ((0, 800),)), quiet, ((0, 800),)).samples
    assert np.std(ends[:, :800]) == pytest.approx(0.1, rel=0.15)
    nothing = Waveform(np.zeros_like(original.samples), 16000)
    assert np.isfinite(faded_in(nothing, nothing, ((0, 16000),)).samples).all()


def test_bands_of_one_sound_add_up_to_it():
    sound = noise()
    assert np.allclose(with_band_above(sound, sound, 3000).samples, sound.samples, atol=1e-6)
    other = noise(seed=1)
    both = with_band_above(sound, other, 3000).samples[0]
    spectra = [np.fft.rfft(s) for s in (both, sound.samples[0], other.samples[0])]
    hertz = np.fft.rfftfreq(sound.sample_count, 1 / 16000)
    for band, source in ((hertz < 2500, spectra[1]), (hertz > 3500, spectra[2])):
        assert np.abs(spectra[0] - source)[band].max() < 0.01 * np.abs(source).max()
