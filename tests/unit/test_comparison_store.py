"""What has been done is found again, and only that."""

from __future__ import annotations

import json

import numpy as np
import pytest

from noisebook.audio.waveform import Waveform
from noisebook.comparison.runs import Store
from noisebook.errors import ConfigError

SOUND = Waveform((0.5 * np.sin(np.arange(800)))[None].astype(np.float32), 16000)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "out")
    store.write_sound(SOUND, "song", "opus-6k")
    store.save({"key": "k", "bytes": 7}, "song", "opus-6k")
    return store


def test_a_record_is_found_by_its_key(store):
    assert store.record("k", "song", "opus-6k")["bytes"] == 7
    assert store.record("other", "song", "opus-6k") is None
    assert store.record("k", "song", "opus-8k") is None
    again = Store(store.folder)
    assert again.record("k", "song", "opus-6k")["bytes"] == 7
    assert np.abs(again.read_sound("song", "opus-6k").samples - SOUND.samples).max() < 2**-23


@pytest.mark.parametrize("damage", ["sound changed", "sound gone", "record cut off", "record of another kind"])
def test_what_is_not_as_it_was_written_is_done_again(store, damage):
    sound, record = store.folder / store.sound_name("song", "opus-6k"), store.folder / "work/song/opus-6k.json"
    if damage == "sound changed":
        sound.write_bytes(sound.read_bytes()[:-1] + b"x")
    elif damage == "sound gone":
        sound.unlink()
    elif damage == "record cut off":
        record.write_text(record.read_text()[:10])
    else:
        record.write_text(json.dumps(["k"]))
    assert store.record("k", "song", "opus-6k") is None


def test_a_failure_leaves_nothing(store):
    store.forget("song", "opus-6k")
    store.forget("song", "opus-6k")
    assert store.record("k", "song", "opus-6k") is None
    assert not (store.folder / store.sound_name("song", "opus-6k")).exists()


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "index.html").write_text("mine")
    with pytest.raises(ConfigError, match="something else than a comparison"):
        Store(tmp_path / "thesis")
    with pytest.raises(ConfigError, match="is a file"):
        Store(tmp_path / "thesis" / "index.html")
    with pytest.raises(ConfigError, match="there is no folder"):
        Store(tmp_path / "no" / "where")
    assert (tmp_path / "thesis" / "index.html").read_text() == "mine"
