"""Sound through the loudspeakers: by `sounddevice` where it is installed, else by a program that plays WAV."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from tempfile import NamedTemporaryFile

import numpy as np

from noisebook.audio.formats import pipe_wav
from noisebook.errors import AudioError, MissingExtra

Speakers = Callable[[Iterable[np.ndarray], tuple[int, int], int], None]  # (blocks [C, n], [C, N], Hz)
_PIPED = (  # they begin with the first block
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error", "-"),
    ("mpv", "--no-video", "--really-quiet", "-"),
    ("aplay", "-q", "-"),
    ("play", "-q", "-t", "wav", "-"),  # of SoX
)
_OF_FILES = ("afplay",)  # of macOS


def speakers() -> Speakers:
    """What plays sound here; looked for before the work that makes the sound. MissingExtra where nothing does."""
    with suppress(ImportError, OSError):  # OSError: PortAudio is not there
        import sounddevice

        return partial(_by_device, sounddevice.OutputStream)
    for command in _PIPED:
        if shutil.which(command[0]):
            return partial(_by_pipe, command)
    if shutil.which(_OF_FILES[0]):
        return partial(_by_file, _OF_FILES)
    programs = ", ".join(command[0] for command in (*_PIPED, _OF_FILES))
    raise MissingExtra(
        f"nothing here plays sound: there is neither one of the programs {programs}, nor sounddevice (pip install "
        "sounddevice); -o writes a file instead"
    )


def _by_device(
    stream: Callable[..., object], blocks: Iterable[np.ndarray], shape: tuple[int, int], sample_rate: int
) -> None:
    with stream(samplerate=sample_rate, channels=shape[0], dtype="float32") as device:  # type: ignore[attr-defined]
        for block in blocks:
            device.write(np.ascontiguousarray(block.T))


def _by_pipe(command: tuple[str, ...], blocks: Iterable[np.ndarray], shape: tuple[int, int], sample_rate: int) -> None:
    process, whole = subprocess.Popen(command, stdin=subprocess.PIPE), False
    with suppress(BrokenPipeError), process:
        assert process.stdin is not None
        pipe_wav(process.stdin.write, blocks, shape, sample_rate)
        whole = True
    _check(command, process.returncode)
    if not whole:  # ffplay's status is 0 where there is no device, too
        raise AudioError(f"{command[0]} ended before the sound did: it was closed, or it finds no device to play on")


def _by_file(command: tuple[str, ...], blocks: Iterable[np.ndarray], shape: tuple[int, int], sample_rate: int) -> None:
    with NamedTemporaryFile(suffix=".wav") as file:
        pipe_wav(file.write, blocks, shape, sample_rate)
        file.flush()
        _check(command, subprocess.run([*command, file.name], check=False).returncode)


def _check(command: tuple[str, ...], status: int) -> None:
    if status:
        raise AudioError(f"{command[0]} could not play the sound: exit status {status}")
