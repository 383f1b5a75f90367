"""The study of restoration, on one short sound and the tiny model."""

from __future__ import annotations

import numpy as np

from experiments import restoration
from noisebook.audio.waveform import Waveform


def test_the_tables(measured, monkeypatch):
    monkeypatch.setattr(restoration, "_CUT", slice(0, 57_600))
    monkeypatch.setattr(restoration, "_GAP", (0.5, 0.7))
    monkeypatch.setattr(restoration, "KINDS", ("music",))
    monkeypatch.setattr(restoration.Bench, "clips", lambda bench, **_: [restoration.Clip("music-a", "music", SOUND)])
    parts = measured("restoration")
    names = ["gap 0.4 s", "above 3000 Hz", "clipped 12 dB"]
    lines = [line.split(" | ")[0] for line in parts["restored"].splitlines()[2:]]
    assert lines == [f"| {name}, {kind}" for name in names for kind in ("music", "all")]
    assert parts["restored"].splitlines()[0].endswith("| beats damaged | beats repair | beats guess |")


SOUND = Waveform(0.1 * np.random.default_rng(0).standard_normal((1, 57_600)).astype(np.float32), 48_000)


def test_damage_is_where_the_region_says(monkeypatch):
    monkeypatch.setattr(restoration, "_GAP", (0.5, 0.7))
    gap, above, _ = restoration.cases(SOUND)
    for case in (gap, above):
        truth, damaged = (restoration.mel_of(one) for one in (case.truth, case.damaged))
        change = np.abs(truth - damaged)
        assert change[case.region].mean() > 5 * change[~case.region].mean()
