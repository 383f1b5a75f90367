"""Several inputs in one command: a folder with a result for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noisebook.audio.io import read, write
from tests.cli.conftest import tone


@pytest.fixture
def sounds():
    Path("in").mkdir()
    for name in ("a.wav", "in/b.flac", "ü c.wav"):
        write(name, tone(1))
    return ["a.wav", "in/b.flac", "ü c.wav"]


def test_there_and_back(noisebook, engine, sounds):
    ran = noisebook("compress", *sounds, "-o", "streams", *engine)
    assert (ran.status, ran.err) == (0, "")
    assert [line.split(":")[0] for line in ran.text.splitlines()] == [
        "streams/a.ddcm", "streams/b.ddcm", "streams/ü c.ddcm",
    ]  # fmt: skip
    Path("back").mkdir()
    streams = sorted(map(str, Path("streams").iterdir()))
    ran = noisebook("decompress", *streams, "back", "--json", *engine)  # as with cp, the last one may be the folder
    assert [row["output"] for row in json.loads(ran.text)["files"]] == ["back/a.wav", "back/b.wav", "back/ü c.wav"]
    assert read("back/b.wav").samples.shape == (1, 4000)


@pytest.mark.parametrize("folder", ["here", "new/"])
def test_one_into_a_folder(noisebook, engine, sounds, folder):
    Path("here").mkdir()
    assert noisebook("compress", "a.wav", "-o", folder, *engine).status == 0
    assert (Path(folder) / "a.ddcm").is_file()


def test_one_that_fails_does_not_end_the_rest(noisebook, engine, sounds):
    Path("a.wav").write_bytes(b"")
    ran = noisebook("compress", *sounds, "-o", "streams", "--json", *engine)
    assert ran.status == 1
    assert ran.err == "noisebook: cannot read a.wav: the file is empty (0 bytes)\n"
    first, *others = json.loads(ran.text)["files"]
    assert first["error"] == {"kind": "AudioError", "message": "cannot read a.wav: the file is empty (0 bytes)"}
    assert [row["input"] for row in others] == sounds[1:]
    assert len(list(Path("streams").iterdir())) == 2


def test_what_cannot_be(fails, engine, sounds):
    write("in/a.wav", tone(1))
    told = fails("compress", "a.wav", "in/a.wav", "-o", "streams", *engine)
    assert told == "a.wav and in/a.wav would both become streams/a.ddcm; name one of them anew"
    assert "both become" in fails("compress", "a.wav", "a.wav", "-o", "streams", *engine)
    assert fails("compress", "a.wav", "no.wav", "-o", "in", *engine) == "there is no file no.wav"
    assert fails("compress", *sounds, "-o", "no/streams", *engine) == "there is no folder no; make it first"
    assert fails("compress", "a.wav", "in/b.flac", "-o", "ü c.wav", *engine).startswith("ü c.wav is a file;")
    assert "go alone" in fails("compress", "-", "a.wav", "-o", "streams", *engine)
    told = fails("compress", *sounds, *engine, status=2)
    assert told == "several inputs need a folder for their results: -o DIR; see noisebook compress --help"
