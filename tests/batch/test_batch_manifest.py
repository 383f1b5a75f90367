"""The manifest: whole lines, the last of a source counts, one writer."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

import pytest

from noisebook.batch import manifest as module
from noisebook.batch.manifest import History, opened, read_records
from noisebook.batch.places import OutOfSpace, Place
from noisebook.errors import AudioError, ConfigError

NAME = "manifest.jsonl"


def record(source: str, state: str = "done", **values: object) -> dict[str, object]:
    return {"state": state, "source": source, "target": f"{source}.ddcm", **values}


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path))


def test_lines_are_kept_over_runs(place):
    with opened(place, NAME) as manifest:
        manifest.append({"state": "run"})
        manifest.append(record("a", "started"))
    with opened(place, NAME) as manifest:
        assert manifest.history.last["a"]["state"] == "started"
        assert manifest.history.owned == {"a.ddcm": None}
        manifest.append(record("a", target_sha256="12"))
        assert manifest.history.owned == {"a.ddcm": "12"}
    assert [one["state"] for one in read_records(place, NAME)] == ["run", "started", "done"]


def test_a_target_stays_owned_when_a_later_try_fails():
    history = History([record("a", target_sha256="12"), record("a", "failed")])
    assert history.last["a"]["state"] == "failed"
    assert history.owned == {"a.ddcm": "12"}
    assert History([record("b", "failed")]).owned == {}


@pytest.mark.parametrize("torn", [b"", b"{", b'{"state": "done", "source": "b"', b"\0\0\0"])
def test_a_torn_line_is_cut_away(place, torn):
    with opened(place, NAME) as manifest:
        manifest.append(record("a"))
    path = place.path_of(NAME)
    path.write_bytes(path.read_bytes() + torn)
    with opened(place, NAME) as manifest:
        assert list(manifest.history.last) == ["a"]
        manifest.append(record("c"))
    assert [one["source"] for one in read_records(place, NAME)] == ["a", "c"]


@pytest.mark.parametrize("text", ["hello\n", "[1]\n", '{"a": 1}\n', '{"state": "done"}\n'])
def test_another_file_of_that_name_is_refused_and_left_alone(place, text):
    path = place.path_of(NAME)
    path.write_text(text)
    with pytest.raises(ConfigError, match="no manifest of a batch"), opened(place, NAME):
        pass
    assert path.read_text() == text


def test_two_writers_are_refused(place):
    with opened(place, NAME), pytest.raises(ConfigError, match="another batch"), opened(place, NAME):
        pass
    with opened(place, NAME):
        pass


def test_a_full_disk_leaves_whole_lines(place, monkeypatch):
    def half(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write = os.write
    for fails in (half, full):
        with opened(place, NAME) as manifest:
            manifest.append(record("a"))
            before = place.path_of(NAME).read_bytes()
            with monkeypatch.context() as patch:
                patch.setattr(module.os, "write", fails)
                with pytest.raises(OutOfSpace, match="No space left"):
                    manifest.append(record("b"))
            assert place.path_of(NAME).read_bytes() == before


def test_a_folder_that_must_not_be_written_to_is_told(unprivileged):
    folder = unprivileged / "locked"
    folder.mkdir(0o500)
    with (
        pytest.raises(AudioError, match=r"cannot write .*manifest\.jsonl: Permission denied"),
        opened(Place(str(folder)), NAME),
    ):
        pass


def test_where_nothing_can_be_appended_the_whole_is_written(monkeypatch):
    place = Place(f"memory://{uuid.uuid4().hex}")
    with opened(place, NAME) as manifest:
        manifest.append(record("a"))
        assert read_records(place, NAME) == []
        monkeypatch.setattr(module, "_REWRITE_SECONDS", 0.0)
        manifest.append(record("b"))
        assert [one["source"] for one in read_records(place, NAME)] == ["a", "b"]
        monkeypatch.setattr(module, "_REWRITE_SECONDS", 1e9)
        manifest.append(record("c"))
    assert [one["source"] for one in read_records(place, NAME)] == ["a", "b", "c"]
    with opened(place, NAME) as manifest:
        assert set(manifest.history.last) == {"a", "b", "c"}


def test_a_manifest_is_text_that_others_can_read(place):
    with opened(place, NAME) as manifest:
        manifest.append(record("tön\udcff e.wav"))
    assert Path(place.path_of(NAME)).read_text("ascii").count("\n") == 1
    assert read_records(place, NAME)[0]["source"] == "tön\udcff e.wav"
