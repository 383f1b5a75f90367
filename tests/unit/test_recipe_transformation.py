"""The measurement of transformation on a tiny model and short noises, and the judge of kinds on made-up sounds."""

from __future__ import annotations

import json
import sys
from functools import partial

import numpy as np
import pytest

from experiments import transformation
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from training.clips import KINDS, PackedAudio, pack_folder
from training.kinds import kind_features, train_judge

RATE = 16000
NAMES = ("input-based, no codebook", "guided, linear", "guided, ddcm")


def made_up(kind: str, seed: int, seconds: float = 2.0) -> np.ndarray:
    """Tones, syllables of noise, or steady noise."""
    rng, time = np.random.default_rng(seed), np.arange(int(RATE * seconds)) / RATE
    noise = rng.normal(0, 0.1, time.size)
    if kind == "music":
        return sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(200, 2000, 4)) * 0.1 + 0.01 * noise
    return noise * (0.02 + np.sin(2 * np.pi * rng.uniform(1.5, 2.5) * time) ** 2) if kind == "speech" else noise


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    clips, packed = tmp_path_factory.mktemp("clips"), tmp_path_factory.mktemp("packed")
    for index, (kind, prefix) in enumerate(zip(KINDS, ("music", "speech", "sfx"), strict=True)):
        for seed in range(3):
            sound = Waveform.of(made_up(kind, 10 * index + seed), RATE)
            io.write(clips / f"{prefix}-{seed}.flac", sound)
    pack_folder(clips, packed, sample_rate=16_000)
    return clips, packed


def test_the_judge_knows_kinds_by_their_statistics_and_not_by_their_level(folders):
    judge = train_judge(PackedAudio(folders[1]), samples=16000, crops=90)
    for index, kind in enumerate(KINDS):
        for gain in (1.0, 0.01):
            odds = judge(gain * made_up(kind, 77 + index).astype(np.float32))
            assert odds.sum() == pytest.approx(1)
            assert odds.argmax() == index
    assert np.allclose(kind_features(made_up("music", 5)), kind_features(0.1 * made_up("music", 5)), atol=0.05)


@pytest.fixture(scope="module")
def measured(folders, tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "rows.json"
    options = ["--limit", "1", "--steps", "2", "--model", str(tiny_model), "--json", str(path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformation, "_SAMPLES", 20480)
        patch.setattr(transformation, "_STRENGTHS", (0.0, 0.5, 1.0))
        patch.setattr(transformation, "_VARIANTS", {name: transformation._VARIANTS[name] for name in NAMES})
        patch.setattr(transformation, "train_judge", partial(train_judge, crops=60))
        patch.setattr(sys, "argv", ["transformation", *map(str, folders), *options])
        transformation.main()
        data = json.loads(path.read_text())
        return data["rows"], transformation.render(data["rows"])


def test_every_variant_is_measured_on_every_clip_at_every_strength(measured):
    rows, _ = measured
    curves = [row for row in rows if "strength" in row]
    assert len(curves) == 3 * 3 * len(NAMES)
    assert len(rows) - len(curves) == 4 * 3
    assert all(np.isfinite([row["mel"], row["nmse"], row["correlation"], row["prompt"]]).all() for row in rows)


def test_the_curves_begin_at_the_ceiling_and_end_at_a_sound_without_the_input(measured):
    rows, _ = measured
    ceiling = {row["clip"]: row["mel"] for row in rows if row["variant"] == "control: autoencoder"}
    for row in rows:
        if row.get("strength") == 0 and "codebook" in row["variant"]:
            assert row["mel"] == ceiling[row["clip"]]
            assert row["nmse"] == 0
    ends = {
        (row["clip"], round(row["mel"], 6)) for row in rows if row.get("strength") == 1 and "ddcm" not in row["variant"]
    }
    assert len(ends) == 3  # the same for all variants


def test_the_page_tells_what_is_not_monotone(measured):
    rows, page = measured
    assert all(f"### {name}" in page for name in NAMES)
    falling = [dict(row, mel=-row["mel"]) for row in rows if row["variant"] == "guided, linear"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformation, "_STRENGTHS", (0.0, 0.5, 1.0))
        assert "log-mel dB NOT monotone" in transformation._curve_table(falling)
