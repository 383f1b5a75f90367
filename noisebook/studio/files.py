"""Files in and out of the studio.

Nothing in a visitor's file is believed before it is checked, and every refusal is a sentence. The files of results have
names that cannot be guessed; a bounded number of them is kept, and the oldest go first.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from noisebook.api import Waveform, read_info
from noisebook.audio.io import read
from noisebook.errors import AudioError, StreamError
from noisebook.options import Options, option

_READABLE = "WAV, FLAC, Ogg Vorbis, Opus, MP3 and AIFF"


@dataclass(frozen=True)
class Limits(Options):
    """What is taken; 10^6 bytes are a megabyte."""

    seconds: float = option(60.0, "Longest sound that is accepted.", above=0, flags=("--limit-seconds",), metavar="S")
    megabytes: float = option(50.0, "Largest file that is accepted.", above=0, flags=("--max-mb",), metavar="MB")

    def check_seconds(self, seconds: float, what: str) -> None:
        """Raise AudioError for a sound that is too long."""
        if seconds > self.seconds:
            raise AudioError(
                f"{what} {seconds:.1f} s long, and at most {self.seconds:g} s are taken here: make it shorter, or use "
                "the command line, which has no such limit"
            )

    def check_size(self, size: int) -> None:
        """Raise AudioError for a file without bytes, or with too many."""
        if size == 0:
            raise AudioError("the file is empty (0 bytes)")
        if size > self.megabytes * 1e6:
            raise AudioError(f"the file has {size / 1e6:.1f} MB, and at most {self.megabytes:g} MB are taken here")


def read_sound(path: Path, limits: Limits) -> Waveform:
    """The sound of an uploaded file; AudioError if it is too large, too long, no sound or of more than two channels.

    Only libsndfile decodes it: it gives length and channels before the samples, so that a small file cannot unfold
    into hours. What needs ffmpeg is left to the command line.
    """
    import soundfile

    limits.check_size(path.stat().st_size)
    try:
        # By its descriptor: the name, which a visitor chose, must not decide what the file is.
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            seconds, channels = sound.frames / sound.samplerate, sound.channels
    except soundfile.LibsndfileError:
        name = safe_name(path.name)
        raise AudioError(f"{name} is not a sound that this page can read: it takes {_READABLE}") from None
    limits.check_seconds(seconds, "the sound is")
    if channels > 2:
        raise AudioError(f"the sound has {channels} channels: mix it down to mono or stereo")
    try:
        return read(path)
    except AudioError as error:  # the path is the server's own business
        raise AudioError(str(error).replace(str(path), safe_name(path.name))) from None


def read_stream(path: Path, limits: Limits) -> bytes:
    """The bytes of an uploaded .ddcm file; AudioError if it or its sound is too large, StreamError if it is none."""
    limits.check_size(path.stat().st_size)
    data = path.read_bytes()
    try:
        info = read_info(data)
    except StreamError as error:
        raise type(error)(f"{safe_name(path.name)}: {error}") from None
    limits.check_seconds(info.duration, "the sound of the stream is")
    return data


def safe_name(name: str, default: str = "sound") -> str:
    """A file's name of letters, digits, dots, hyphens and underscores, without folders and not hidden, 48 at most."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", re.split(r"[/\\]", name)[-1]).strip(".-_")
    return plain[-48:].strip(".-_") or default


class _Entry(NamedTuple):
    owner: str | None
    size: int
    files: Mapping[str, Path]


class ResultStore:
    """Files by token and name, in a folder that belongs to the store. All methods may be called from any thread.

    Args:
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
            paths = {name: self._folder / token / name for name in files}
            for name, data in files.items():
                paths[name].write_bytes(data)
            for old in self._tokens(owner)[: -self._per_owner + 1 or None] if owner is not None else ():
                self._remove(old)
            self._entries[token] = _Entry(owner, sum(map(len, files.values())), paths)
            owned = [one for one, entry in self._entries.items() if entry.owner is not None and one != token]
            while owned and sum(entry.size for entry in self._entries.values()) > self._room:
                self._remove(owned.pop(0))
        return token

    def find(self, token: str, name: str) -> Path | None:
        """The file, if it was put there and is still there. No part of either name is used as a path."""
        with self._lock:
            entry = self._entries.get(token)
            return None if entry is None else entry.files.get(name)

    def clear(self, owner: str) -> None:
        """Remove everything of an owner."""
        with self._lock:
            for token in self._tokens(owner):
                self._remove(token)

    def _tokens(self, owner: str | None) -> list[str]:
        return [token for token, entry in self._entries.items() if entry.owner == owner]

    def _remove(self, token: str) -> None:
        del self._entries[token]
        shutil.rmtree(self._folder / token)
