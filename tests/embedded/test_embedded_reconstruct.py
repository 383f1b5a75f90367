"""Reconstruction with the model that ships: a useful ceiling, and lifts that help on real music."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from noisebook import api
from noisebook.audio import io
from noisebook.audio.waveform import Waveform


@pytest.fixture(scope="module")
def embedded():
    return api.load_backend(device="cpu")


@pytest.fixture(scope="module")
def music() -> Waveform:
    sound = io.read(str(files("noisebook") / "assets" / "demo.flac"))
    return Waveform(np.ascontiguousarray(sound.samples[:1, 96_000:288_000]), 48_000)


def test_the_matched_preset_is_near_and_a_front_end_out_of_domain_is_not(embedded, music):
    matched = api.reconstruct(music, backend=embedded)
    assert matched.measures["features_error_db"] < 3
    assert matched.measures["features_error_db"] < matched.silence["features_error_db"] / 10
    clap = api.reconstruct(music, backend=embedded, preset="ultimate-fix", front_end="historical")
    assert "std" in clap.ran.latent_limit
    assert "to 3" in clap.ran.latent_limit  # the limit binds: such features are far from what the model knows
    assert clap.measures["features_error_db"] > 2 * matched.measures["features_error_db"]


@pytest.mark.parametrize("preset", ["v4-high-freq", "v5-high-freq"])
def test_a_lift_brings_the_highs_nearer_and_nothing_further(preset, embedded, music):
    plain = api.reconstruct(music, backend=embedded, preset=preset, post="loudness=0.3:3").measures
    lifted = api.reconstruct(music, backend=embedded, preset=preset).measures
    assert abs(lifted["high_band_db"]) <= abs(plain["high_band_db"])
    assert lifted["log_spectral_distance_db"] <= plain["log_spectral_distance_db"]
