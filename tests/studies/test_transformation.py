"""The study of transformation on the tiny model and short clips."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import transformation
from experiments.study import Bench, Options

NAMES = ("input-based, no codebook", "guided, linear", "guided, ddcm")


@pytest.fixture
def _short(monkeypatch) -> None:
    monkeypatch.setattr(transformation, "_SECONDS", 1.28)
    monkeypatch.setattr(transformation, "_STEPS", 2)
    monkeypatch.setattr(transformation, "_STRENGTHS", (0.0, 0.5, 1.0))
    monkeypatch.setattr(transformation, "_VARIANTS", {name: transformation._VARIANTS[name] for name in NAMES})


@pytest.mark.usefixtures("_short")
def test_the_curves_begin_at_the_ceiling_and_end_at_a_sound_without_the_input(clips, tiny_model, tmp_path):
    bench = Bench(Options("transformation", clips, str(tiny_model), tmp_path, 1))
    ceiling = transformation.measure_controls(bench, 0)["the autoencoder alone (the ceiling)"]
    ends = set()
    for name in NAMES:
        begun, ended = (transformation.measure(bench, name, strength, 0) for strength in (0.0, 1.0))
        if name != "guided, ddcm":
            assert begun["mel"] == ceiling["mel"]
            assert begun["nmse"] == 0
            ends.add(round(ended["mel"], 6))
        assert np.isfinite(list(ended.values())).all()
    assert len(ends) == 1, "the same for both"


@pytest.mark.usefixtures("_short")
def test_the_tables(measured):
    parts = measured("transformation")
    for part in ("similarity", "prompt"):
        assert [line.split(" | ")[0] for line in parts[part].splitlines()[2:]] == [f"| {name}" for name in NAMES]
    assert parts["controls"].count("\n") == 5
