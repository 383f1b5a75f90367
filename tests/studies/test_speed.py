"""The study of speed, on the tiny model."""

from __future__ import annotations

from experiments import speed


def test_the_tables(measured, monkeypatch):
    short = speed.Options(presets=("300", "1500"), seconds=1.0, durations=(("300", 1.0),), against="3000", runs=1)
    monkeypatch.setattr(speed, "Options", lambda: short)
    parts = measured("speed")
    assert parts["encode"].count("\n") == parts["decode"].count("\n") == 3
    assert parts["durations"].count("\n") == 2
    assert "| preset 3000 | " in parts["rivals"]
