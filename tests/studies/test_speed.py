"""The study of speed, on the tiny model."""

from __future__ import annotations

from experiments import speed
from noisebook.benchmark.runs import benchmark


def test_the_tables(measured, monkeypatch):
    short = speed.Options(presets=("300", "1500"), seconds=1.0, durations=(("300", 1.0),), against=None, runs=1)

    def with_baseline(*args, **options):
        found = benchmark(*args, **options)
        return found | {
            "rivals": [found["presets"][0] | {"codec": "slow", "steps": 12, "faster": 2.0, "nmse_db": None}]
        }

    monkeypatch.setattr(speed, "_OPTIONS", short)
    monkeypatch.setattr(speed, "benchmark", with_baseline)
    parts = measured("speed")
    assert parts["encode"].count("\n") == parts["decode"].count("\n") == 3
    assert parts["durations"].count("\n") == 2
    assert "| slow | " in parts["rivals"]
    assert " | 2.0 |  |" in parts["rivals"]
