"""What a front end says of itself, against what it does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio.features import BAND_FEATURES, MEL_FEATURES, Features

BOTH = pytest.mark.parametrize("features", [MEL_FEATURES, BAND_FEATURES], ids=["mels", "bands"])


def analysed(samples: np.ndarray, features: Features) -> np.ndarray:
    """`[T, bins]`."""
    return features.analyse(torch.from_numpy(samples[None].astype(np.float32)))[0, 0].numpy()


@BOTH
def test_noise_has_the_value_that_is_told(features):
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * features.sample_rate)
    density = 0.1**2 / (features.sample_rate / 2)
    told = features.flat + np.log(density) / 2
    found = analysed(noise, features).mean(axis=0)
    assert np.abs(found - told).mean() < 0.3  # the mean magnitude of noise is 0.12 nepers below its root mean square
    assert np.abs(found - told).max() < 0.5


@BOTH
@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_sine_is_loudest_where_a_filter_peaks(features, at):
    bin_ = int(at * features.bins)
    time = np.arange(features.sample_rate) / features.sample_rate
    found = analysed(0.5 * np.sin(2 * np.pi * features.centres[bin_] * time), features)[50]
    bank = features.windows == features.windows[bin_]
    assert np.argmax(np.where(bank, found, -np.inf)) == bin_


@BOTH
def test_a_click_is_heard_as_far_as_the_window_reaches(features):
    click = np.zeros(2 * features.sample_rate)
    click[features.sample_rate] = 1
    heard = analysed(click, features) > features.floor
    centres = (np.arange(len(heard)) + 0.5) * features.hop_length
    for window in np.unique(features.windows):
        frames = np.flatnonzero(heard[:, features.windows == window].any(axis=1))
        reach = np.abs(centres[frames] - features.sample_rate).max()
        assert window / 2 - 2 * features.hop_length < reach <= window / 2


@BOTH
def test_silence_is_the_floor(features):
    assert analysed(np.zeros(features.sample_rate), features) == pytest.approx(features.floor)
