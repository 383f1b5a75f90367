"""A visitor's file: nothing in it is believed before it is checked, and every refusal is a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.errors import AudioError, ConfigError, StreamError

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform

__all__ = ["Limits", "read_sound", "read_stream", "safe_name"]

_READABLE = "WAV, FLAC, Ogg Vorbis, Opus, MP3 and AIFF"


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Attributes:
        seconds: of a sound.
        megabytes: of a file, 10^6 bytes.

    Raises:
        ConfigError: a limit that nothing can meet.
    """

    seconds: float = 60.0
    megabytes: float = 50.0

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.megabytes > 0):
            raise ConfigError(f"limits of {self.seconds:g} s and {self.megabytes:g} MB: both must be above 0")

    def check_seconds(self, seconds: float, what: str) -> None:
        """
        Raises:
            AudioError: more than `seconds` are allowed.
        """
        if seconds > self.seconds:
            raise AudioError(
                f"{what} {seconds:.1f} s long, and at most {self.seconds:g} s are taken here: make it shorter, or use "
                "the command line, which has no such limit"
            )

    def check_size(self, size: int) -> None:
        """
        Raises:
            AudioError: no bytes, or too many.
        """
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
        raise AudioError(
            f"{safe_name(path.name)} is not a sound that this page can read: it takes {_READABLE}"
        ) from None
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
