"""`noisebook batch`: reports, exit status, options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from noisebook.audio.io import write
from tests.batch.conftest import contents, lines, tone
from tests.cli.conftest import run_main

pytestmark = pytest.mark.usefixtures("quick_vocoder")

STEADY = ("--device", "cpu", "--threads", 1)


@pytest.fixture
def noisebook(tiny_model):
    """`noisebook batch VERB ...` with the small model."""

    def command(verb, *arguments):
        return run_main("batch", verb, *arguments, "--model", tiny_model, *STEADY)

    return command


def test_a_corpus_there_and_back(corpus, noisebook):
    ran = noisebook("compress", "src", "out", "--preset", "300")
    assert ran.status == 0, ran
    assert ran.text.startswith("files: 5 done, 0 done before, 0 failed, 1 of other kinds left out; 1.0 s of sound, ")
    assert ran.err == ""
    ran = noisebook("compress", "src", "out", "--preset", "300", "--resume", "--json")
    report = json.loads(ran.text)
    assert (report["done"], report["skipped"], report["failed"]) == (0, 5, [])
    told = noisebook("decompress", "out", "back", "--format", "flac", "--bits", "float").told()
    assert "16 or 24 bits, not float" in told
    depth = ("--format", "flac", "--bits", "24")
    assert noisebook("decompress", "out", "back", *depth, "--batch", 3, "--quiet").out == b""
    assert {soundfile.info(Path("back", name)).subtype for name in contents(Path("back"))} == {"PCM_24"}
    assert [Path(name).suffix for name in contents(Path("back"))] == [".flac"] * 5
    ran = noisebook("verify", "src", "back", "--metrics", "snr_db, mel_db_mae", "--no-controls")
    assert ran.status == 0, ran
    metrics = [line["metrics"] for line in lines(Path("back"), "verification.jsonl") if line["state"] == "done"]
    assert [{"snr_db", "mel_db_mae"} <= set(one) for one in metrics] == [True] * 5
    assert noisebook("reconstruct", "src", "rec", "-p", "simple", "--quiet").status == 0
    assert len(contents(Path("rec"))) == 5


def test_failures_are_a_table_and_the_exit_status_is_1(corpus, noisebook):
    (corpus / "bad.wav").write_bytes(b"no sound")
    (corpus / "x/empty.mp3").touch()
    ran = noisebook("compress", "src", "out", "-p", "300")
    assert ran.status == 1
    first, second, last = ran.text.splitlines()
    assert first.startswith("bad.wav      cannot read src/bad.wav: ")
    assert second.startswith("x/empty.mp3  cannot read src/x/empty.mp3: the file is empty")
    assert last.startswith("files: 5 done, 0 done before, 2 failed")
    ran = noisebook("compress", "src", "out", "-p", "300", "--resume", "--quiet")
    assert (ran.status, ran.text, ran.err) == (1, "", "noisebook: 2 files failed: manifest.jsonl says why\n")
    ran = noisebook("compress", "src", "out", "-p", "300", "--resume", "--json")
    assert [one["source"] for one in json.loads(ran.text)["failed"]] == ["bad.wav", "x/empty.mp3"]


def test_a_rude_tree(tmp_path, noisebook):
    """Names that a terminal would obey, links in circles, sounds of nothing and of one sample."""
    folder = tmp_path / "src"
    folder.mkdir()
    write(folder / "one.wav", tone(0, 1))
    write(folder / "new\nline \x1b[2J ☃.wav", tone(1))
    (folder / "none.wav").touch()
    for name, aim in (("loop", folder), ("self.wav", "self.wav"), ("dangling.wav", "nowhere.wav")):
        (folder / name).symlink_to(aim)
    ran = noisebook("compress", "src", "out", "-p", "300", "--dry-run")
    assert "new\\nline \\x1b[2J ☃.wav -> new\\nline \\x1b[2J ☃.ddcm\n" in ran.text
    assert "\x1b" not in ran.text
    ran = noisebook("compress", "src", "out", "-p", "300")
    assert [line.split()[0] for line in ran.text.splitlines()] == ["dangling.wav", "none.wav", "self.wav", "files:"]
    assert "2 done, 0 done before, 3 failed" in ran.text
    assert sorted(contents(Path("out"))) == ["new\nline \x1b[2J ☃.ddcm", "one.ddcm"]
    ran = noisebook("compress", "src", "out", "-p", "100", "--resume")  # another preset: all of it anew
    assert "2 done, 0 done before, 3 failed" in ran.text
    (folder / "bad\x1b.wav").write_bytes(b"no sound")
    ran = noisebook("compress", "src", "out", "-p", "100", "--resume")
    assert ran.text.startswith("bad\\x1b.wav")
    assert "\x1b" not in ran.text
    assert noisebook("decompress", "out", "back", "--max-seconds", "0.1").text.startswith("new\\nline")
    ran = noisebook("decompress", "out", "back", "--max-seconds", "9", "--resume")  # a limit is no other result
    assert "1 done, 1 done before, 0 failed" in ran.text


def test_many_failures_are_counted(corpus, noisebook):
    for index in range(30):
        (corpus / f"bad{index}.wav").touch()
    text = noisebook("compress", "src", "out", "-p", "300").text
    assert len(text.splitlines()) == 22
    assert "and 10 more failures" in text


def test_a_dry_run_says_what_would_be_done(corpus, noisebook):
    (corpus / "x/bad.wav").write_bytes(b"no sound")
    ran = noisebook("compress", "src", "out", "-p", "300", "--dry-run")
    assert ran.status == 0
    assert not Path("out").exists()
    assert "a.flac -> a.flac.ddcm\n" in ran.text
    assert "files: 6 to do, 0 done before, 0 refused; " in ran.text
    assert "1 file of unknown length: not in these numbers\n" in ran.text
    assert "s of work and 175 bytes, after a trial with 0.2 s of a.flac\n" in ran.text
    report = json.loads(noisebook("compress", "src", "out", "-p", "300", "--dry-run", "--json").text)
    assert (report["files"], report["bytes"], len(report["todo"])) == (6, 175, 6)


def test_a_finished_batch_needs_a_word(corpus, noisebook):
    noisebook("compress", "src", "out", "-p", "300")
    told = noisebook("compress", "src", "out", "-p", "300").told()
    assert told == "out holds a batch (manifest.jsonl): --resume does what is missing, --force everything anew"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("src", "out", "--preset", "17"), 1, "17"),
        (("nowhere", "out"), 1, "there is no folder nowhere"),
        (("src", "nosuch://x"), 1, "nosuch"),
        (("src", "out", "--codec", "vq"), 2, "--codec vq needs a --codebook"),
        (("src", "out", "--codebook", "x"), 2, "--codebook is not an option of --codec ddcm"),
        (("src", "out", "--codec", "vq", "--codebook", "nothing"), 1, "nothing"),
        (("src",), 2, "Missing argument 'DST'"),
    ],
)
def test_mistakes_are_one_line(arguments, status, message, corpus, noisebook):
    assert message in noisebook("compress", *arguments).told(status)
    assert not Path("out").exists()
