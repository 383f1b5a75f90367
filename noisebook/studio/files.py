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
from typing import TYPE_CHECKING, NamedTuple

from noisebook.errors import AudioError, ConfigError, StreamError

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform

__all__ = ["Limits", "ResultStore", "read_sound", "read_stream", "safe_name"]

_READABLE = "WAV, FLAC, Ogg Vorbis, Opus, MP3 and AIFF"


@dataclass(frozen=True)
class Limits:
    """What is taken; raises ConfigError for a limit that nothing can meet."""

    seconds: float = 60.0  # of a sound
    megabytes: float = 50.0  # of a file, 10^6 bytes

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.megabytes > 0):
            raise ConfigError(f"limits of {self.seconds:g} s and {self.megabytes:g} MB: both must be above 0")

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
    """The sound of an uploaded file.

    Only libsndfile decodes it: it tells length and channels before the samples, so that a small file cannot unfold
    into hours. What needs ffmpeg is left to the command line.

    Raises:
        AudioError: too large, too long, silent about what it is, more than two channels, or damaged.
    """
    import soundfile

    from noisebook.audio.io import read

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
    """The bytes of an uploaded .ddcm file that claims a sound within the limits.

    Raises:
        AudioError: too large or too long.
        StreamError: not a stream.
    """
    from noisebook.api import read_info

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
