"""Sound files in and out, whole: `recording` reads, `formats` writes; and files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, TypeVar

from noisebook.audio.formats import WRITABLE, encode
from noisebook.audio.recording import Recording, read, reason
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError, Error

__all__ = ["Recording", "bundled_clips", "read", "wav_bytes", "write", "write_atomic", "write_bytes_atomic"]

StrPath = str | os.PathLike[str]
T = TypeVar("T")


def bundled_clips() -> dict[str, Path]:
    """The real sounds inside the package, by name: music, speech and effects."""
    return {path.stem: path for path in sorted((Path(__file__).parents[1] / "assets").glob("*.flac"))}


def write(path: StrPath, waveform: Waveform, *, subtype: str | None = None, overwrite: bool = False) -> int:
    """Write a sound file in the format its suffix names (a key of `WRITABLE`), atomically.

    Integer formats round to the nearest step, without dither. All but FLOAT hold the sound within full scale.

    Args:
        subtype: libsndfile's name of the sample format, such as PCM_24 or FLOAT; by default 16 bits, or the
            suffix's codec.

    Returns:
        The number of samples beyond [-1, 1], which were held (`noisebook.audio.peak_guard`).

    Raises:
        AudioError: unknown suffix or subtype, a rate or channel count the format cannot hold, an existing
            target without `overwrite`, or a target that cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITABLE:
        raise AudioError(f"cannot write {path}: the suffix {suffix!r} is none of {' '.join(WRITABLE)}")
    container, subtypes = WRITABLE[suffix]
    subtype = (subtype or subtypes[0]).upper()
    if subtype not in subtypes:
        raise AudioError(f"cannot write {path}: {suffix} holds {' '.join(subtypes)}, not {subtype}")
    data, held = encode(waveform, container, subtype)
    write_bytes_atomic(path, data, overwrite=overwrite)
    return held


def wav_bytes(waveform: Waveform, *, subtype: str = "PCM_16") -> bytes:
    """A whole WAV file as bytes, for standard output; samples beyond [-1, 1] are held as in `write`."""
    return bytes(encode(waveform, "WAV", subtype)[0])


def write_bytes_atomic(path: StrPath, data: bytes | memoryview, *, overwrite: bool = False) -> None:
    """`write_atomic` of bytes."""
    write_atomic(path, lambda file: file.write(data), overwrite=overwrite)


def write_atomic(path: StrPath, fill: Callable[[IO[bytes]], T], *, overwrite: bool = False) -> T:
    """Write a file that appears whole or not at all.

    `fill` writes it, under a temporary name beside the target, which then takes the target's name; nothing stays
    behind after a failure. A symbolic link is followed. What goes to a device or pipe is written there at the end.

    Returns:
        What `fill` returns.

    Raises:
        AudioError: the target exists and `overwrite` is false, or it cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))
        if os.path.isdir(path):
            raise AudioError(f"cannot write {path}: it is a directory; name a file in it")
        if os.path.isfile(path) and not overwrite:
            raise AudioError(f"{path} exists already: choose another name, or overwrite it with -f")
        if os.path.exists(path) and not os.path.isfile(path):
            return _to_device(path, fill)
        if not target.parent.is_dir():
            raise AudioError(f"cannot write {path}: there is no folder {target.parent}; create it first")
        return _replace(target, fill)
    except Error:
        raise
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot write {path}: {reason(error)}") from error


def _to_device(path: StrPath, fill: Callable[[IO[bytes]], T]) -> T:
    buffer = BytesIO()  # formats go back to their header when the length is known; a pipe does not
    result = fill(buffer)
    with open(path, "wb") as device:
        device.write(buffer.getbuffer())
    return result


def _replace(target: Path, fill: Callable[[IO[bytes]], T]) -> T:
    temporary = target.with_name(f".noisebook-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "x+b") as file:
            result = fill(file)
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return result
