"""The short scripts of examples/ run, on the small model, and do what they say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import noisebook
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform

FOLDER = Path(__file__).parents[2] / "examples"
SHORT = sorted(path for path in FOLDER.glob("*.py") if path.name != "demo.py")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A second of sound, half of it a tone."""
    rng, time = np.random.default_rng(0), np.arange(16000) / 16000
    samples = 0.02 * rng.standard_normal(16000) + 0.3 * np.sin(2 * np.pi * 330 * time) * (time < 0.5)
    write(tmp_path / "song.wav", Waveform.of(samples, 16000))
    return tmp_path / "song.wav"


@pytest.fixture
def ran(backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a script on a file; what it printed."""

    def run(name: str, argument: Path) -> str:
        monkeypatch.setattr(noisebook, "load_backend", lambda *_: backend)
        monkeypatch.setattr(noisebook, "find_model", lambda _: "mini")
        monkeypatch.setattr("noisebook.api.codec.load_backend", lambda *_: backend)
        monkeypatch.setattr("noisebook.api.codec.model_of", lambda _: "mini")
        monkeypatch.setattr("noisebook.api.models.load_backend", lambda *_: backend)
        monkeypatch.setattr("noisebook.api.models.find_model", lambda _: "mini")
        monkeypatch.setattr(sys, "argv", [name, str(argument)])
        runpy.run_path(str(FOLDER / name))
        return capsys.readouterr().out

    return run


def test_they_are_short():
    assert len(SHORT) == 5
    for path in SHORT:
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) <= 40, path.name
        assert f"python examples/{path.name} " in lines[2], "its docstring says how it is run"


def test_round_trip(ran, song):
    assert ", " not in ran("round_trip.py", song).split(": ")[0]
    assert song.with_suffix(".ddcm").is_file()
    assert read(song.with_name("song-300.wav")).samples.shape == (1, 16000)


def test_rates(ran, song):
    sizes = [int(line.split()[1]) for line in ran("rates.py", song).splitlines()[1:]]
    assert len(sizes) == 4
    assert sizes == sorted(sizes)


def test_beginning(ran, song):
    ran("beginning.py", song)
    sounds = [read(song.with_name(f"song-{share}.wav")) for share in (25, 50, 100)]
    assert {sound.samples.shape for sound in sounds} == {(1, 16000)}
    assert not np.array_equal(sounds[0].samples, sounds[2].samples)


def test_create(ran, song):
    assert ran("create.py", song).startswith("made.wav, changed.wav, and made.ddcm with ")
    assert read(song.with_name("changed.wav")).sample_count == 16000
    assert read(song.with_name("made.wav")).duration == 3.0
    assert noisebook.read_info(song.with_name("made.ddcm").read_bytes()).duration == 3.0


def test_as_it_comes(ran, song, backend):
    stream = song.with_suffix(".ddcm")
    stream.write_bytes(noisebook.compress(read(song), backend=backend))
    assert ran("as_it_comes.py", stream).splitlines()[-1] == "8000 samples from 0.5 s on, at 16000 Hz"
