"""Study front ends: their mappings invert where they say, and know the whole clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio import front_ends
from noisebook.audio.features import BAND_FEATURES, MEL_FEATURES, Features
from noisebook.audio.front_ends import FRONT_ENDS, FrontEnd
from noisebook.audio.mel import LOG_FLOOR, MelConfig, log_mel
from noisebook.errors import ConfigError

BY_NAME = pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda front_end: front_end.name)


def noise(sample_rate: int, scale: float = 0.1) -> torch.Tensor:
    """One second of white noise, of one density at any rate."""
    samples = np.random.default_rng(0).standard_normal((1, sample_rate)) * scale * (sample_rate / 16000) ** 0.5
    return torch.from_numpy(samples.astype(np.float32))


def clip_levels(front_end: FrontEnd) -> torch.Tensor:
    """Noise that fades by 60 dB."""
    fade = 10 ** torch.linspace(0, -3, front_end.mel.sample_rate)
    return front_ends.levels(noise(front_end.mel.sample_rate) * fade, front_end, MEL_FEATURES)


def to_matched(samples: torch.Tensor, front_end: FrontEnd, features: Features) -> torch.Tensor:
    return front_ends.to_matched(front_ends.levels(samples, front_end, features), front_end, features)


@BY_NAME
def test_decibels_and_normalisation_are_undone_exactly(front_end):
    levels = clip_levels(front_end)
    mapping = front_end.mapping(levels)
    features = mapping.features(levels)
    kept = levels > mapping.floor_db
    if mapping.clip:
        kept &= features.abs() < 1
    assert kept.float().mean() > 0.2
    assert (mapping.levels(features) - levels)[kept].abs().max() < 1e-3
    assert (mapping.levels(features) >= mapping.floor_db - 1e-3).all()


@BY_NAME
def test_features_have_the_range_of_the_script(front_end):
    levels = clip_levels(front_end)
    features = front_end.mapping(levels).features(levels)
    assert features.shape == (1, 1, 100, 64)
    loudest = {"db-minmax": 1, "mel-db": 1, "mel-db-wide": 1, "standard": 1, "db20": 0}
    lowest = {"db-minmax": -1, "db20": -1}
    if front_end.name in loudest:
        assert float(features.max()) == pytest.approx(loudest[front_end.name], abs=1e-5)
        assert float(features.min()) >= -1 - 1e-5
    if front_end.name in lowest:
        assert float(features.min()) == pytest.approx(lowest[front_end.name], abs=1e-5)
    if front_end.name.startswith("clap"):  # decibels from full scale
        assert torch.equal(features, levels)


@pytest.mark.parametrize(
    ("name", "range_db"), [("db-minmax", 80), ("mel-db", 80), ("mel-db-wide", 120), ("standard", 80)]
)
def test_the_floor_is_below_the_loudest_cell_of_the_clip(name, range_db):
    levels = torch.tensor([0.0, -70.0, -100.0, -130.0]).view(1, 1, 4, 1) + 20
    mapping = front_ends.by_name(name).mapping(levels)
    assert mapping.floor_db == 20 - range_db
    back = mapping.levels(mapping.features(levels)).flatten()
    assert back.tolist() == pytest.approx([max(level, 20 - range_db) for level in levels.flatten().tolist()], abs=1e-4)


def test_from_power_to_magnitude_is_exact_for_flat_spectra():
    """An impulse in the middle of a frame has the same magnitude in every bin."""
    samples = torch.zeros(1, 1600)
    samples[0, 5 * 160 + 80] = 0.5
    front_end = front_ends.by_name("db-minmax")
    back = front_ends.to_matched(front_ends.levels(samples, front_end, MEL_FEATURES), front_end, MEL_FEATURES)
    assert (back - log_mel(samples))[0, 0, 5].abs().max() < 1e-3


@BY_NAME
def test_other_filters_and_windows_come_back_to_the_matched_mel_of_noise(front_end):
    """Mean levels of noise agree above 300 Hz, whatever rate and window they were measured with."""
    back = to_matched(noise(front_end.mel.sample_rate), front_end, MEL_FEATURES)
    matched = log_mel(noise(16000))
    difference = (back.mean(dim=2) - matched.mean(dim=2)).flatten() * 20 / np.log(10)
    assert difference[6:].abs().max() < 2.5
    assert abs(float(difference[6:].mean())) < 1.1  # a power's root is above the mean magnitude of noise: 1.05 dB


@BY_NAME
def test_levels_come_back_to_the_bands_of_noise(front_end):
    """As far as the front end hears, and silence above; of the long window's narrow bands a second says too little."""
    back = to_matched(noise(front_end.mel.sample_rate), front_end, BAND_FEATURES)
    found, told = back.mean(dim=2).flatten().numpy(), BAND_FEATURES.analyse(noise(48000)).mean(dim=2).flatten().numpy()
    centres, top = BAND_FEATURES.centres, front_end.mel.fmax
    wide = BAND_FEATURES.windows == BAND_FEATURES.windows.min()
    heard = wide & (centres > 300) & (centres < 0.9 * min(top, 16000))
    difference = (found - told)[heard] * 20 / np.log(10)
    assert np.abs(difference).max() < 3
    assert abs(difference.mean()) < 1.3
    assert found[centres >= top] == pytest.approx(BAND_FEATURES.floor)


