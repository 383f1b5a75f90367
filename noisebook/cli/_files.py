"""Files in and out: names are checked before the work begins, and results appear whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
import numpy as np

from noisebook.api import Decoding, Waveform
from noisebook.audio import io
from noisebook.audio.formats import WRITABLE, encode, encode_blocks, pipe_wav, subtype_of
from noisebook.cli._shared import STANDARD, STREAM_SUFFIX, Outcome, asked, error_values, report, wrong_usage
from noisebook.errors import AudioError, ConfigError, Error, NotAStream, StreamError

_OF_TREES = ("compress", "decompress", "reconstruct")  # what `batch` does too


@dataclass(frozen=True)
class Output:
    """Where a result goes, checked when it was named."""

    path: str  # of a file, or `-` for standard output
    force: bool  # whether a file is overwritten
    bits: str | None  # of a sample, from --bits

    @property
    def _format(self) -> tuple[str, str]:
        """libsndfile's names of the container and the sample format; WAV where the suffix names none."""
        suffix = _suffix(self.path) if _suffix(self.path) in WRITABLE else ".wav"
        return WRITABLE[suffix][0], subtype_of(suffix, self.bits)

    def check_format(self, sample_rate: int, channels: int) -> None:
        """Raise now, and not after minutes of decoding, if the format cannot hold such a sound."""
        silence = Waveform(np.zeros((channels, 1), np.float32), sample_rate)
        container, subtype = self._format
        try:
            encode(silence, container, subtype)
        except AudioError as error:
            raise AudioError(f"cannot write {self.path}: {error}; .wav and .flac hold every stream") from error

    def write(self, data: bytes | memoryview) -> None:
        """To the file, whole or not at all, or to standard output."""
        if self.path == STANDARD:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()  # here, where a failure is still reported
        else:
            io.write_bytes_atomic(self.path, data, overwrite=self.force)

    def write_sound(self, sound: Waveform | Decoding) -> int:
        """Write a sound block by block; returns how many samples beyond full scale were held within it."""
        container, subtype = self._format
        pieces = [sound] if isinstance(sound, Waveform) else sound.blocks
        shape, blocks = (sound.channels, sound.sample_count), (piece.samples for piece in pieces)

        def fill(file: IO[bytes]) -> int:
            return encode_blocks(file, blocks, shape, sound.sample_rate, container, subtype)

        if self.path == STANDARD:
            held = pipe_wav(self.write, blocks, shape, sound.sample_rate, subtype)
        else:
            held = io.write_atomic(self.path, fill, overwrite=self.force)
        return held if isinstance(sound, Waveform) else held + sound.held


OutputOf = Callable[[str, str | None, Mapping[str, Any]], Output]  # `stream_output` or `sound_output`
Work = Callable[[str, Output], tuple[Mapping[str, Any], str]]


def stream_output(source: str, target: str | None, options: Mapping[str, Any], *, added: str = "") -> Output:
    """Where the stream of the sound `source` goes: the target, else a file of its name with `added`."""
    if _suffix(source) == STREAM_SUFFIX:
        raise ConfigError(f"{source} is named like a stream already; to hear it: noisebook decompress {source}")
    output = _output(source, target, options, added + STREAM_SUFFIX)
    if _suffix(output.path) in WRITABLE:
        better = Path(output.path).with_suffix(STREAM_SUFFIX)
        raise ConfigError(f"{output.path} is named like a sound, and compress writes a stream; name it {better}")
    return output


def sound_output(
    source: str, target: str | None, options: Mapping[str, Any], *, added: str = "", stream_by: str | None = None
) -> Output:
    """The same of a sound; `stream_by` is the option that would make a stream, for a target that is named like one."""
    if stream_by is not None and target is not None and _suffix(target) == STREAM_SUFFIX:
        better = Path(target).with_suffix(".wav")
        raise ConfigError(f"{target} is named like a stream; {stream_by} makes one, {better} a sound")
    output = _output(source, target, options, f"{added}.wav")
    is_device = os.path.exists(output.path) and not os.path.isfile(output.path)
    if output.path != STANDARD and not is_device and _suffix(output.path) not in WRITABLE:
        raise ConfigError(f"cannot write {output.path} as sound; its suffix must be one of {' '.join(WRITABLE)}")
    return output


def _output(source: str, target: str | None, options: Mapping[str, Any], suffix: str) -> Output:
    """The target, else beside the source with `suffix`, else standard output for standard input."""
    check_source(source)
    if target is None:
        target = STANDARD if source == STANDARD else str(Path(source).with_name(f"{Path(source).stem}{suffix}"))
    if target != STANDARD:
        check_target(target, source, force=options["force"])
    else:
        outcome = click.get_current_context().find_object(Outcome)
        if outcome is not None:
            outcome.result_on_stdout = True
        if sys.stdout.isatty():
            raise ConfigError("standard output is a terminal; redirect it, or name a file with -o")
    return Output(target, options["force"], options.get("bits"))


def check_source(source: str) -> None:
    """Raise AudioError where there is no such file; of a folder, it names the command that does all that is in it."""
    if source == STANDARD:
        return
    if os.path.isdir(source):
        context = click.get_current_context(silent=True)
        verb = None if context is None else context.command.name
        whole = f", or do all of it: noisebook batch {verb} {source} RESULTS" if verb in _OF_TREES else ""
        raise AudioError(f"{source} is a directory; name a file in it{whole}")
    if not os.path.exists(source):
        raise AudioError(f"there is no file {source or repr(source)}")


