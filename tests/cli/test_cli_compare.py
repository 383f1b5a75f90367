"""`compare` and `tally` from end to end, with the small model and without programs of the machine."""

from __future__ import annotations

import csv
import json
import os
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform

QUICK = ["--metrics", "snr_db,mel_db_mae", "--limit-seconds", "1"]
PLAIN = ["--no-figures", "--no-page", "--no-verdict"]


@pytest.fixture
def clips(chirp: np.ndarray) -> Path:
    Path("clips").mkdir()
    write("clips/music-a.wav", Waveform(chirp, 16000))
    write("clips/speech-b.flac", Waveform(np.repeat(chirp[:, ::-1], 2, axis=0), 22050))
    return Path("clips")


def test_the_whole_report(noisebook, engine, clips):
    methods = ["-m", "autoencoder,ddcm,control,dac-*", "--rates", "30,300"]
    ran = noisebook("compare", clips, "--out", "report", *methods, *QUICK, *engine)
    assert (ran.status, ran.err) == (0, "")
    assert ran.text.startswith("report: 2 inputs, 7 methods; results.json, results.csv, results.md, index.html\n")
    assert "skipped dac-1000: " in ran.text
    assert "the ends of 2 inputs were cut off" in ran.text
    results = json.loads(Path("report/results.json").read_text())
    assert (results["format"], len(results["rows"]), len(results["ranking"])) == (1, 14, 14)
    assert [source["sample_rate"] for source in results["inputs"]] == [16000, 22050]
    assert [source["channels"] for source in results["inputs"]] == [1, 2]
    for row in results["rows"]:
        channels = {source["id"]: source["channels"] for source in results["inputs"]}[row["input"]]
        assert read(Path("report", row["file"])).samples.shape == (channels, 48000)
        assert row["verdict"].keys() >= {"related", "p_value"}
        if row["bytes"] is not None:
            assert os.path.getsize(Path("report", row["stream"])) == row["bytes"]
    pictures = [source["figure"] for source in results["inputs"]]
    pictures += [entry["file"] for entries in results["figures"].values() for entry in entries]
    assert len(pictures) == 6
    assert all(Path("report", picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert len(list(csv.reader(StringIO(Path("report/results.csv").read_text())))) == 15
    assert "| DDCM 300 bit/s |" in Path("report/results.md").read_text()
    assert "<html" in Path("report/index.html").read_text()


def test_the_manifest_lets_others_repeat_it(noisebook, engine, clips, monkeypatch):
    arguments = [
        "compare",
        clips,
        "-o",
        "report",
        "-m",
        "ddcm",
        "--rates",
        "30",
        "--seed",
        "7",
        *QUICK,
        *PLAIN,
        *engine,
    ]
    monkeypatch.setattr("sys.argv", ["noisebook", *map(str, arguments)])
    assert noisebook(*arguments).status == 0
    results = json.loads(Path("report/results.json").read_text())
    manifest = results["manifest"]
    assert manifest["command"].startswith("noisebook compare clips -o report -m ddcm --rates 30 --seed 7 ")
    assert manifest["seeds"]["methods"] == 7
    assert manifest["model"].endswith(", cpu, float32")
    assert manifest["packages"].keys() >= {"numpy", "torch"}
    assert manifest["settings"]["limit_seconds"] == 1
    assert results["methods"][0]["command"].startswith("noisebook compress IN FILE --preset 30")
    assert "--seed 7" in results["methods"][0]["command"]


def test_a_second_run_is_read_from_the_first(noisebook, engine, clips):
    arguments = ["compare", clips, "-o", "report", "-m", "ddcm", "--rates", "30", *QUICK, *PLAIN, *engine]
    first = noisebook(*arguments, "--json")
    times = {path: path.stat().st_mtime_ns for path in Path("report/work").rglob("*.json")}
    assert len(times) == 2
    second = noisebook(*arguments, "--json")
    assert json.loads(first.out) == json.loads(second.out)
    assert {path: path.stat().st_mtime_ns for path in Path("report/work").rglob("*.json")} == times
    noisebook(*arguments, "--force", "--quiet")
    assert all(path.stat().st_mtime_ns > time for path, time in times.items())


def test_one_input_has_no_other(noisebook, engine, clips):
    ran = noisebook("compare", clips / "music-a.wav", "-o", "r", "-m", "control", *QUICK, *PLAIN, "--json", *engine)
    told = json.loads(ran.out)
    assert (told["methods"], told["failed"]) == (3, [])
    assert told["skipped"] == [{"method": "another-clip", "reason": "needs two inputs or more"}]


def test_a_failure_is_told_and_is_no_crash(noisebook, engine, clips):
    ran = noisebook("compare", clips, "-o", "r", "-m", "vq-frame-kmeans,silence", *QUICK, *PLAIN, *engine)
    assert ran.status == 0
    assert ran.text.count("failed vq-frame-kmeans on ") == 2  # of another model
    assert noisebook("compare", clips, "-o", "r", "-m", "vq-frame-kmeans", *QUICK, *PLAIN, *engine).status == 1


def test_the_list_needs_nothing(noisebook):
    ran = noisebook("compare", "--list")
    assert (ran.status, ran.err) == (0, "")
    assert ran.text.splitlines()[0].split() == ["method", "family", "bit/s", "here"]
    rows = json.loads(noisebook("compare", "--list", "--rates", "450", "--json").out)["methods"]
    assert [row["id"] for row in rows if row["family"] == "ddcm"] == ["ddcm-450"]
    assert all(row["available"] == (row["reason"] is None) for row in rows)


def test_a_listening_test_and_its_tally(noisebook, engine, clips):
    wanted = ["-m", "ddcm,silence", "--rates", "30,300", "--blind", "mushra", "--blind-methods", "ddcm-300"]
    ran = noisebook("compare", clips, "-o", "r", *wanted, *QUICK, *PLAIN, *engine)
    assert ran.text.splitlines()[0].endswith("mushra/index.html")
    key = json.loads(Path("r/mushra/key.json").read_text())
    assert "ddcm-300" in key["conditions"]
    assert "ddcm-30" not in key["conditions"]
    lines = ["kit,design,listener,seed,trial,code,score,seconds"]
    for trial in key["trials"]:
        codes = trial["codes"]
        score = {"reference": 100, "ddcm-300": 60}
        lines += [
            f"{key['kit']},mushra,anna,1,{trial['trial']},{code},{score.get(codes[code], 20)},3.5" for code in codes
        ]
    Path("anna.csv").write_text("\n".join(lines) + "\n")
    ran = noisebook("tally", "anna.csv", "--key", "r/mushra/key.json")
    assert (ran.status, ran.err) == (0, "")
    assert ran.text.splitlines()[0] == "mushra, 1 listeners"
    assert any(line.split()[:2] == ["DDCM", "300"] and " 60.0 " in line for line in ran.text.splitlines())
    counted = json.loads(noisebook("tally", "anna.csv", "--key", "r/mushra/key.json", "--json").out)
    assert counted["design"] == "mushra"


def test_wrong_usage_is_told(noisebook, fails, clips):
    assert "Missing argument 'IN...'" in fails("compare", "--out", "r", status=2)
    assert "Missing option '--out'" in fails("compare", clips, status=2)
    assert "numbers with commas" in fails("compare", clips, "-o", "r", "--rates", "fast", status=2)
    assert "no method 'lyra'" in fails("compare", clips, "-o", "r", "-m", "lyra")
    assert "no metric named beauty" in fails("compare", clips, "-o", "r", "--metrics", "beauty")
    assert "needs a prompt" in fails("compare", clips, "-o", "r", "-m", "transform")
    assert "there is no file" in fails("compare", "gone.wav", "-o", "r")
    Path("thesis").mkdir()
    Path("thesis/index.html").write_text("mine")
    assert "something else than a comparison" in fails("compare", clips, "-o", "thesis", "-m", "silence")
    assert "cannot read the key" in fails("tally", clips / "music-a.wav", "--key", "gone.json")
