"""Files in and out: names are checked before the work begins, and results appear whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.cli._shared import STANDARD, Outcome, asked, error_values, report, wrong_usage
from noisebook.errors import AudioError, ConfigError, Error, NotAStream, StreamError

if TYPE_CHECKING:
    from typing import IO

    from noisebook.api import Decoding
    from noisebook.audio.io import Recording
    from noisebook.audio.waveform import Waveform

STREAM_SUFFIX = ".ddcm"
_OF_TREES = ("compress", "decompress", "reconstruct")  # what `batch` does too
_SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".caf", ".w64", ".m4a")  # in a folder


@dataclass(frozen=True)
class Output:
    """Where a result goes, checked when it was named."""

    path: str  # of a file, or `-` for standard output
    force: bool  # whether a file is overwritten
    bits: str | None  # of a sample, from --bits

    @property
    def _format(self) -> tuple[str, str]:
        """libsndfile's names of the container and the sample format; WAV where the suffix names none."""
        from noisebook.audio.formats import WRITABLE, subtype_of

        suffix = _suffix(self.path) if _suffix(self.path) in WRITABLE else ".wav"
        return WRITABLE[suffix][0], subtype_of(suffix, self.bits)

    def check_format(self, sample_rate: int, channels: int) -> None:
        """Raise now, and not after minutes of decoding, if the format cannot hold such a sound."""
        import numpy as np

        from noisebook.audio.formats import encode
        from noisebook.audio.waveform import Waveform

        silence = Waveform(np.zeros((channels, 1), np.float32), sample_rate)
        container, subtype = self._format
        try:
            encode(silence, container, subtype)
        except AudioError as error:
            raise AudioError(f"cannot write {self.path}: {error}; .wav and .flac hold every stream") from error

    def write(self, data: bytes | memoryview) -> None:
        """To the file, whole or not at all, or to standard output."""
        from noisebook.audio import io

        if self.path == STANDARD:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()  # here, where a failure is still reported
        else:
            io.write_bytes_atomic(self.path, data, overwrite=self.force)

    def write_sound(self, sound: Waveform) -> int:
        """Write a sound; returns how many samples were beyond full scale and held."""
        from noisebook.audio.formats import encode

        data, held = encode(sound, *self._format)
        self.write(data)
        return held

    def write_decoding(self, decoding: Decoding) -> int:
        """`write_sound` of a sound that is being decoded, block by block."""
        from noisebook.audio import io
        from noisebook.audio.formats import encode_blocks, pipe_wav

        container, subtype = self._format
        shape, blocks = (decoding.channels, decoding.sample_count), (block.samples for block in decoding.blocks)
        if self.path == STANDARD:
            return pipe_wav(self.write, blocks, shape, decoding.sample_rate, subtype) + decoding.held

        def fill(file: IO[bytes]) -> int:
            return encode_blocks(file, blocks, shape, decoding.sample_rate, container, subtype)

        return io.write_atomic(self.path, fill, overwrite=self.force) + decoding.held


OutputOf = Callable[[str, Mapping[str, Any]], Output]  # `stream_output` or `sound_output`
Work = Callable[[str, Output], tuple[Mapping[str, Any], str]]


def stream_output(source: str, options: Mapping[str, Any], *, added: str = "") -> Output:
    """Where the stream of the sound `source` goes: the command's target or output, else its name with `added`."""
    from noisebook.audio.formats import WRITABLE

    if _suffix(source) == STREAM_SUFFIX:
        raise ConfigError(f"{source} is named like a stream already; to hear it: noisebook decompress {source}")
    output = _output(source, options, added + STREAM_SUFFIX)
    if _suffix(output.path) in WRITABLE:
        better = Path(output.path).with_suffix(STREAM_SUFFIX)
        raise ConfigError(f"{output.path} is named like a sound, and compress writes a stream; name it {better}")
    return output


def sound_output(source: str, options: Mapping[str, Any], *, added: str = "", stream_by: str | None = None) -> Output:
    """The same of a sound; `stream_by` is the option that would make a stream, for a target that is named like one."""
    from noisebook.audio.formats import WRITABLE

    named = options["target"] or options["output"]
    if stream_by is not None and named is not None and _suffix(named) == STREAM_SUFFIX:
        better = Path(named).with_suffix(".wav")
        raise ConfigError(f"{named} is named like a stream; {stream_by} makes one, {better} a sound")
    output = _output(source, options, f"{added}.wav")
    path = output.path
    is_device = os.path.exists(path) and not os.path.isfile(path)
    if path != STANDARD and not is_device and _suffix(path) not in WRITABLE:
        raise ConfigError(f"cannot write {path} as sound; its suffix must be one of {' '.join(WRITABLE)}")
    return output


