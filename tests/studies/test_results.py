"""The measurements of results and codecs on a tiny model and short clips: every table, from real streams."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import results, results_tables, steady
from experiments.study import Options, fill, parts_of
from noisebook.audio import io


@pytest.fixture(scope="module")
def measured(tiny_model, clips, tmp_path_factory) -> Iterator[tuple[dict[str, Any], Path]]:
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "RATES", ("300", "1500"))
        patch.setattr(results, "METHODS", ("ceiling", "ddcm", "pink-noise", "another-clip"))
        patch.setattr(results, "METRICS", ("mel_db_mae", "treble_level_db", "tuning_25"))
        patch.setattr(results, "STEADY", ("ddcm-300",))
        patch.setattr(results, "SECONDS", 0.8)
        patch.setattr(results, "RUNS", 1)
        patch.setattr(results, "CONTROLLED", 2)
        patch.setattr(results, "FILE", folder / "results.json")
        patch.setattr(steady, "_PITCHES", (440.0,))
        patch.setattr(steady, "_SECONDS", 2)
        parts = parts_of(results.STUDY, Options("results", clips, str(tiny_model), folder / "report", 1))
        for page in results.STUDY.pages:
            (folder / Path(page).name).write_text((results.ROOT / page).read_text("utf-8"), "utf-8")
        fill([folder / Path(page).name for page in results.STUDY.pages], parts)
        yield json.loads((folder / "results.json").read_text()), folder


def test_every_method_is_measured_on_every_clip(measured):
    rows = measured[0]["rows"]
    assert len(rows) == 3 * (2 + len(results.RATES) + 2)
    for row in rows:
        assert all(value is not None and math.isfinite(value) for value in row["metrics"].values())
        assert ("nmse_db" in row) == row["method"].startswith("ddcm")


def test_clips_are_one_channel_at_48_khz(measured):
    report = measured[1] / "report" / "comparison" / "sounds" / "music-a"
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
    data, folder = measured
    page = (folder / "results.md").read_text()
    for text in (page, (folder / "codecs.md").read_text()):
        assert f"model `{data['model']}`" in " ".join(text.split())
    for rate in results.RATES:
        rows = page.split("## Left and right")[0] + page.split("## Against")[1]
        assert rows.count(f"\n| {rate} ") == 5
    assert "\n| DDCM 300 bit/s | " in page  # steady


def test_the_readme_has_the_first_table(measured):
    data, folder = measured
    own = results_tables.parts(data)["quality"]
    assert own in (folder / "results.md").read_text()
    assert own in (folder / "README.md").read_text()
