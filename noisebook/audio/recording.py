"""Sound files as they are decoded, block by block: for all of a file at once, or again and again without holding it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from noisebook.audio.announced import missing_share
from noisebook.audio.ffmpeg import decode_to_au
from noisebook.audio.waveform import MAX_SAMPLES, Waveform, check_finite, check_sample_rate
from noisebook.errors import AudioError

if TYPE_CHECKING:
    import soundfile

__all__ = ["Recording", "read"]

_BLOCK = 2**18  # samples of a channel at a time
_NOTICED = 1e-3  # of a sound that lacks: less is a header that counts its padding
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
                _warn_if_cut(file, label)
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


def _warn_if_cut(file: IO[bytes], label: str) -> None:
    share = missing_share(file)
    if share >= _NOTICED:
        _log.warning(
            "%s is cut short: its header promises %.3g times as much sound as it holds; what is there is taken",
            label,
            1 + share,
        )


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
        raise AudioError(f"cannot read {label}: {_reason(error)}") from error


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
        raise AudioError(f"cannot open {path}: {_reason(error)}") from error


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
            decode_to_au(path, decoded)
    except BaseException:
        decoded.close()
        raise
    return decoded


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
