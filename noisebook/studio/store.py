"""The files of results, under names that cannot be guessed: a bounded number of them, and the oldest go first."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ResultStore"]


@dataclass
class _Entry:
    owner: str | None
    size: int
    names: frozenset[str]


class ResultStore:
    """Files by token and name, in one folder. All methods may be called from any thread.

    Args:
        folder: exists, and belongs to the store.
        per_owner: results that are kept of each owner, which the page can show again.
        megabytes: room for all of them, 10^6 bytes.
    """

    def __init__(self, folder: Path, *, per_owner: int = 8, megabytes: float = 1000.0) -> None:
        self._folder, self._per_owner, self._room = folder, per_owner, megabytes * 1e6
        self._entries: dict[str, _Entry] = {}  # in the order of their making
        self._lock = threading.Lock()

    def put(self, owner: str | None, files: Mapping[str, bytes]) -> str:
        """Keep files, and give the token under which `find` finds them; older ones go where room is needed, but none
        that has no owner."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            (self._folder / token).mkdir()
            for name, data in files.items():
                (self._folder / token / name).write_bytes(data)
            self._entries[token] = _Entry(owner, sum(map(len, files.values())), frozenset(files))
            for old in self._surplus(token):
                self._remove(old)
        return token

    def find(self, token: str, name: str) -> Path | None:
        """The file, if it was put there and is still there. No part of either name is used as a path unchecked."""
        with self._lock:
            entry = self._entries.get(token)
            return self._folder / token / name if entry is not None and name in entry.names else None

    def clear(self, owner: str) -> None:
        """Remove everything of an owner."""
        with self._lock:
            for token in [token for token, entry in self._entries.items() if entry.owner == owner]:
                self._remove(token)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        with self._lock:
            return sum(entry.size for entry in self._entries.values())

    def _surplus(self, newest: str) -> list[str]:
        """Tokens that have to go, the newest never."""
        owner = self._entries[newest].owner
        own = [token for token, entry in self._entries.items() if entry.owner == owner]
        surplus = own[: -self._per_owner] if owner is not None else []
        used = sum(entry.size for token, entry in self._entries.items() if token not in surplus)
        for token, entry in self._entries.items():
            if used > self._room and entry.owner is not None and token not in surplus and token != newest:
                surplus.append(token)
                used -= entry.size
        return surplus

    def _remove(self, token: str) -> None:
        del self._entries[token]
        shutil.rmtree(self._folder / token)
