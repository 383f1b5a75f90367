"""Sound files as they are decoded, block by block: for all of a file at once, or again and again without holding it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from noisebook.audio.waveform import MAX_SAMPLES, Waveform, check_finite, check_sample_rate
from noisebook.errors import AudioError

if TYPE_CHECKING:
    import soundfile

__all__ = ["Recording", "read", "reason"]

_BLOCK = 2**18  # samples of a channel at a time
_NOTICED = 1e-3  # of a sound that lacks: less is a header that counts its padding
_DATA = {b"WAVE": ("<", b"data"), b"AIFF": (">", b"SSND"), b"AIFC": (">", b"SSND")}
_UNKNOWN = 0x7FFFF000  # bytes from which a size stands for "not known yet", as in what was written to a pipe
# What ffmpeg may open. Playlists (hls, concat, dash) are left out: they name further files to read.
_FORMATS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,m4a,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,"
    "mpegts,mxf,nut,ogg,oma,rm,shn,tak,truehd,tta,voc,w64,wav,webm,wv"
)
_log = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]
T = TypeVar("T")


class Recording:
    """A sound file, decoded whenever its samples are asked for: an hour takes no more memory than a minute.

    libsndfile reads it; what that refuses is decoded once by ffmpeg, into a temporary file. Close it, or use it as a
    context manager.

    Args:
        source: a path, or a binary file object (standard input too), which is read to its end.

    Attributes:
        sample_rate: Hz.
        channels: of the sound.
        sample_count: per channel.

    Raises:
        AudioError: nothing there, not readable, not sound, no samples, NaN or infinite samples, or more than
            `MAX_SAMPLES`.
    """

    def __init__(self, source: StrPath | BinaryIO) -> None:
        self._label, self._file, measured = _decoded(source, _measured)
        self.sample_rate, self.channels, self.sample_count = measured

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.sample_rate

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples in order, `[channels, n]` float32; integers come scaled to [-1, 1), floats as they are."""
        with _errors(self._label), _decoder(self._file) as sound:
            left = self.sample_count
            while left:
                block = sound.read(min(_BLOCK, left), dtype="float32", always_2d=True)
                if not len(block):
                    raise AudioError("it changed while it was read")
                left -= len(block)
                yield block.T

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(source: StrPath | BinaryIO) -> Waveform:
    """Any sound file as a waveform, with its own sample rate and channels; `source` and errors as of `Recording`."""
    _, file, waveform = _decoded(source, _whole)
    file.close()
    return waveform


def _decoded(source: StrPath | BinaryIO, work: Callable[[IO[bytes]], T]) -> tuple[str, IO[bytes], T]:
    """The name of a file for messages, a file that libsndfile decodes, and what `work` makes of it."""
    import soundfile

    file, label, path = _opened(source)
    try:
        with _errors(label):
            if not file.read(1):
                raise AudioError("the file is empty (0 bytes)")
            try:
                made = work(file)
                if (share := _missing_share(file)) >= _NOTICED:
                    _log.warning(
                        "%s is cut short: its header promises %.3g times as much sound as it holds; what is there is "
                        "taken",
                        label,
                        1 + share,
                    )
                return label, file, made
            except soundfile.LibsndfileError as error:
                refusal = error.error_string.strip().rstrip(".")
            try:
                file = _through_ffmpeg(file, path)
                return label, file, work(file)
            except (AudioError, soundfile.LibsndfileError) as error:
                raise AudioError(f"libsndfile cannot decode it ({refusal}); {error}") from None
    except BaseException:
        file.close()
        raise


def _measured(file: IO[bytes]) -> tuple[int, int, int]:
    """Sample rate, channels and samples a channel, all of them finite."""
    count = 0
    with _decoder(file) as sound:
        rate, channels = check_sample_rate(sound.samplerate), int(sound.channels)
        while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
            check_finite(block.T, first=count)
            count += len(block)
    if not count:
        raise AudioError(f"no samples: the shape is {[channels, 0]}, and neither C nor N may be 0")
    return rate, channels, count


