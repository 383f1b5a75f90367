"""What has been done: a file of JSON lines beside the results, kept over interruptions.

A line says that a run begins ("run"), that a file begins ("started"), or how it ended ("done", "failed"): the last line
of a source counts. Each line goes to the disk at once; a torn one, after a crash of the machine, is cut away by the
next run. Where a file cannot be appended to (object stores), the whole manifest is rewritten every few seconds, and
what was done since is done again after a crash.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from noisebook.batch.storage import OutOfSpace, Storage
from noisebook.errors import AudioError, ConfigError

Record = dict[str, Any]
_REWRITE_SECONDS = 5.0


class Manifest:
    """The lines so far, what they say together, and where the next ones go; ConfigError if they are something else."""

    def __init__(self, storage: Storage, name: str, descriptor: int | None = None) -> None:
        self._storage, self._name, self._descriptor = storage, name, descriptor
        data = storage.read(name) if storage.is_file(name) else b""
        self._lines = data.split(b"\n")[:-1]
        self._flushed, self._pending = time.monotonic(), False
        self.last: dict[str, Record] = {}  # of each source
        self.owned: dict[str, str | None] = {}  # targets that batches wrote -> the SHA-256 of that, where it is known
        for record in self.records():
            self._take(record)
        if descriptor is not None:
            os.ftruncate(descriptor, data.rfind(b"\n") + 1)  # what follows is a torn line

    def records(self) -> list[Record]:
        """All records, in order."""
        return [_parsed(line, self._storage.shown(self._name)) for line in self._lines]

    def append(self, record: Record) -> None:
        """Add a line, durably in a local folder; where that fails (AudioError) the manifest is as before."""
        line = json.dumps(record).encode()
        if self._descriptor is not None:
            _append(self._descriptor, line + b"\n", self._storage.shown(self._name))
        self._lines.append(line)
        self._pending = True
        self._take(record)
        if time.monotonic() - self._flushed > _REWRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._descriptor is None and self._pending:
            self._storage.write(self._name, b"".join(line + b"\n" for line in self._lines))
            self._flushed, self._pending = time.monotonic(), False

    def _take(self, record: Record) -> None:
        if record["state"] == "run":
            return
        self.last[record["source"]] = record
        if record["state"] in ("started", "done") and record["target"] is not None:
            self.owned[record["target"]] = record.get("target_sha256")


@contextmanager
def opened(storage: Storage, name: str) -> Iterator[Manifest]:
    """The manifest of a folder for writing; ConfigError if another run writes to it, in a local folder."""
    descriptor = _locked(storage, name) if storage.is_local else None
    try:
        manifest = Manifest(storage, name, descriptor)
        try:
            yield manifest
        finally:
            manifest.flush()
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _parsed(line: bytes, shown: str) -> Record:
    try:
        record = json.loads(line)
        if isinstance(record, dict) and (record["state"] == "run" or isinstance(record["source"], str)):
            return record
    except (KeyError, ValueError):
        pass
    raise ConfigError(f"{shown} is no manifest of a batch; name another folder, or remove it")


def _append(descriptor: int, line: bytes, shown: str) -> None:
    before = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, line)
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    except OSError as error:
        os.ftruncate(descriptor, before)
        raise OutOfSpace(f"cannot write {shown}: {error.strerror}") from error


def _locked(storage: Storage, name: str) -> int:
    """The manifest of a local folder, open for this process alone: the lock ends with it, however that ends."""
    path = storage.path_of(name)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror}") from error
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows has no such lock
        pass
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(f"another batch is writing to {storage.url}; wait for its end") from error
    return descriptor
