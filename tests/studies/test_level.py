"""The study of level: what it says is written is what a file of 16 bits holds."""

from __future__ import annotations

import numpy as np

from experiments import level
from experiments.level import as_written
from noisebook.audio.waveform import Waveform


def test_what_is_written_is_in_whole_steps_and_within_full_scale():
    samples = np.random.default_rng(0).normal(0, 0.4, (1, 16000)).astype(np.float32)
    written = as_written(Waveform(samples, 16000)).samples
    assert np.abs(written).max() <= 1 < np.abs(samples).max()
    assert np.array_equal(written * 32768, np.rint(written * 32768))
    assert not as_written(Waveform(np.full((1, 100), 1e-5, np.float32), 16000)).samples.any(), "below half a step"


def test_the_tables(measured, monkeypatch):
    monkeypatch.setattr(level, "BITRATES", ("300",))
    monkeypatch.setattr(level, "_SECONDS", 1)
    monkeypatch.setattr(level, "_CHORDS", (131,))
    parts = measured("level")
    kinds = [line.split(" | ")[0].strip("| ") for line in parts["stages"].splitlines()[2:]]
    assert kinds == [
        "music",
        "speech",
        "effects",
        "telephone speech",
        "speech clipped at 8 times",
        "chords",
    ]
    assert "| all held-out clips | 3 |" in parts["decodes"]
