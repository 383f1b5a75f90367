"""Sound files read whole or block by block, sound files written, and files that appear whole or not at all."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

from noisebook.audio.formats import WRITABLE, Virtual, encode
from noisebook.audio.waveform import MAX_SAMPLES, Waveform, check_finite, check_sample_rate
from noisebook.errors import AudioError, Error

if TYPE_CHECKING:
    import soundfile

_BLOCK = 2**18  # samples of a channel at a time
_NOTICED = 1e-3  # share of missing sound from which a file is cut short: less is a header that counts its padding
_UNKNOWN = 0x7FFFF000  # bytes from which a size means "not known yet", as in what was written to a pipe
# What ffmpeg may open. Playlists (hls, concat, dash) are left out: they name further files to read.
_FORMATS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,m4a,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,"
    "mpegts,mxf,nut,ogg,oma,rm,shn,tak,truehd,tta,voc,w64,wav,webm,wv"
)
_log = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]
T = TypeVar("T")


def bundled_clips() -> dict[str, Path]:
    """The real sounds inside the package, by name: music, speech and effects."""
    return {path.stem: path for path in sorted((Path(__file__).parents[1] / "assets").glob("*.flac"))}


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
        import soundfile

        self._file, self._label, path = _opened(source)
        try:
            with _errors(self._label):
                if not self._file.read(1):
                    raise AudioError("the file is empty (0 bytes)")
                try:
                    self._measure()
                except soundfile.LibsndfileError as error:
                    refusal = error.error_string.strip().rstrip(".")
                    try:
                        with self._file as refused:
                            self._file = _through_ffmpeg(refused, path)
                        self._measure()
                    except (AudioError, soundfile.LibsndfileError) as error:
                        raise AudioError(f"libsndfile cannot decode it ({refusal}); {error}") from None
        except BaseException:
            self.close()
            raise

    def _measure(self) -> None:
        """Decode all of it once: what a header says of the length need not be true."""
        self.sample_count = 0
        with _decoder(self._file) as sound:
            self.sample_rate, self.channels = check_sample_rate(sound.samplerate), int(sound.channels)
            while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
                check_finite(block.T, first=self.sample_count)
                self.sample_count += len(block)
            missing = _missing_share(sound.extra_info)
        if not self.sample_count:
            raise AudioError(f"no samples: the shape is {[self.channels, 0]}, and neither C nor N may be 0")
        if missing >= _NOTICED:
            _log.warning(
                "%s is cut short: its header promises %.3g times as much sound as it holds; what is there is taken",
                self._label,
                1 + missing,
            )

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

    def __exit__(self, *error: Any) -> None:
        self.close()


def read(source: StrPath | BinaryIO) -> Waveform:
    """Any sound file as a waveform, with its own sample rate and channels; `source` and errors as of `Recording`."""
    with Recording(source) as sound:
        samples, filled = np.empty((sound.channels, sound.sample_count), np.float32), 0
        for block in sound.blocks():
            samples[:, filled : filled + block.shape[1]] = block
            filled += block.shape[1]
        return Waveform(samples, sound.sample_rate)


@contextmanager
def _decoder(file: IO[bytes]) -> Iterator[soundfile.SoundFile]:
    import soundfile

    class Forward(soundfile.SoundFile):
        """Between blocks soundfile seeks to where it is, and Opus does not come back to the same sample: not here."""

        def seekable(self) -> bool:
            return False

    file.seek(0)
    with Forward(Virtual(file)) as sound:
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


def _missing_share(report: str) -> float:
    """What a WAV or AIFF file lacks of the sound that its header promises, over what it holds, by libsndfile's report
    on the file; 0 for other files."""
    found = re.search(r"(?:data|SSND) : (\d+) \(should be (\d+)\)", report)
    promised, held = map(int, found.groups()) if found else (0, 0)
    return (promised - held) / held if 0 < held < promised < _UNKNOWN else 0.0


def _opened(source: StrPath | BinaryIO) -> tuple[IO[bytes], str, Path | None]:
    """A file that can be read from any place, its name for messages, and its path if it has one."""
    if not isinstance(source, str | os.PathLike):
        return BytesIO(source.read()), str(getattr(source, "name", "the byte stream")), None
    path = Path(source)
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a directory: name a sound file in it")
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
    except FileNotFoundError:
        raise AudioError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot open {path}: {_reason(error)}") from error
    if file.seekable():
        return file, str(path), path
    with file:
        return BytesIO(file.read()), str(path), None


def _through_ffmpeg(file: IO[bytes], path: Path | None) -> IO[bytes]:
    """The first audio stream of a file in a temporary file, as 32-bit float AU, rate and channels kept.

    AU is a header and samples, without a length that would have to be known before the end. Only the file itself is
    opened: no network and no other file, whatever it names. A stream, which has no path, goes into a file first: some
    formats (an m4a with its index at the end) cannot be read from a pipe. AudioError where ffmpeg is not on the PATH,
    or does not read the file.
    """
    executable = shutil.which("ffmpeg")
    if executable is None:
        raise AudioError("ffmpeg, which might, is not on the PATH: install it, or convert the file to WAV")
    decoded = TemporaryFile()  # noqa: SIM115 (it outlives this function)
    try:
        with TemporaryDirectory() as folder:
            if path is None:
                path = Path(folder, "input")
                file.seek(0)
                path.write_bytes(file.read())
            command = [executable, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
            command += ["-format_whitelist", _FORMATS, "-i", f"file:{path.absolute()}"]
            command += ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
            null = subprocess.DEVNULL
            result = subprocess.run(command, stdin=null, stdout=decoded, stderr=subprocess.PIPE, check=False)
        if result.returncode:
            lines = result.stderr.decode(errors="replace").strip() or "no reason given"
            cause = re.sub(r"^\[[^]]*\] ", "", lines.splitlines()[0].strip())  # without addresses
            raise AudioError(f"ffmpeg: {cause[:100]}")
    except BaseException:
        decoded.close()
        raise
    return decoded


def write(path: StrPath, waveform: Waveform, *, subtype: str | None = None, overwrite: bool = False) -> int:
    """Write a sound file in the format its suffix names (a key of `WRITABLE`), atomically.

    `subtype` is libsndfile's name of the sample format, such as PCM_24 or FLOAT; by default 16 bits, or the suffix's
    codec. The result is the number of samples beyond [-1, 1], which were held within it.

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


