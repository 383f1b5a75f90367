"""The study of the verdict, on a few sounds and the tiny model."""

from __future__ import annotations

from experiments import results, verification


def test_the_tables(measured, monkeypatch):
    monkeypatch.setattr(results, "SECONDS", 1.2)
    monkeypatch.setattr(verification, "PRESETS", ("100",))
    parts = measured("verification")
    assert "| all | 6 |" in parts["pairs"]
    assert "| speech beside speech | 0 |" in parts["pairs"]
    assert "| 100 bit/s | " in parts["streams"]
    assert "own stream, 100 bit/s, summary" in parts["composites"]
    assert " of 6." in parts["kinds"]
