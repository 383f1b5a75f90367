"""Folders, local and behind URLs: files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

import pytest

from noisebook.batch.storage import TEMPORARY, OutOfSpace, Storage
from noisebook.errors import AudioError, ConfigError, MissingExtra


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    url = str(tmp_path / "storage") if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    storage = Storage(url)
    storage.make()
    return storage


def test_what_is_written_is_read_and_listed(storage):
    storage.write("a/b/c.wav", b"one")
    storage.write("a/b/c.wav", b"three")
    storage.write("z.wav", memoryview(b"zero"))
    assert storage.files() == {"a/b/c.wav": 5, "z.wav": 4}
    assert storage.read("a/b/c.wav") == b"three"
    assert storage.is_file("z.wav")
    assert not storage.is_file("a")
    assert storage.digest("z.wav").startswith("f9194e73")
    with storage.open("z.wav") as file:
        assert file.read(2) == b"ze"


def test_the_state_changes_with_the_file(storage):
    storage.write("a.wav", b"one")
    before = storage.state("a.wav")
    assert storage.state("a.wav") == before
    storage.write("a.wav", b"other")
    assert storage.state("a.wav") != before


def test_what_is_not_there_is_told(storage):
    for read in (storage.read, storage.state, storage.digest):
        with pytest.raises(AudioError, match=r"cannot read .*/no\.wav"):
            read("no.wav")


def test_hidden_files_and_a_place_inside_are_left_out(storage):
    for name in ("a.wav", ".b.wav", ".git/c.wav", "out/d.wav"):
        storage.write(name, b"x")
    assert list(storage.files()) == ["a.wav", "out/d.wav"]
    inside = Storage(storage.shown("out"))
    assert list(storage.files(without=inside)) == ["a.wav"]
    assert storage.contains(inside)
    assert not inside.contains(storage)
    assert storage.contains(storage)


def test_a_failure_leaves_what_was_there(storage, monkeypatch):
    storage.write("a.wav", b"before")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(storage._fs), "mv", full)
    with pytest.raises(OutOfSpace, match=r"cannot write .*a\.wav: No space left"):
        storage.write("a.wav", b"after")
    monkeypatch.undo()
    assert storage.read("a.wav") == b"before"
    assert [name for folder in storage._folders(storage._root) for name in folder[2]] == ["a.wav"]


def test_what_a_killed_writer_left_is_swept(storage):
    storage.write("x/a.wav", b"whole")
    storage.write(f"x/{TEMPORARY}12.tmp", b"par")
    storage.sweep()
    assert [name for folder in storage._folders(storage._root) for name in folder[2]] == ["a.wav"]


def test_a_store_that_shows_whole_uploads_gets_them_directly(monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    from noisebook.batch import storage

    monkeypatch.setattr(storage, "_WHOLE_BY_NATURE", {"memory"})
    monkeypatch.setattr(MemoryFileSystem, "mv", None)
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    storage.write("x/a.wav", b"whole")
    assert storage.read("x/a.wav") == b"whole"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of fsspec's half-made file system
@pytest.mark.parametrize("url", ["nosuch://bucket/x", "ftp:///x/y"])
def test_an_unknown_kind_of_url_and_one_without_its_host_are_refused(url):
    with pytest.raises(ConfigError, match=f"{url}: .*give a folder, or a URL such as"):
        Storage(url)


def test_a_kind_whose_package_is_missing_names_it(monkeypatch):
    from fsspec.registry import known_implementations

    missing = {"class": "no_such_package.Files", "err": "install no_such_package"}
    monkeypatch.setitem(known_implementations, "elsewhere", missing)
    with pytest.raises(MissingExtra, match="install no_such_package"):
        Storage("elsewhere://bucket/x")


def test_links_to_files_are_taken_and_folders_behind_links_are_not(tmp_path):
    (tmp_path / "real/sub").mkdir(parents=True)
    (tmp_path / "real/sub/a.wav").write_bytes(b"x")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/link.wav").symlink_to(tmp_path / "real/sub/a.wav")
    (tmp_path / "here/folder").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "here/pipe.wav")
    files = Storage(str(tmp_path / "here")).files()
    assert "link.wav" in files
    assert "pipe.wav" not in files
    assert not any(name.startswith("folder/") for name in files)


def test_a_folder_that_cannot_be_listed_is_told(unprivileged):
    locked = unprivileged / "src/deep/locked"
    locked.mkdir(parents=True)
    locked.chmod(0)
    try:
        with pytest.raises(AudioError, match=r"cannot list .*locked: Permission denied"):
            Storage(str(unprivileged / "src")).files()
    finally:
        locked.chmod(0o700)


def test_a_local_file_has_a_path(tmp_path):
    assert Storage(str(tmp_path)).path_of("a/b.wav") == Path(tmp_path, "a/b.wav")
