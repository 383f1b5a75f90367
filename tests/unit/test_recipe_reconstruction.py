from __future__ import annotations

import numpy as np
import pytest

from experiments import reconstruction as recipe
from experiments.results import Clip
from noisebook.audio.features import MEL_FEATURES
from noisebook.audio.front_ends import by_name
from noisebook.audio.waveform import Waveform


@pytest.fixture
def clip(chirp) -> Clip:
    noise = 0.02 * np.random.default_rng(0).standard_normal(chirp.shape).astype(np.float32)
    return Clip("music-test", "music", Waveform(chirp + noise, 16000))


def test_distances_are_zero_for_the_original_and_tell_a_lost_band(clip):
    assert set(recipe.distances(clip.sound, clip.sound, MEL_FEATURES).values()) == {0}
    quieter = recipe.distances(clip.sound, Waveform(0.5 * clip.sound.samples, 16000), MEL_FEATURES)
    assert quieter["high"] == pytest.approx(6.02, abs=0.01)
    assert quieter["energy"] == pytest.approx(-6.02, abs=0.01)
    assert quieter["error"] == pytest.approx(6.02, abs=0.1)


def test_a_narrow_range_costs_the_mapping_most(clip):
    errors = [recipe.mapping_error(clip.sound, by_name(name), MEL_FEATURES) for name in ("db-minmax", "db20")]
    assert errors[0] < 3 < errors[1]


def test_tables_count_what_the_lifts_change(clip, backend):
    rows = [{"clip": clip.name, "kind": clip.kind, **row} for row in recipe.lifts(clip, backend)]
    lines = recipe.lifts_table(rows).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [
        f"music: {name}" for name in ("none", "always x1.5", "v4-high-freq", "v5-high-freq", "v5-high-freq-strong")
    ]
    for line in lines[4:]:  # a guarded lift makes nothing worse
        assert line.endswith(" 0 | 0 |")