def _output(source: str, options: Mapping[str, Any], suffix: str) -> Output:
    """The second argument or -o, else beside the source with `suffix`, else standard output for standard input."""
    path = given_once(options)
    check_source(source)
    if path is None:
        path = STANDARD if source == STANDARD else str(Path(source).with_name(f"{Path(source).stem}{suffix}"))
    if path != STANDARD:
        check_target(path, source, force=options["force"])
    else:
        outcome = click.get_current_context().find_object(Outcome)
        if outcome is not None:
            outcome.result_on_stdout = True
        if sys.stdout.isatty():
            raise ConfigError("standard output is a terminal; redirect it, or name a file with -o")
    return Output(path, options["force"], options.get("bits"))


def given_once(options: Mapping[str, Any]) -> str | None:
    """OUT, of a command that takes it as an argument and as an option."""
    argument, option = options["target"], options["output"]
    if argument is not None and option is not None:
        raise wrong_usage("give the output once: as the second argument or with -o")
    return argument if argument is not None else option


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


def sounds_in(sources: Sequence[str]) -> Iterator[str]:
    """Files as they are named, and the sounds within folders in the order of their names."""
    for source in sources:
        if not Path(source).is_dir():
            yield source
            continue
        found = sorted(path for path in Path(source).rglob("*") if path.suffix.lower() in _SOUNDS and path.is_file())
        if not found:
            raise AudioError(f"there are no sounds in {source}; known in a folder are {' '.join(_SOUNDS)}")
        yield from map(str, found)


def read_sound(source: str, output: Output | None = None) -> Waveform:
    """A sound file, or one on standard input; the format of the output must be able to hold such a sound."""
    from noisebook.audio import io

    check_source(source)
    sound = io.read(sys.stdin.buffer if source == STANDARD else source)
    if output is not None:
        output.check_format(sound.sample_rate, sound.channels)
    return sound


def open_sound(source: str) -> Recording:
    """A sound decoded block by block and never held whole; to be closed."""
    from noisebook.audio import io

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


def each(paths: Sequence[str], options: Mapping[str, Any], output_of: OutputOf, suffix: str, work: Work) -> int:
    """Do the files of `IN [OUT]`, `IN... -o DIR` or `IN... DIR`, and report each. The exit status.

    All names are checked first. Of several files, one that fails does not end the rest.
    """
    files = _pairs(paths, options, output_of, suffix)
    if len(files) == 1:
        report(*work(*files[0]))
        return 0
    rows: list[Mapping[str, Any]] = []
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
    folder: str | None = options["output"]
    if folder is None and len(paths) > 1 and os.path.isdir(paths[-1]):
        *paths, folder = paths
    if folder is not None and len(paths) == 2 and not os.path.exists(paths[1]) and not os.path.isdir(folder):
        raise wrong_usage("give the output once: as the second argument or with -o")
    if folder is not None and (len(paths) > 1 or os.path.isdir(folder) or folder.endswith(("/", os.sep))):
        return _in_folder(paths, folder, options, output_of, suffix)
    if len(paths) > 2:
        raise wrong_usage("several inputs need a folder for their results: -o DIR")
    target = paths[1] if len(paths) == 2 else None
    return [(paths[0], output_of(paths[0], {**options, "target": target}))]


def _in_folder(
    paths: Sequence[str], folder: str, options: Mapping[str, Any], output_of: OutputOf, suffix: str
) -> list[tuple[str, Output]]:
    if STANDARD in (*paths, folder):
        raise ConfigError(f"standard input and output ({STANDARD}) go alone, and not with several files")
    targets: dict[str, str] = {}
    for path in paths:
        check_source(path)
        target = str(Path(folder) / Path(path).with_suffix(suffix).name)
        if target in targets:
            raise ConfigError(f"{targets[target]} and {path} would both become {target}; name one of them anew")
        targets[target] = path
    make_folder(folder)  # after what could be wrong with the inputs: a folder for nothing helps nobody
    return [(path, output_of(path, {**options, "target": target, "output": None})) for target, path in targets.items()]
