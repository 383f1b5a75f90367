"""Inputs are found, named, cut and brought to one form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.comparison.inputs import Input, load
from noisebook.errors import AudioError

NOWHERE = Path("nowhere")


def save(path: Path, *, rate: int = 16000, channels: int = 1, seconds: float = 1.0, hz: float = 440) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    phase = 2 * np.pi * hz * np.arange(round(seconds * rate)) / rate
    write(path, Waveform(np.tile(0.3 * np.sin(phase), (channels, 1)).astype(np.float32), rate))
    return path


def one(path: Path, limit: float = 30.0) -> Input:
    (source,) = load([path], limit_seconds=limit, beside=NOWHERE)
    return source


def test_one_form_for_all(tmp_path):
    source = one(save(tmp_path / "song.wav", rate=44100, channels=2, seconds=2), limit=1.5)
    assert (source.sound.channels, source.sound.sample_rate, source.sound.duration) == (2, 48000, 1.5)
    assert (source.source_channels, source.source_rate, source.cut_seconds) == (2, 44100, 0.5)
    assert abs(np.abs(source.sound.samples).max() - 0.3) < 0.01
    assert one(save(tmp_path / "three.wav", rate=16000, channels=3, seconds=1)).sound.channels == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [("music-a", "music"), ("Speech_1", "speech"), ("sfx-rain", "effects"), ("musical", None), ("01 song", None)],
)
def test_kinds_are_the_first_word(tmp_path, name, kind):
    assert one(save(tmp_path / f"{name}.wav")).kind == kind


def test_ids_are_unique_and_name_files(tmp_path):
    paths = [save(tmp_path / folder / "Größe &.wav") for folder in "abc"] + [save(tmp_path / "!!.wav")]
    sources = load(paths, limit_seconds=9, beside=NOWHERE)
    assert [source.id for source in sources] == ["gr-e", "gr-e-2", "gr-e-3", "sound"]
    assert sources[0].title == "Größe &"


def test_folders_without_the_comparison_itself_and_every_file_once(tmp_path):
    wanted = [save(tmp_path / "a.wav"), save(tmp_path / "deep" / "b.flac")]
    save(tmp_path / "out" / "sounds" / "a" / "original.flac")
    (tmp_path / "notes.txt").write_text("no sound")
    sources = load([wanted[1], tmp_path], limit_seconds=9, beside=tmp_path / "out")
    assert [source.title for source in sources] == ["b", "a"]


def test_the_digest_is_of_the_samples(tmp_path):
    a, b, c = (save(tmp_path / n, hz=hz) for n, hz in (("a.wav", 440), ("b.wav", 440), ("c.wav", 441)))
    assert one(a).digest == one(b).digest != one(c).digest
    assert one(a, limit=0.5).digest != one(a).digest


def test_nothing_to_compare(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no sounds in"):
        load([tmp_path / "empty"], limit_seconds=9, beside=NOWHERE)
    with pytest.raises(AudioError, match="there is no file"):
        load([tmp_path / "gone.wav"], limit_seconds=9, beside=NOWHERE)
