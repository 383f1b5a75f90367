"""The measurement recipe on a tiny model and short clips: every table, from real streams."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import results, steady
from experiments.tables import first_table, render, table
from noisebook.audio import io
from noisebook.audio.waveform import Waveform

README = "# Title\n\n| old |\n| --- |\n| 1 |\n\nafter\n"


@pytest.fixture(scope="module")
def measured(tiny_model, tmp_path_factory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for kind in ("music", "speech", "sfx"):
        noise = rng.normal(0, 0.1, (2, 24000)).astype(np.float32)
        io.write(folder / f"{kind}-a.flac", Waveform(noise, 24000))
    docs = folder / "docs"
    docs.mkdir()
    (docs / "stereo.md").write_text("# Stereo\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| other |\n")
    (docs / "README.md").write_text(README)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "METHODS", ("ceiling", "ddcm", "pink-noise", "another-clip"))
        patch.setattr(results, "METRICS", ("mel_db_mae", "treble_level_db", "tuning_25"))
        patch.setattr(results, "STEADY", ("ddcm-300",))
        patch.setattr(steady, "_PITCHES", (440.0,))
        options = [
            "--model",
            str(tiny_model),
            "--seconds",
            "0.8",
            "--controls",
            "2",
            "--readme",
            str(docs / "README.md"),
        ]
        results.main([str(folder), str(folder / "report"), "--docs", str(docs), *options])
    return json.loads((docs / "results.json").read_text()), docs


def test_every_method_is_measured_on_every_clip(measured):
    rows = measured[0]["rows"]
    assert len(rows) == 3 * (2 + len(results.RATES) + 2)
    for row in rows:
        assert all(value is not None and math.isfinite(value) for value in row["metrics"].values())
        assert ("nmse_db" in row) == row["method"].startswith("ddcm")


def test_clips_are_one_channel_at_48_khz(measured):
    report = measured[1].parent / "report" / "sounds" / "music-a"
    for name in ("original", "ddcm-300", "vocoder"):
        sound = io.read(report / f"{name}.flac")
        assert (sound.channels, sound.sample_rate, sound.duration) == (1, 48000, 0.8)


def test_files_have_the_predicted_size(measured):
    coded = [row for row in measured[0]["rows"] if "predicted_bytes" in row]
    assert len(coded) == 3 * len(results.RATES)
    assert all(row["bytes"] == row["predicted_bytes"] for row in coded)


def test_time_and_drift_are_measured(measured):
    for row in measured[0]["time"]:
        assert 0 < row["encode_share"] < 1
        assert row["decode_seconds"] > 0
    for row in measured[0]["drift"]:
        assert row["decoded again"] is None  # the same bits
        assert row["bfloat16"] < 0


def test_controls_are_made_of_some_clips(measured):
    controls = measured[0]["controls"]
    assert len({row["input"] for row in controls}) == 3  # of two or more, evenly spread
    assert len(controls) == 3 * len(results.RATES) * 2
    assert all(math.isfinite(row["nmse_db"]) for row in controls)


def test_the_pages_show_every_rate_in_every_table(measured):
    data, docs = measured
    page = (docs / "results.md").read_text()
    assert page == render(data, (docs / "stereo.md").read_text())
    for text in (page, (docs / "codecs.md").read_text()):
        assert "<" not in text
        assert f"embedded model `{data['model']}`" in " ".join(text.split())
    for rate in results.RATES:
        assert page.count(f"\n| {rate} ") == 5
    assert "\n| DDCM 300 bit/s | " in page  # steady
    assert "\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n## Against" in page
    assert "| other |" not in page


def test_the_readme_has_the_first_table(measured):
    docs = measured[1]
    first = first_table((docs / "results.md").read_text())
    assert (docs / "README.md").read_text() == f"# Title\n\n{first}\n\nafter\n"


def test_table():
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_packages_have_equal_shares(tmp_path):
    for name in (
        "megaglest-data-a",
        "megaglest-data-b",
        "megaglest-data-c",
        "singularity-music-a",
        "supertuxkart-data-a",
    ):
        (tmp_path / f"music-{name}.flac").touch()
    names = [path.stem for path in results.clip_paths(tmp_path, 4)]
    assert names == [f"music-{name}" for name in (
        "megaglest-data-a", "megaglest-data-b", "singularity-music-a", "supertuxkart-data-a"
    )]  # fmt: skip


def test_clips_are_evenly_spread_over_their_names(tmp_path):
    for name in ("music-a", "music-b", "music-c", "music-d", "speech-a"):
        (tmp_path / f"{name}.flac").touch()
    assert [path.stem for path in results.clip_paths(tmp_path, 2)] == ["music-a", "music-c", "speech-a"]