def test_frequencies_stay_where_they_are():
    for front_end in FRONT_ENDS:
        rate = front_end.mel.sample_rate
        for hz in (500, 1500, 5000):
            tone = torch.sin(2 * torch.pi * hz / rate * torch.arange(rate, dtype=torch.float64))[None].float()
            back = to_matched(tone, front_end, MEL_FEATURES)
            matched = log_mel(torch.sin(2 * torch.pi * hz / 16000 * torch.arange(16000))[None])
            bins = [int(mel[0, 0, 50].argmax()) for mel in (back, matched)]
            assert abs(bins[0] - bins[1]) <= 1, (front_end.name, hz)


def test_silence_is_silence():
    for front_end in FRONT_ENDS:
        levels = front_ends.levels(torch.zeros(1, front_end.mel.sample_rate), front_end, MEL_FEATURES)
        mapping = front_end.mapping(levels)
        features = mapping.features(levels)
        assert torch.isfinite(features).all()
        assert float(front_ends.to_matched(mapping.levels(features), front_end, MEL_FEATURES).max()) < LOG_FLOOR + 2


def test_clap_is_the_extractor_s_spectrogram():
    """48 kHz, 1024-point Hann, hop 480, 64 Slaney filters from 50 to 14000 Hz, 10 log10 of the power."""
    import librosa

    clap = front_ends.by_name("clap")
    assert clap.mel == MelConfig(48000, 1024, 480, 64, 50.0, 14000.0)
    samples = noise(48000)
    padded = np.pad(samples[0].numpy(), 272, mode="reflect")
    power = np.abs(librosa.stft(padded, n_fft=1024, hop_length=480, center=False)) ** 2
    filters = librosa.filters.mel(sr=48000, n_fft=1024, n_mels=64, fmin=50, fmax=14000)
    expected = librosa.power_to_db(filters @ power, ref=1.0, amin=1e-10, top_db=None).T
    assert np.abs(front_ends.levels(samples, clap, MEL_FEATURES)[0, 0].numpy() - expected).max() < 1e-2


def test_another_hop_is_interpolated_to_frames_of_10_ms():
    """A stretch hears what the whole clip hears there, and a click stays where it is."""
    front_end = front_ends.by_name("standard")
    assert front_end.mel == MelConfig(48000, 2048, 512, 64, 50.0, 8000.0)
    samples = 1e-3 * noise(48000)
    samples[0, 24000] = 0.9
    whole = front_ends.levels(samples, front_end, MEL_FEATURES)
    assert whole.shape == (1, 1, 100, 64)
    assert int(whole.mean(3).argmax()) in (49, 50)
    stretch = front_ends.levels(samples[:, 17 * 480 :], front_end, MEL_FEATURES, 17 * 480)
    assert torch.allclose(stretch[:, :, 4:], whole[:, :, 21:], atol=1e-3)
    elsewhere = front_ends.levels(samples[:, 17 * 480 :], front_end, MEL_FEATURES)
    assert not torch.allclose(elsewhere[:, :, 4:], whole[:, :, 21:], atol=0.1)


def test_unknown_names_are_told_with_the_known_ones():
    with pytest.raises(ConfigError, match="clap-wide"):
        front_ends.by_name("mfcc")