def check_target(target: str, source: str, *, force: bool) -> None:
    """Raise ConfigError for a folder, the source itself, what exists without `force`, or a place that is not there."""
    if os.path.isdir(target):
        raise ConfigError(f"{target} is a directory; name a file in it")
    if source != STANDARD and os.path.exists(target) and os.path.samefile(target, source):
        raise ConfigError(f"{target} is the input itself; name another output")
    if os.path.isfile(target) and not force:
        raise ConfigError(f"{target} exists; -f overwrites it")
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise ConfigError(f"there is no folder {folder}; make it first")


def make_folder(folder: str) -> None:
    """Make a folder for results; raise ConfigError for a file, or a place that is not there."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ConfigError(f"{folder} is a file; several results need a folder")
    parent = os.path.dirname(folder.rstrip("/" + os.sep)) or "."
    if not os.path.isdir(parent):
        raise ConfigError(f"there is no folder {parent}; make it first")
    os.makedirs(folder, exist_ok=True)


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def read_sound(source: str, output: Output | None = None) -> Waveform:
    """A sound file, or one on standard input; the format of the output must be able to hold such a sound."""
    check_source(source)
    sound = io.read(sys.stdin.buffer if source == STANDARD else source)
    if output is not None:
        output.check_format(sound.sample_rate, sound.channels)
    return sound


def open_sound(source: str) -> io.Recording:
    """A sound decoded block by block and never held whole; to be closed."""
    return io.Recording(sys.stdin.buffer if source == STANDARD else source)


def read_bytes(source: str) -> bytes:
    """A file's bytes, or those of standard input."""
    if source == STANDARD:
        return sys.stdin.buffer.read()
    check_source(source)
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise AudioError(f"cannot read {source}: {error.strerror}") from error


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Put the stream's name before what is wrong with it."""
    try:
        yield
    except NotAStream as error:
        hint = f"if it is a sound: noisebook compress {source}"
        raise NotAStream(f"{source} is not a stream: {error}; {hint}") from error
    except StreamError as error:
        raise type(error)(f"{source}: {error}") from error


def held_text(held: int) -> str:
    """What the end of a report says of samples beyond full scale; nothing of none."""
    if not held:
        return ""
    what = "1 sample was beyond full scale and is" if held == 1 else f"{held} samples were beyond full scale and are"
    return f"; {what} turned down; --bits float keeps them"


def sound_values(path: str, sound: Waveform | Decoding, seconds: float) -> dict[str, Any]:
    """What a report says of a sound that was written, and of the time it took to make."""
    return {
        "output": path,
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "duration": round(sound.duration, 3),
        "seconds": round(seconds, 3),
    }


def stream_values(path: str, size: int, duration: float, seconds: float) -> dict[str, Any]:
    """The same of a stream of so many bytes."""
    return {
        "output": path,
        "bytes": size,
        "bitrate": round(8 * size / duration, 3),
        "duration": round(duration, 3),
        "seconds": round(seconds, 3),
    }


def each(paths: Sequence[str], options: Mapping[str, Any], output_of: OutputOf, suffix: str, work: Work) -> int:
    """Do the files of `IN [OUT]`, `IN... -o DIR` or `IN... DIR`, and report each. The exit status.

    All names are checked first. Of several files, one that fails does not end the rest.
    """
    files = _pairs(paths, options, output_of, suffix)
    if len(files) == 1:
        report(*work(*files[0]))
        return 0
    rows: list[dict[str, Any]] = []
    for source, output in files:
        try:
            values, text = work(source, output)
        except Error as error:
            click.echo(f"noisebook: {' '.join(str(error).split())}", err=True)
            rows.append({"input": source, "error": error_values(error)})
            continue
        rows.append({"input": source, **values})
        if not asked("as_json"):
            report(values, text)
    if asked("as_json"):
        report({"files": rows}, "")
    return int(any("error" in row for row in rows))


def _pairs(
    paths: Sequence[str], options: Mapping[str, Any], output_of: OutputOf, suffix: str
) -> list[tuple[str, Output]]:
    """Inputs with their outputs, all checked."""
    target: str | None = options["output"]
    if target is None and len(paths) > 1 and (len(paths) == 2 or os.path.isdir(paths[-1])):
        *paths, target = paths
    elif target is not None and len(paths) == 2 and not os.path.exists(paths[1]) and not os.path.isdir(target):
        raise wrong_usage("give the output once: as the second argument or with -o")
    if target is None or (len(paths) == 1 and not os.path.isdir(target) and not target.endswith(("/", os.sep))):
        if len(paths) > 1:
            raise wrong_usage("several inputs need a folder for their results: -o DIR")
        return [(paths[0], output_of(paths[0], target, options))]
    if STANDARD in (*paths, target):
        raise ConfigError(f"standard input and output ({STANDARD}) go alone, and not with several files")
    sources: dict[str, str] = {}  # by the name of the result
    for path in paths:
        check_source(path)
        result = str(Path(target) / Path(path).with_suffix(suffix).name)
        if result in sources:
            raise ConfigError(f"{sources[result]} and {path} would both become {result}; name one of them anew")
        sources[result] = path
    make_folder(target)  # after what could be wrong with the inputs: a folder for nothing helps nobody
    return [(path, output_of(path, result, options)) for result, path in sources.items()]
