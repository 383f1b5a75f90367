"""A folder of files, local or behind a URL that fsspec knows. Files appear in it whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO

from noisebook.errors import AudioError, ConfigError, MissingExtra

TEMPORARY = ".noisebook-batch-"  # begins the names of files that are being written
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# Object stores show an upload when it is complete, and a rename there is a copy.
_WHOLE_BY_NATURE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "hf"}


class OutOfSpace(AudioError):
    """Nothing more can be written; the same would happen to every file that follows."""


class Storage:
    """A folder and what lies in it; names are relative to it, with slashes. A failure of the file system is an
    AudioError, or OutOfSpace; a URL of an unknown kind is a ConfigError, one whose package is missing MissingExtra.

    Attributes:
        url: a path, or any URL of a folder that fsspec knows.
        is_local: whether files can be reached by `path_of`.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingExtra("folders of files need fsspec: pip install 'noisebook[batch]'") from error
        try:
            self._fs, root = url_to_fs(url)
        except ImportError as error:
            raise MissingExtra(f"{url}: {error}") from error
        except (ValueError, OSError, TypeError) as error:  # TypeError: a URL without what its kind needs, as ftp:///x
            raise ConfigError(f"{url}: {error}; give a folder, or a URL such as s3://bucket/folder") from error
        self.url, self._root = url, root.rstrip("/") or "/"
        protocol = self._fs.protocol
        self._protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self.is_local = "file" in self._protocols
        self._is_store = bool(self._protocols & _WHOLE_BY_NATURE)

    def is_folder(self) -> bool:
        """Whether the folder is there; of object stores, whether anything lies in it."""
        with self._named_errors("list", self.url):
            return bool(self._fs.isdir(self._root))

    def is_file(self, name: str = "") -> bool:
        """Whether there is a file of that name, or of the folder's own."""
        with self._named_errors("read", self.shown(name)):
            return bool(self._fs.isfile(self._path(name)))

    def make(self) -> None:
        """Make the folder if it is missing; not in an object store, which has none and would make a bucket instead,
        also of a mistyped name."""
        if not self._is_store:
            with self._named_errors("make the folder", self.url):
                self._fs.makedirs(self._root, exist_ok=True)

    def contains(self, other: Storage) -> bool:
        """Whether another folder is this one, or lies in it."""
        own, its = (os.path.realpath(one._root) if one.is_local else one._root for one in (self, other))
        return self._protocols == other._protocols and (its + "/").startswith(own.rstrip("/") + "/")

    def files(self, *, without: Storage | None = None) -> dict[str, int]:
        """Sizes in bytes of all files below, by name, in order; but for hidden ones, those in folders behind links, and
        those in the folder `without`."""
        self._fs.invalidate_cache()
        left_out = None if without is None or without._protocols != self._protocols else without._root
        found: dict[str, int] = {}
        for folder, subfolders, files in self._folders(self._root):
            subfolders[:] = [name for name in subfolders if name[0] != "." and f"{folder}/{name}" != left_out]
            shown = {name: size for name, size in files.items() if name[0] != "."}
            found |= {f"{folder}/{name}"[len(self._root) :].lstrip("/"): size for name, size in shown.items()}
        return dict(sorted(found.items()))

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        with self._named_errors("read", self.shown(name)):
            data: bytes = self._fs.cat_file(self._path(name))
            return data

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file to read some bytes of."""
        with self._named_errors("read", self.shown(name)), self._fs.open(self._path(name), "rb") as file:
            yield file

    def digest(self, name: str) -> str:
        """SHA-256 of a file, hexadecimal."""
        return sha256(self.read(name)).hexdigest()

    def state(self, name: str) -> str:
        """A short text that changes when the file does: size and time of a local file, fsspec's key of another."""
        with self._named_errors("read", self.shown(name)):
            if self.is_local:
                found = os.stat(self.path_of(name))
                return f"{found.st_size}-{found.st_mtime_ns}"
            return str(self._fs.ukey(self._path(name)))[:32]

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Write a file, whole or not at all, over one that is there, in a folder that is made for it: under a temporary
        name, which is then changed; an object store gets it directly."""
        path = self._path(name)
        with self._named_errors("write", self.shown(name)):
            if self._is_store:
                self._fs.pipe_file(path, bytes(data))
                return
            folder = self._fs._parent(path)
            self._fs.makedirs(folder, exist_ok=True)
            temporary = f"{folder}/{TEMPORARY}{secrets.token_hex(8)}.tmp"
            try:
                self._fs.pipe_file(temporary, bytes(data))
                self._fs.mv(temporary, path)
            except BaseException:
                with suppress(Exception):  # the caller has to know the first reason, not this one
                    self._fs.rm_file(temporary)
                raise

    def sweep(self) -> None:
        """Remove the temporary files that a killed writer left behind."""
        for folder, _, files in self._folders(self._root):
            for file in files:
                if file.startswith(TEMPORARY):
                    with self._named_errors("remove", file):
                        self._fs.rm_file(f"{folder}/{file}")

    def path_of(self, name: str) -> Path:
        """Of a file in a local folder."""
        return Path(self._path(name))

    def shown(self, name: str) -> str:
        """A file's name in messages."""
        return f"{self.url.rstrip('/')}/{name}".rstrip("/")

    def _folders(self, folder: str) -> Iterator[tuple[str, list[str], dict[str, int]]]:
        """Each folder, the names of its folders (the caller may take some out), and its files with their sizes.

        Not `fs.walk`, which silently skips nested folders that it may not list.
        """
        with self._named_errors("list", folder):
            entries = self._fs.ls(folder, detail=True)
        subfolders, files = [], {}
        for entry in entries:
            path = entry["name"].rstrip("/")
            name = path.rsplit("/", 1)[-1]
            if entry["type"] == "directory":
                subfolders.append(name)
            elif path != folder and (entry["type"] == "file" or entry.get("islink")):  # neither devices nor pipes
                files[name] = int(entry["size"] or 0)
        yield folder, subfolders, files
        for name in subfolders:
            yield from self._folders(f"{folder.rstrip('/')}/{name}")

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/") or "/"

    @contextmanager
    def _named_errors(self, action: str, what: str) -> Iterator[None]:
        """Failures of a file system, which each kind has of its own, as errors with a sentence."""
        try:
            yield
        except AudioError:
            raise
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            if error.errno in _FULL:
                raise OutOfSpace(f"cannot {action} {what}: {reason}") from error
            raise AudioError(f"cannot {action} {what}: {reason}") from error
        except Exception as error:
            if self.is_local:  # then it is a bug, not a failure of the file system
                raise
            raise AudioError(f"cannot {action} {what}: {type(error).__name__}: {error}") from error
