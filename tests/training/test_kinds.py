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
from noisebook.verification.listening import KINDS, STATISTICS, kind_statistics
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
    count = len(STATISTICS)
    assert {name: value.shape for name, value in fit.items()} == {
        "centre": (count,), "scale": (count,), "weights": (count, 3), "bias": (3,)
    }  # fmt: skip
    scores = (kind_statistics(bundled_clips()[10].samples[:19_200]) - fit["centre"]) / fit["scale"] @ fit["weights"]
    assert KINDS[int(np.argmax(scores + fit["bias"]))] == "speech"
    before = target.read_bytes()
    kinds.fit_kinds(folder)
    assert target.read_bytes() == before


def test_the_regression_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    rows = rng.normal(size=(300, 4)) + np.eye(3, 4)[labels]
    weights = rng.uniform(0.5, 2, 300)
    weights /= weights.sum()
    fit = kinds.regression(rows, labels, weights)
    normal = (rows - fit["centre"]) / fit["scale"]
    theirs = LogisticRegression(C=1 / kinds._RIDGE, tol=1e-8, max_iter=1000).fit(normal, labels, sample_weight=weights)
    scores = np.exp(normal @ fit["weights"] + fit["bias"])
    assert scores / scores.sum(1, keepdims=True) == pytest.approx(theirs.predict_proba(normal), abs=1e-3)


def test_music_filed_as_effects_is_left_out_and_packages_are_thinned(tmp_path):
    names = ["sfx__warmux-data__disco-grenade-music-000.ogg", "sfx__warmux-data__rain-000.ogg"]
    names += [f"music__asc-music__song-{number:03d}.ogg" for number in range(40)]
    for name in names:
        (tmp_path / name).touch()
    chosen = [path.name for path in kinds._chosen(tmp_path)]
    assert names[1] in chosen
    assert names[0] not in chosen
    assert len(chosen) == 1 + 25


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
