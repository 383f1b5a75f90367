"""The study of the verdict, on a few sounds and the tiny model."""

from __future__ import annotations

from experiments import verification


def test_the_tables(measured, monkeypatch):
    monkeypatch.setattr(verification, "SECONDS", (1.2,))
    monkeypatch.setattr(verification, "PRESETS", ("8",))
    parts = measured("verification")
    assert "| 1.2 s, all | 6 |" in parts["pairs"]
    assert "| 1.2 s, speech beside speech | 0 |" in parts["pairs"]
    assert "| 8 bit/s | " in parts["streams"]
    assert "own stream, 8 bit/s, summary" in parts["composites"]
    assert " of 6." in parts["kinds"]
