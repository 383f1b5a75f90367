"""The study of generated sound: its distance, its controls, and that it runs from end to end."""

from __future__ import annotations

import numpy as np

from experiments import generation
from experiments.generation import patch_features
from noisebook.metrics import frechet_distance

RNG = np.random.default_rng(0)


def tones(count: int, hertz: float) -> list[np.ndarray]:
    """Seconds of tones near a frequency with a swinging level."""
    time = np.arange(32000) / 16000
    return [
        (0.4 * np.sin(2 * np.pi * hertz * (1 + 0.1 * i) * time) * (1 + np.sin(2 * np.pi * time)) / 2).astype(np.float32)
        for i in range(count)
    ]


def test_patches_see_spectrum_and_time_but_not_loudness():
    low, other, high = (patch_features(sounds) for sounds in (tones(6, 300), tones(6, 310), tones(6, 3000)))
    assert low.shape == (6 * 12, 48)
    assert frechet_distance(low, other) < 0.1 * frechet_distance(low, high)
    quiet = patch_features([0.1 * sound for sound in tones(6, 300)])
    assert frechet_distance(low, quiet) < 0.01 * frechet_distance(low, high)
    broken = patch_features([generation.shuffled(sound, RNG) for sound in tones(6, 300)])
    assert frechet_distance(low, other) < 0.1 * frechet_distance(low, broken)
    assert np.isfinite(patch_features([np.zeros(16000, np.float32)])).all()


def test_real_sound_is_nearer_than_the_controls():
    held_out = {"music": tones(8, 300), "speech": tones(8, 900), "effects": tones(8, 2500)}
    some = {kind: sounds[:4] for kind, sounds in held_out.items()}
    likeness = {row[""]: row["all"] for row in generation.likeness(some, held_out, free=some["music"])}
    assert likeness["generated"] < min(value for name, value in likeness.items() if "control" in name)


def test_the_tables(measured, monkeypatch):
    monkeypatch.setattr(generation, "_FRAMES", 32)
    monkeypatch.setattr(generation, "_COUNT", 2)
    monkeypatch.setattr(generation, "_SCALES", (1.0, 3.0))
    monkeypatch.setattr(generation, "_STREAMS", (3, 4))
    monkeypatch.setattr(generation, "_STREAM_SECONDS", 0.4)
    parts = measured("generation")
    assert [line.split(" | ")[0].split(":")[0] for line in parts["likeness"].splitlines()[2:]] == [
        "| generated", *["| control"] * 3, "| generated without a prompt",
    ]  # fmt: skip
    assert parts["streams"].count("6 of 6") == 2
    assert parts["guidance"].count("\n") == 3
