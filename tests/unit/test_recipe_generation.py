"""The recipe that judges generated sound: its distance, its controls, and that it runs from end to end."""

from __future__ import annotations

import json

import numpy as np

from experiments import generation
from experiments.generation import band_levels_db, patch_features
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
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
    assert int(band_levels_db(tones(6, 3000)).argmax()) > int(band_levels_db(tones(6, 300)).argmax())


def test_real_sound_is_nearer_than_the_controls():
    held_out = {"music": tones(8, 300), "speech": tones(8, 900), "effects": tones(8, 2500)}
    likeness = {row[""]: row["all"] for row in generation.likeness({k: v[:4] for k, v in held_out.items()}, held_out)}
    assert likeness["generated"] < min(value for name, value in likeness.items() if "control" in name)


def test_training_sound_is_the_measure_of_generated_sound():
    held_out = {"music": tones(8, 300), "speech": tones(8, 900), "effects": tones(8, 2500)}
    others = {kind: sounds[:4] for kind, sounds in held_out.items()}
    rows = {row[""]: row for row in generation.likeness(others, held_out, training=others)}
    assert rows["generated"]["all"] == rows["ceiling: training sound"]["all"]
    assert rows["generated, times training"]["all"] == 1.0


def test_the_recipe_runs(tiny_model, tmp_path, monkeypatch, capsys):
    clips = tmp_path / "clips"
    clips.mkdir()
    for kind in ("music", "speech", "sfx"):
        for i, sound in enumerate(tones(4, 400)):
            write(clips / f"{kind}-{i}.wav", Waveform(sound[None], 16000))
    monkeypatch.setattr(generation, "_FRAMES", 32)
    monkeypatch.setattr(generation, "_SCALES", (1.0, 3.0))
    monkeypatch.setattr(generation, "_STREAMS", ((3, None), (3, 2)))
    monkeypatch.setattr(generation, "_STREAM_SECONDS", 0.4)
    out, sounds = tmp_path / "out.json", tmp_path / "sounds"
    arguments = [str(clips), "--limit", "6", "--model", str(tiny_model), "--json", str(out), "--sounds", str(sounds)]
    monkeypatch.setattr("sys.argv", ["generation", *arguments])
    generation.main()
    results = json.loads(out.read_text())
    assert [row[""].split(":")[0] for row in results["likeness"]] == [
        "generated", *["control"] * 3, "ceiling", "generated without a prompt",
    ]  # fmt: skip
    assert [row["decodes to the same bits"] for row in results["streams"]] == ["6 of 6"] * 2
    assert results["seeds"][0]["pairs"] == 1
    assert "## guidance" in capsys.readouterr().out
    assert sorted(path.suffix for path in sounds.iterdir()) == [".png", *[".wav"] * 6]
