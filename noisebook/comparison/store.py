"""What a comparison has done already, in its folder: results appear whole or not at all, and are known by a key.

sounds/INPUT/original.flac, METHOD.flac      what is compared, 24 bits
files/INPUT/METHOD.SUFFIX                    the coded files whose bytes are counted
work/INPUT/METHOD.json                       what was measured
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError

__all__ = ["Store", "key_of"]

_WORK = "work"


def key_of(**parts: Any) -> str:
    """A digest of everything that decides what a result is."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Store:
    """The folder of a comparison.

    Args:
        folder: made where it is not there.

    Raises:
        ConfigError: a folder that holds something else, or a file.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file; name a folder with --out")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / _WORK).is_dir():
            raise ConfigError(f"{folder} holds something else than a comparison; name a new folder with --out")
        if not folder.absolute().parent.is_dir():
            raise ConfigError(f"there is no folder {folder.parent}; make it first")
        self.folder = folder
        (folder / _WORK).mkdir(parents=True, exist_ok=True)

    def record(self, key: str, source: str, method: str) -> dict[str, Any] | None:
        """What was measured under that key, where its sound is still as it was written; None: nothing."""
        try:
            record = json.loads(self._path(source, method).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if not isinstance(record, dict) or record.get("key") != key:
            return None
        sound = self.folder / self.sound_name(source, method)
        intact = sound.is_file() and sha256(sound.read_bytes()).hexdigest() == record.get("sound_sha256")
        return record if intact else None

    def save(self, record: dict[str, Any], source: str, method: str) -> None:
        """Write what was measured, with the digest of the sound that was written before."""
        sound = self.folder / self.sound_name(source, method)
        whole = {**record, "sound_sha256": sha256(sound.read_bytes()).hexdigest()}
        self.write(self._path(source, method), json.dumps(whole, indent=1).encode())

    def forget(self, source: str, method: str) -> None:
        """Remove what is there of a method that failed."""
        for path in (self._path(source, method), self.folder / self.sound_name(source, method)):
            path.unlink(missing_ok=True)

    def sound_name(self, source: str, method: str) -> str:
        """Where the sound of a method, or the `original`, lies within the folder."""
        return f"sounds/{source}/{method}.flac"

    def write_sound(self, sound: Waveform, source: str, method: str) -> int:
        """Write a sound; returns how many samples were beyond full scale and are held."""
        path = self._made(self.folder / self.sound_name(source, method))
        return io.write(path, sound, subtype="PCM_24", overwrite=True)

    def read_sound(self, source: str, method: str) -> Waveform:
        """The sound as it was written, which is what is judged."""
        return io.read(self.folder / self.sound_name(source, method))

    def write_file(self, data: bytes, source: str, name: str) -> str:
        """Write a coded file; returns its place within the folder."""
        place = f"files/{source}/{name}"
        self.write(self.folder / place, data)
        return place

    def write(self, path: Path, data: bytes) -> None:
        """Write a file, whole or not at all, in a folder that is made for it."""
        io.write_bytes_atomic(self._made(path), data, overwrite=True)

    def _path(self, source: str, method: str) -> Path:
        return self.folder / _WORK / source / f"{method}.json"

    @staticmethod
    def _made(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
