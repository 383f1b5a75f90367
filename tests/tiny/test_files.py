"""`compress_file` and `decompress_file`: the same as with arrays, and nothing is lost or half written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import noisebook
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError, ConfigError, NotAStream


@pytest.fixture
def song(tmp_path: Path) -> Path:
    samples = 0.3 * np.sin(np.arange(4000) * 0.2)
    write(tmp_path / "song.wav", Waveform.of(np.stack([samples, -samples]), 16000))
    return tmp_path / "song.wav"


def test_the_same_as_with_arrays(backend, song):
    stream = noisebook.compress_file(song, backend=backend, preset="300", seed=3)
    assert stream == song.with_suffix(".ddcm")
    assert stream.read_bytes() == noisebook.compress(read(song), backend=backend, preset="300", seed=3)
    back = noisebook.decompress_file(str(stream), song.with_name("back.wav"), backend=backend, bits="float")
    decoded = noisebook.decompress(stream.read_bytes(), backend=backend, peak_guard=False)
    np.testing.assert_array_equal(read(back).samples, decoded.samples)


def test_a_part_in_another_format(backend, song):
    stream = noisebook.compress_file(song, backend=backend)
    part = noisebook.decompress_file(
        stream, song.with_name("part.flac"), backend=backend, start=0.1, end=0.2, bits="24"
    )
    assert read(part).samples.shape == (2, 1600)


def test_what_is_there_stays(backend, song):
    before = song.read_bytes()
    stream = noisebook.compress_file(song, backend=backend)
    with pytest.raises(AudioError, match=r"song\.wav exists already: name another target, or give overwrite=True"):
        noisebook.decompress_file(stream, backend=backend)
    with pytest.raises(AudioError, match=r"song\.wav is the input itself"):
        noisebook.compress_file(song, song, backend=backend, overwrite=True)
    assert song.read_bytes() == before
    assert noisebook.decompress_file(stream, backend=backend, overwrite=True) == song
    assert song.read_bytes() != before


@pytest.mark.parametrize(
    ("target", "keywords", "error", "told"),
    [
        ("back.xyz", {}, AudioError, "its suffix is none of .wav "),
        ("no/back.wav", {}, AudioError, "there is no folder "),
        ("back.mp3", {"bits": "24"}, AudioError, "which has no bits"),
        ("back.wav", {"stat": 1.0}, ConfigError, r"there is no option stat \(did you mean start\?\)"),
    ],
)
def test_refused_before_the_work(song, target, keywords, error, told):
    """No model is loaded, and no stream is read."""
    with pytest.raises(error, match=told):
        noisebook.decompress_file(song.with_suffix(".ddcm"), song.parent / target, **keywords)


def test_wrong_files(song):
    with pytest.raises(AudioError, match=r"cannot read .*gone\.ddcm: No such file"):
        noisebook.decompress_file(song.with_name("gone.ddcm"))
    with pytest.raises(NotAStream):
        noisebook.decompress_file(song, song.with_name("back.wav"))
    with pytest.raises(AudioError, match="gone"):
        noisebook.compress_file(song.with_name("gone.wav"), backend=None)
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]
