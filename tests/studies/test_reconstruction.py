from __future__ import annotations

import numpy as np
import pytest

from experiments import reconstruction as recipe
from noisebook.audio.features import MEL_FEATURES
from noisebook.audio.front_ends import by_name
from noisebook.audio.waveform import Waveform
from noisebook.synthesis.reconstruction_presets import by_name as by_preset


@pytest.fixture
def sound(chirp) -> Waveform:
    noise = 0.02 * np.random.default_rng(0).standard_normal(chirp.shape).astype(np.float32)
    return Waveform(chirp + noise, 16000)


def test_distances_are_zero_for_the_original_and_tell_a_lost_band(sound):
    assert set(recipe.distances(sound, sound, MEL_FEATURES).values()) == {0}
    quieter = recipe.distances(sound, Waveform(0.5 * sound.samples, 16000), MEL_FEATURES)
    assert quieter["high"] == pytest.approx(6.02, abs=0.01)
    assert quieter["energy"] == pytest.approx(-6.02, abs=0.01)
    assert quieter["error"] == pytest.approx(6.02, abs=0.1)


def test_a_narrow_range_costs_the_mapping_most(sound):
    errors = [recipe.mapping_error(sound, by_name(name), MEL_FEATURES) for name in ("db-minmax", "db20")]
    assert errors[0] < 3 < errors[1]


def test_the_tables(measured, monkeypatch):
    monkeypatch.setattr(recipe, "_SECONDS", 1.0)
    monkeypatch.setattr(recipe, "FRONT_ENDS", recipe.FRONT_ENDS[:1])
    monkeypatch.setattr(recipe.api, "reconstruction_presets", lambda: [by_preset("matched"), by_preset("simple")])
    parts = measured("reconstruction")
    assert [line.split(" | ")[0] for line in parts["presets"].splitlines()[2:]] == [
        "| matched",
        "| simple",
        "| silence",
    ]
    assert parts["front ends"].count("\n") == 3
