"""The recipe that measures the verdict, on a few sounds and the tiny model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import noisebook
from experiments import verification as recipe
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.verification.controls import bundled_clips
from noisebook.verification.listening import KINDS, kind_statistics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips of 1.2 s of each kind."""
    clips = bundled_clips()
    for kind, prefix in zip(KINDS, ("music", "speech", "sfx"), strict=True):
        for i, clip in enumerate([clip for clip in clips if clip.kind == kind][:2]):
            write(tmp_path / f"{prefix}-{i}.flac", Waveform.of(clip.samples[:19_200], 16_000))
    return tmp_path


def test_every_table_is_printed(folder, tiny_model, monkeypatch, capsys):
    options = ["--seconds", "1.2", "--presets", "8", "--streams", "1", "--composites", "2", "--model", str(tiny_model)]
    monkeypatch.setattr(sys, "argv", ["verification", str(folder), *options])
    recipe.main()
    text = capsys.readouterr().out
    assert text.startswith("6 clips of 1.2 s.")
    titles = ["Unrelated pairs", "Drum loops of one tempo, in phase", "Own streams", "Kinds", "Composite scores"]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == titles
    assert "| all | 30 |" in text
    assert "| speech beside speech | 2 |" in text
    assert "| 8 bit/s |" in text
    copies, pairs = (line for line in text.splitlines() if line.startswith(("| copies", "| pairs | 132")))
    assert copies == "| copies in noise | 12 | 12 |"
    assert int(pairs.split("|")[3].split()[0]) <= 13  # a tenth


def test_kinds_are_fitted_to_a_folder(folder, monkeypatch, tmp_path):
    target = tmp_path / "kinds.json"
    monkeypatch.setattr(recipe, "KINDS_FILE", target)
    recipe.fit_kinds(folder)
    fit = {name: np.array(values) for name, values in json.loads(target.read_text(encoding="utf-8")).items()}
    count = len(kind_statistics(bundled_clips()[0].samples))
    assert {name: value.shape for name, value in fit.items()} == {
        "centre": (count,), "scale": (count,), "weights": (count, 3), "bias": (3,)
    }  # fmt: skip
    scores = (kind_statistics(bundled_clips()[10].samples[:19_200]) - fit["centre"]) / fit["scale"] @ fit["weights"]
    assert KINDS[int(np.argmax(scores + fit["bias"]))] == "speech"


def test_a_folder_without_sounds_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no sound files"):
        recipe.fit_kinds(tmp_path)


def test_the_source_of_every_bundled_clip_is_in_the_licence_file():
    assets = Path(noisebook.__file__).parent / "assets" / "controls"
    licences = (assets / "LICENCES.md").read_text(encoding="utf-8")
    rows = json.loads((assets / "controls.json").read_text(encoding="utf-8"))["clips"]
    packages = [row["package"] for row in rows]
    for package in set(packages):
        assert f"| `{package}` | {packages.count(package)}, " in licences
    assert (assets / "controls.ogg").stat().st_size <= 600_000
