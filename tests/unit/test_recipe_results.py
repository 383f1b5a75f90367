"""The measurement recipe on a tiny model and short clips: every table, from real streams."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.codec.presets import PRESETS
from noisebook.errors import ConfigError
from noisebook.recipes import results
from noisebook.recipes._tables import render, table


@pytest.fixture(scope="module")
def measured(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for kind in ("music", "speech", "sfx"):
        noise = rng.normal(0, 0.1, (1, 16000)).astype(np.float32)
        io.write(folder / f"{kind}-a.flac", Waveform(noise, 16000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "_SAMPLES", 16000)
        patch.setattr(
            sys,
            "argv",
            ["results", str(folder), "--out", str(folder / "r.md"), "--model", str(tiny_model), "--limit", "1"],
        )
        results.main()
    return json.loads((folder / "r.json").read_text()), (folder / "r.md").read_text()


def test_every_system_is_measured_on_every_clip(measured):
    rows = measured[0]["rows"]
    assert len(rows) == 3 * (2 + 3 * len(PRESETS))
    assert {row["system"] for row in rows} == {
        "vocoder", "autoencoder", "codec", "control: another clip", "control: random indices",
    }  # fmt: skip
    for row in rows:
        assert math.isfinite(row["mel_db_mae"])
        assert ("nmse_db" in row) == (row["preset"] is not None)


def test_files_have_the_predicted_size(measured):
    for row in measured[0]["rows"]:
        if row["system"] == "codec":
            assert row["bytes"] == row["predicted_bytes"]


def test_time_and_drift_are_measured(measured):
    for row in measured[0]["time"]:
        assert 0 < row["encode_share"] < 1
        assert row["decode_seconds"] > 0
    for row in measured[0]["drift"]:
        assert row["decoded again"] is None  # the same bits
        assert row["bfloat16"] < 0


def test_the_page_shows_every_preset_in_every_table(measured):
    data, page = measured
    assert page == render(data, "")
    assert "<" not in page.replace("<=", "")
    for preset in PRESETS:
        assert page.count(f"\n| {preset.name} ") == 5


def test_table():
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_controls_are_made_of_some_clips_only(measured):
    data = dict(measured[0])
    kept = data["clips"][0]
    data["rows"] = [row for row in data["rows"] if row["clip"] == kept or not row["system"].startswith("control")]
    page = render(data, "# Stereo\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| other |\n")
    assert "stereo.md](stereo.md).\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n## Against" in page
    assert "| other |" not in page
    assert "stream of each of 1 clips" in page
    assert " of 1 |" in page


def test_streams_and_opinions_come_from_a_comparison_of_the_same_clips(measured, tmp_path):
    clip, other = measured[0]["clips"][:2]
    row = {"input": "one", "method": "ddcm-300", "stream": "files/a.ddcm", "metrics": {"visqol": 4.2, "estoi": None}}
    written = {"inputs": [{"id": "one", "title": clip}], "rows": [row, {**row, "method": "vocoder"}]}
    (tmp_path / "results.json").write_text(json.dumps(written))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.ddcm").write_bytes(b"a stream")
    comparison = results.Comparison(tmp_path)
    assert comparison.stream(clip, "300") == b"a stream"
    assert comparison.opinions(clip, "codec", "300") == comparison.opinions(clip, "vocoder", None) == {"visqol": 4.2}
    for name, preset in ((other, "300"), (clip, "700")):
        with pytest.raises(ConfigError, match=f"no ddcm-{preset} of {name}: compare the same clips first"):
            comparison.stream(name, preset)
