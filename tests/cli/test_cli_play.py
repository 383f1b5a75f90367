"""`play`: through a program, a file's program or sounddevice, each a small one of the test's own; or to a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import noisebook as package
from noisebook.audio.io import read
from noisebook.audio.speakers import speakers
from noisebook.errors import AudioError

PIPED = '#!/bin/sh\necho "$@" > "$0.words"\ncat > "$0.wav"\n'
OF_FILES = '#!/bin/sh\nPATH=/bin:/usr/bin cp "$1" "$0.wav"\n'
CLOSED = "#!/bin/sh\nexit 3\n"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make one that plays; there is no other on this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setattr("shutil.which", lambda name: str(folder / name) if (folder / name).exists() else None)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")

    def make(name: str, script: str) -> Path:
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
        return folder / name

    return make


@pytest.fixture
def decoded(noisebook, engine, stream) -> np.ndarray:
    assert noisebook("decompress", stream, "there.wav", *engine).status == 0
    return read("there.wav").samples


@pytest.mark.parametrize(("name", "script"), [("aplay", PIPED), ("ffplay", PIPED), ("afplay", OF_FILES)])
def test_a_program(noisebook, engine, stream, program, decoded, name, script):
    place = program(name, script)
    ran = noisebook("play", stream, *engine)
    assert (ran.status, ran.text, ran.err) == (0, "song.ddcm: 0.25 s played\n", "")
    np.testing.assert_array_equal(read(f"{place}.wav").samples, decoded)


def test_a_part(noisebook, engine, stream, program, decoded):
    place = program("play", PIPED)
    assert noisebook("play", stream, "--start", "0.1", "--end", "0.2", *engine).status == 0
    np.testing.assert_array_equal(read(f"{place}.wav").samples, decoded[:, 1600:3200])
    assert Path(f"{place}.words").read_text() == "-q -t wav -\n"


def test_sounddevice(noisebook, engine, stream, monkeypatch):
    heard: list[np.ndarray] = []

    class Output:
        def __init__(self, **settings: object) -> None:
            assert settings == {"samplerate": 16000, "channels": 1, "dtype": "float32"}

        def __enter__(self) -> Output:
            return self

        def __exit__(self, *_: object) -> None:
            heard.append(np.zeros((0, 1), np.float32))

        def write(self, frames: np.ndarray) -> None:
            assert frames.flags["C_CONTIGUOUS"]
            heard.append(frames)

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(OutputStream=Output))
    assert noisebook("play", stream, "--quiet", *engine).out == b""
    backend = package.load_backend(str(engine[1]), device="cpu")
    expected = package.decompress(stream.read_bytes(), backend=backend)
    np.testing.assert_array_equal(np.concatenate(heard).T, expected.samples)


def test_a_pipe(noisebook, engine, stream, program):
    """As `decompress` has it, and nothing is needed that plays."""
    piped = noisebook("play", stream, "-o", "-", *engine)
    assert (piped.status, piped.out[:4]) == (0, b"RIFF")
    assert piped.out == noisebook("decompress", stream, "-", *engine).out
    assert noisebook("play", "-", "-o", "-", *engine, stdin=stream.read_bytes()).out == piped.out


def test_failures(noisebook, engine, stream, fails, program):
    told = fails("play", stream, *engine)
    assert told.startswith("nothing here plays sound: there is neither one of the programs ffplay, mpv, aplay, play, ")
    program("mpv", CLOSED)
    assert fails("play", stream, *engine) == "mpv could not play the sound: exit status 3"
    assert fails("play", "gone.ddcm") == "there is no file gone.ddcm"
    assert fails("play", stream, "--start", "9", *engine).startswith("from 9 s to the end: the sound has 0.250 s")


def test_a_player_that_ends_before_the_sound(program):
    """As ffplay does where there is no device: with a status of 0."""
    program("ffplay", "#!/bin/sh\nexit 0\n")
    second = np.zeros((1, 48_000), np.float32)  # more than a pipe holds
    with pytest.raises(AudioError, match=r"^ffplay ended before the sound did: it was closed, or it finds no device"):
        speakers()([second] * 5, (1, 240_000), 48_000)
