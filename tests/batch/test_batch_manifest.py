"""The manifest: whole lines, the last of a source counts, one writer."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

import pytest

from noisebook.batch import manifest as module
from noisebook.batch.manifest import Manifest, opened
from noisebook.batch.storage import OutOfSpace, Storage
from noisebook.errors import AudioError, ConfigError

NAME = "manifest.jsonl"


def record(source: str, state: str = "done", **values: object) -> dict[str, object]:
    return {"state": state, "source": source, "target": f"{source}.ddcm", **values}


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path))


def test_lines_are_kept_over_runs(storage):
    with opened(storage, NAME) as manifest:
        manifest.append({"state": "run"})
        manifest.append(record("a", "started"))
    with opened(storage, NAME) as manifest:
        assert manifest.last["a"]["state"] == "started"
        assert manifest.owned == {"a.ddcm": None}
        manifest.append(record("a", target_sha256="12"))
        assert manifest.owned == {"a.ddcm": "12"}
    assert [one["state"] for one in Manifest(storage, NAME).records()] == ["run", "started", "done"]


def test_a_target_stays_owned_when_a_later_try_fails(storage):
    with opened(storage, NAME) as manifest:
        for one in (record("a", target_sha256="12"), record("a", "failed"), record("b", "failed")):
            manifest.append(one)
        assert manifest.last["a"]["state"] == "failed"
        assert manifest.owned == {"a.ddcm": "12"}


@pytest.mark.parametrize("torn", [b"", b"{", b'{"state": "done", "source": "b"', b"\0\0\0"])
def test_a_torn_line_is_cut_away(storage, torn):
    with opened(storage, NAME) as manifest:
        manifest.append(record("a"))
    path = storage.path_of(NAME)
    path.write_bytes(path.read_bytes() + torn)
    with opened(storage, NAME) as manifest:
        assert list(manifest.last) == ["a"]
        manifest.append(record("c"))
    assert [one["source"] for one in Manifest(storage, NAME).records()] == ["a", "c"]


@pytest.mark.parametrize("text", ["hello\n", "[1]\n", '{"a": 1}\n', '{"state": "done"}\n'])
def test_another_file_of_that_name_is_refused_and_left_alone(storage, text):
    path = storage.path_of(NAME)
    path.write_text(text)
    with pytest.raises(ConfigError, match="no manifest of a batch"), opened(storage, NAME):
        pass
    assert path.read_text() == text


def test_two_writers_are_refused(storage):
    with opened(storage, NAME), pytest.raises(ConfigError, match="another batch"), opened(storage, NAME):
        pass
    with opened(storage, NAME):
        pass


def test_a_full_disk_leaves_whole_lines(storage, monkeypatch):
    def half(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write = os.write
    for fails in (half, full):
        with opened(storage, NAME) as manifest:
            manifest.append(record("a"))
            before = storage.path_of(NAME).read_bytes()
            with monkeypatch.context() as patch:
                patch.setattr(module.os, "write", fails)
                with pytest.raises(OutOfSpace, match="No space left"):
                    manifest.append(record("b"))
            assert storage.path_of(NAME).read_bytes() == before


def test_a_folder_that_must_not_be_written_to_is_told(unprivileged):
    folder = unprivileged / "locked"
    folder.mkdir(0o500)
    with (
        pytest.raises(AudioError, match=r"cannot write .*manifest\.jsonl: Permission denied"),
        opened(Storage(str(folder)), NAME),
    ):
        pass


def test_where_nothing_can_be_appended_the_whole_is_written(monkeypatch):
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    with opened(storage, NAME) as manifest:
        manifest.append(record("a"))
        assert Manifest(storage, NAME).records() == []
        monkeypatch.setattr(module, "_REWRITE_SECONDS", 0.0)
        manifest.append(record("b"))
        assert [one["source"] for one in Manifest(storage, NAME).records()] == ["a", "b"]
        monkeypatch.setattr(module, "_REWRITE_SECONDS", 1e9)
        manifest.append(record("c"))
    assert [one["source"] for one in Manifest(storage, NAME).records()] == ["a", "b", "c"]
    with opened(storage, NAME) as manifest:
        assert set(manifest.last) == {"a", "b", "c"}


def test_a_manifest_is_text_that_others_can_read(storage):
    with opened(storage, NAME) as manifest:
        manifest.append(record("tön\udcff e.wav"))
    assert Path(storage.path_of(NAME)).read_text("ascii").count("\n") == 1
    assert Manifest(storage, NAME).records()[0]["source"] == "tön\udcff e.wav"
