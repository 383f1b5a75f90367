"""The recipe of what is heard, on a tiny model: rows go on where they stopped, and the page tells differences."""

from __future__ import annotations

import json
import re

import pytest

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.recipes import heard
from noisebook.recipes._heard_page import render
from noisebook.recipes.results import Clip


@pytest.fixture
def clips(chirp) -> list[Clip]:
    sound = chirp[:, :8000]
    return [Clip("music-a", "music", Waveform(sound, 16000)), Clip("speech-b", "speech", Waveform(0.2 * sound, 16000))]


def test_rows_of_every_case_and_the_page(backend, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(heard, "_METRICS", ("mel_db_mae",))
    encoded, compress = [], api.compress
    monkeypatch.setattr(api, "compress", lambda *args, **kwargs: encoded.append(kwargs) or compress(*args, **kwargs))
    path = tmp_path / "heard.json"
    wanted = list(heard.cases(["300"], ["none", "heard"], "heard"))
    first = heard.measure_all(path, wanted[:1], clips, backend)
    assert [row["clip"] for row in first["rows"]] == ["music-a", "speech-b"]
    results = heard.measure_all(path, wanted, clips, backend)
    assert len(results["rows"]) == 2 * (1 + len(heard.TAILS))
    assert results == json.loads(path.read_text())
    assert [kwargs["search"] for kwargs in encoded] == ["none"] * 2 + ["heard"] * 2  # once for all tails
    page = render(results)
    assert not re.search(r"<[A-Z_]+>", page)
    assert "2 held-out clips of 10 s (1 music, 1 speech, 0 effects)" in page.replace("\n", " ")
    plain = [row["mel"] for row in results["rows"] if row["encoder"] == "none"]
    found = [row["mel"] for row in results["rows"] if row["encoder"] == "heard" and row["tail"] == 6]
    difference = sum(found) / 2 - sum(plain) / 2
    assert f"| 300 bit/s, none | {sum(plain) / 2:.2f} |" in page
    assert f"| 300 bit/s, heard | {difference:+.2f} (" in page
    assert page.count("| 300 bit/s, 6 |") == 1


def test_rows_of_another_model_are_not_taken(backend, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(heard, "_METRICS", ())
    path = tmp_path / "heard.json"
    path.write_text(json.dumps({"model": "zzzz", "rows": [{"clip": "music-a"}]}))
    results = heard.measure_all(path, [heard.Case("8", "none", (1,))], clips[:1], backend)
    assert results["model"] == backend.info.fingerprint.hex()[:4]
    assert [row["tail"] for row in results["rows"]] == [1]