def wav_bytes(waveform: Waveform) -> bytes:
    """A whole WAV file of 16 bits; samples beyond [-1, 1] are held as in `write`."""
    return bytes(encode(waveform, "WAV", "PCM_16")[0])


def write_bytes_atomic(path: StrPath, data: bytes | memoryview, *, overwrite: bool = False) -> None:
    """`write_atomic` of bytes."""
    write_atomic(path, lambda file: file.write(data), overwrite=overwrite)


def write_atomic(path: StrPath, fill: Callable[[IO[bytes]], T], *, overwrite: bool = False) -> T:
    """Write a file that appears whole or not at all.

    `fill` writes it, under a temporary name beside the target, which then takes the target's name; nothing stays
    behind after a failure. A symbolic link is followed. What goes to a device or pipe is written there at the end.
    Returns what `fill` returns. AudioError where the target exists and `overwrite` is false, or cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))
        if os.path.isdir(path):
            raise AudioError(f"cannot write {path}: it is a directory; name a file in it")
        if os.path.isfile(path) and not overwrite:
            raise AudioError(f"{path} exists already: choose another name, or overwrite it with -f")
        if os.path.exists(path) and not os.path.isfile(path):
            buffer = BytesIO()  # formats go back to their header when the length is known; a pipe does not
            result = fill(buffer)
            with open(path, "wb") as device:
                device.write(buffer.getbuffer())
            return result
        if not target.parent.is_dir():
            raise AudioError(f"cannot write {path}: there is no folder {target.parent}; create it first")
        return _replace(target, fill)
    except Error:
        raise
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot write {path}: {_reason(error)}") from error


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


def _reason(error: Exception) -> str:
    """What an error of the system says, without its number and path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
