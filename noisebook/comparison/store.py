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

__all__ = ["Store"]


class Store:
    """The folder of a comparison; made where it does not exist.

    Raises:
        ConfigError: a folder that holds something else, or a file.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file; name a folder with --out")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / "work").is_dir():
            raise ConfigError(f"{folder} holds something else than a comparison; name a new folder with --out")
        if not folder.absolute().parent.is_dir():
            raise ConfigError(f"there is no folder {folder.parent}; make it first")
        self.folder = folder
        (folder / "work").mkdir(parents=True, exist_ok=True)

    def record(self, key: str, source: str, method: str) -> dict[str, Any] | None:
        """What was measured under that key, if its sound is still as it was written."""
        try:
            record = json.loads((self.folder / _record_name(source, method)).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if not isinstance(record, dict) or record.get("key") != key:
            return None
        return record if self._digest(source, method) == record.get("sound_sha256") else None

    def save(self, record: dict[str, Any], source: str, method: str) -> None:
        """Write what was measured, with the digest of the sound that was written before."""
        whole = {**record, "sound_sha256": self._digest(source, method)}
        self.write(_record_name(source, method), json.dumps(whole, indent=1).encode())

    def forget(self, source: str, method: str) -> None:
        """Remove what is left of a method that failed."""
        for name in (_record_name(source, method), self.sound_name(source, method)):
            (self.folder / name).unlink(missing_ok=True)

    def sound_name(self, source: str, method: str) -> str:
        """The file of the sound of a method, or of the `original`, within the folder."""
        return f"sounds/{source}/{method}.flac"

    def write_sound(self, sound: Waveform, source: str, method: str) -> int:
        """Write a sound; returns how many samples were beyond full scale and are clipped."""
        path = self.folder / self.sound_name(source, method)
        path.parent.mkdir(parents=True, exist_ok=True)
        return io.write(path, sound, subtype="PCM_24", overwrite=True)

    def read_sound(self, source: str, method: str) -> Waveform:
        """The sound as it was written, which is what is judged."""
        return io.read(self.folder / self.sound_name(source, method))

    def write(self, name: str, data: bytes) -> str:
        """Write a file of the folder, whole or not at all; returns its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        io.write_bytes_atomic(path, data, overwrite=True)
        return name

    def _digest(self, source: str, method: str) -> str | None:
        sound = self.folder / self.sound_name(source, method)
        return sha256(sound.read_bytes()).hexdigest() if sound.is_file() else None


def _record_name(source: str, method: str) -> str:
    return f"work/{source}/{method}.json"