def _whole(file: IO[bytes]) -> Waveform:
    """All of the file, `[C, N]` filled block by block: never held twice."""
    with _decoder(file) as sound:
        try:
            samples, filled = np.empty((sound.channels, sound.frames), np.float32), 0
        except (MemoryError, ValueError):
            raise AudioError(f"no memory for the {sound.frames * sound.channels} samples it announces") from None
        while filled < sound.frames and len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
            samples[:, filled : filled + len(block)] = block.T
            filled += len(block)
        if filled < sound.frames:  # it announces more than it has
            samples = np.ascontiguousarray(samples[:, :filled])
        return Waveform(samples, sound.samplerate)


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


@contextmanager
def _decoder(file: IO[bytes]) -> Iterator[soundfile.SoundFile]:
    import soundfile

    class Forward(soundfile.SoundFile):
        """Between blocks soundfile seeks to where it is, and Opus does not come back to the same sample: not here."""

        def seekable(self) -> bool:
            return False

    file.seek(0)
    with Forward(_Tame(file)) as sound:
        count = sound.frames * sound.channels
        if count > MAX_SAMPLES:
            raise AudioError(f"it announces {count} samples, and at most {MAX_SAMPLES} are allowed: cut it")
        yield sound


@contextmanager
def _errors(label: str) -> Iterator[None]:
    try:
        yield
    except (AudioError, OSError) as error:
        raise AudioError(f"cannot read {label}: {reason(error)}") from error


def _opened(source: StrPath | BinaryIO) -> tuple[IO[bytes], str, Path | None]:
    """A file that can be read from any place, its name for messages, and its path if it has one."""
    if not isinstance(source, str | os.PathLike):
        return BytesIO(source.read()), str(getattr(source, "name", "the byte stream")), None
    path = Path(source)
    file = _open(path)
    if file.seekable():
        return file, str(path), path
    with file:
        return BytesIO(file.read()), str(path), None


def _open(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a directory: name a sound file in it")
        return open(path, "rb")
    except FileNotFoundError:
        raise AudioError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot open {path}: {reason(error)}") from error


def _through_ffmpeg(file: IO[bytes], path: Path | None) -> IO[bytes]:
    """What libsndfile refused, decoded into a temporary file; `path` is None for a stream, which then goes into a file
    first. Closes `file`."""
    decoded = TemporaryFile()  # noqa: SIM115 (it outlives this function)
    try:
        with TemporaryDirectory() as folder, file:
            if path is None:
                path = Path(folder, "input")
                file.seek(0)
                path.write_bytes(file.read())
            _decode_to_au(path, decoded)
    except BaseException:
        decoded.close()
        raise
    return decoded


def _decode_to_au(path: Path, target: IO[bytes]) -> None:
    """Write the first audio stream of a file as 32-bit float AU, rate and channels kept.

    AU is a header and samples, without a length that would have to be known before the end. Only `path`
    itself is opened: no network and no other file, whatever the file names.

    Args:
        path: a regular file; some formats (an m4a with its index at the end) cannot be read from a pipe.
        target: a file with a descriptor, written from its current position.

    Raises:
        AudioError: ffmpeg is not on the PATH, or does not read the file.
    """
    executable = shutil.which("ffmpeg")
    if executable is None:
        raise AudioError("ffmpeg, which might, is not on the PATH: install it, or convert the file to WAV")
    arguments = ["-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS]
    arguments += ["-i", f"file:{path.absolute()}", "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    result = subprocess.run(
        [executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=target,
        stderr=subprocess.PIPE,
        check=False,
    )
    if result.returncode:
        # The first line of what it said names the cause.
        told = (result.stderr.decode(errors="replace").strip() or "no reason given").splitlines()[0].strip()
        told = re.sub(r"^\[[^]]*\] ", "", told)  # without addresses
        raise AudioError(f"ffmpeg: {told[:100]}")


def _missing_share(file: IO[bytes]) -> float:
    """What a WAV or AIFF file lacks of the sound that its header announces, over what it holds; 0 for other files.

    The chunks are those of EA IFF 85 and of RIFF: four letters, a size of four bytes, that many bytes, and one to make
    them even.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"FORM") or head[8:12] not in _DATA:
        return 0.0
    order, name = _DATA[head[8:12]]
    position = 12
    while position + 8 < size:
        file.seek(position)
        found, length = struct.unpack(f"{order}4sI", file.read(8))
        position += 8
        if found == name:
            held = size - position
            return (length - held) / held if 0 < held < length < _UNKNOWN else 0.0
        position += length + length % 2
    return 0.0


def reason(error: Exception) -> str:
    """What an error of the system says, without its number and path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
