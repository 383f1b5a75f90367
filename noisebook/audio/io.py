"""Sound files in and out: libsndfile for what it knows, the ffmpeg executable for reading the rest."""

from __future__ import annotations

import os
import secrets
import shutil
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, BinaryIO

import numpy as np

from noisebook.audio.ffmpeg import decode_to_au
from noisebook.audio.formats import WRITABLE, encode
from noisebook.audio.waveform import MAX_SAMPLES, Waveform
from noisebook.errors import AudioError

__all__ = ["read", "wav_bytes", "write", "write_bytes_atomic"]

StrPath = str | os.PathLike[str]


def read(source: StrPath | BinaryIO) -> Waveform:
    """Any sound file as a waveform, with its own sample rate and channels.

    libsndfile reads WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF and others; what it refuses (m4a, wma, the
    sound of a video) goes through ffmpeg where that is on the PATH. Integers come scaled to [-1, 1); floats
    as they are.

    Args:
        source: a path, or a binary file object (standard input too), which is read to its end.

    Raises:
        AudioError: nothing there, not readable, not sound, no samples, NaN or infinite samples, or more than
            `MAX_SAMPLES`.
    """
    if not isinstance(source, str | os.PathLike):
        return _decode(BytesIO(source.read()), str(getattr(source, "name", "the byte stream")), None)
    path = Path(source)
    with _open(path) as file:
        if file.seekable():
            return _decode(file, str(path), path)
        return _decode(BytesIO(file.read()), str(path), None)


def write(path: StrPath, waveform: Waveform, *, subtype: str | None = None, overwrite: bool = False) -> int:
    """Write a sound file in the format its suffix names (a key of `WRITABLE`), atomically.

    Integer formats round to the nearest step, without dither. All but FLOAT clip at full scale.

    Args:
        subtype: libsndfile's name of the sample format, such as PCM_24 or FLOAT; by default 16 bits, or the
            suffix's codec.

    Returns:
        The number of samples beyond [-1, 1], which were clipped.

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
    data, clipped = encode(waveform, container, subtype)
    write_bytes_atomic(path, data, overwrite=overwrite)
    return clipped


def wav_bytes(waveform: Waveform, *, subtype: str = "PCM_16") -> bytes:
    """A whole WAV file as bytes, for standard output; samples beyond [-1, 1] are clipped as in `write`."""
    return bytes(encode(waveform, "WAV", subtype)[0])


def write_bytes_atomic(path: StrPath, data: bytes | memoryview, *, overwrite: bool = False) -> None:
    """Write a file that appears whole or not at all.

    The bytes go to a temporary file beside the target, which then takes the target's name; nothing stays
    behind after a failure. A symbolic link is followed. A device or pipe is written directly.

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
            with open(path, "wb") as device:
                device.write(data)
        elif not target.parent.is_dir():
            raise AudioError(f"cannot write {path}: there is no folder {target.parent}; create it first")
        else:
            _replace(target, data)
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot write {path}: {_reason(error)}") from error


def _replace(target: Path, data: bytes | memoryview) -> None:
    temporary = target.with_name(f".noisebook-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _open(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a directory: name a sound file in it")
        return open(path, "rb")
    except FileNotFoundError:
        raise AudioError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot open {path}: {_reason(error)}") from error


def _decode(file: IO[bytes], label: str, path: Path | None) -> Waveform:
    import soundfile

    try:
        if not file.read(1):
            raise AudioError("the file is empty (0 bytes)")
        file.seek(0)
        try:
            return _libsndfile(file)
        except soundfile.LibsndfileError as error:
            refusal = error.error_string.strip().rstrip(".")
        try:
            return _through_ffmpeg(file, path)
        except (AudioError, soundfile.LibsndfileError) as error:
            raise AudioError(f"libsndfile cannot decode it ({refusal}); {error}") from None
    except (AudioError, OSError) as error:
        raise AudioError(f"cannot read {label}: {_reason(error)}") from error


class _Tame:
    """A file for libsndfile: without a name, whose .raw it would take for a format, and deaf to seeks before the
    start, which damaged headers ask for and which would raise inside a callback."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.read, self.tell = file, file.read, file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -1


def _libsndfile(file: IO[bytes]) -> Waveform:
    import soundfile

    with soundfile.SoundFile(_Tame(file)) as sound:
        count = sound.frames * sound.channels
        if count > MAX_SAMPLES:
            raise AudioError(f"it announces {count} samples, and at most {MAX_SAMPLES} are allowed: cut it")
        try:
            # In one call: between calls the library seeks, and Opus does not come back to the same sample.
            samples = sound.read(dtype="float32", always_2d=True)
        except MemoryError:
            raise AudioError(f"no memory for the {count} samples it announces") from None
        return Waveform(np.ascontiguousarray(samples.T), sound.samplerate)


def _through_ffmpeg(file: IO[bytes], path: Path | None) -> Waveform:
    """Decode what libsndfile refused; `path` is None for a stream, which then goes into a file first."""
    with TemporaryDirectory() as folder, TemporaryFile() as decoded:
        if path is None:
            path = Path(folder, "input")
            file.seek(0)
            path.write_bytes(file.read())
        decode_to_au(path, decoded)
        decoded.seek(0)
        return _libsndfile(decoded)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
