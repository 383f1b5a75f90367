"""The kinds that are told apart, fitted to a few sounds; and where the bundled ones come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import noisebook
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.verification.controls import bundled_clips
from noisebook.verification.listening import KINDS, kind_statistics
from training import kinds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips of 1.2 s of each kind."""
    clips = bundled_clips()
    for kind, prefix in zip(KINDS, ("music", "speech", "sfx"), strict=True):
        for i, clip in enumerate([clip for clip in clips if clip.kind == kind][:2]):
            write(tmp_path / f"{prefix}-{i}.flac", Waveform.of(clip.samples[:19_200], 16_000))
    return tmp_path


def test_kinds_are_fitted_to_a_folder(folder, monkeypatch, tmp_path):
    target = tmp_path / "kinds.json"
    monkeypatch.setattr(kinds, "KINDS_FILE", target)
    kinds.fit_kinds(folder)
    fit = {name: np.array(values) for name, values in json.loads(target.read_text(encoding="utf-8")).items()}
    count = len(kind_statistics(bundled_clips()[0].samples))
    assert {name: value.shape for name, value in fit.items()} == {
        "centre": (count,), "scale": (count,), "weights": (count, 3), "bias": (3,)
    }  # fmt: skip
    scores = (kind_statistics(bundled_clips()[10].samples[:19_200]) - fit["centre"]) / fit["scale"] @ fit["weights"]
    assert KINDS[int(np.argmax(scores + fit["bias"]))] == "speech"


def test_a_folder_without_sounds_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no sound files"):
        kinds.fit_kinds(tmp_path)


def test_the_source_of_every_bundled_clip_is_in_the_licence_file():
    assets = Path(noisebook.__file__).parent / "assets" / "controls"
    licences = (assets / "LICENCES.md").read_text(encoding="utf-8")
    rows = json.loads((assets / "controls.json").read_text(encoding="utf-8"))["clips"]
    packages = [row["package"] for row in rows]
    for package in set(packages):
        assert f"| `{package}` | {packages.count(package)}, " in licences
    assert (assets / "controls.ogg").stat().st_size <= 600_000
