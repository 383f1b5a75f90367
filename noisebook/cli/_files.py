"""Files in and out: names are checked before the work begins, and results appear whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.cli._shared import Outcome, asked, error_values, report, wrong_usage
from noisebook.errors import AudioError, ConfigError, Error, NotAStream, StreamError

if TYPE_CHECKING:
    from typing import IO

    from noisebook.api import Decoding
    from noisebook.audio.io import Recording
    from noisebook.audio.waveform import Waveform

__all__ = [
    "STANDARD",
    "STREAM_SUFFIX",
    "check_format",
    "check_source",
    "check_target",
    "each",
    "naming",
    "open_sound",
    "pairs",
    "read_bytes",
    "read_sound",
    "sound_target",
    "sounds_in",
    "stream_target",
    "told_held",
    "write_bytes",
    "write_decoding",
    "write_sound",
]

STANDARD = "-"  # standard input or output
STREAM_SUFFIX = ".ddcm"
_OF_TREES = ("compress", "decompress", "reconstruct")  # what `batch` does too
_SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".caf", ".w64", ".m4a")  # in a folder

TargetOf = Callable[..., str]  # `stream_target` or `sound_target`
Work = Callable[[str, str], tuple[Mapping[str, Any], str]]


def stream_target(source: str, argument: str | None, option: str | None, *, force: bool, added: str = "") -> str:
    """Where the stream of the sound `source` goes, by default to its name with something added; the likely mix-ups of
    compress and decompress get a hint."""
    from noisebook.audio.formats import WRITABLE

    if _suffix(source) == STREAM_SUFFIX:
        raise ConfigError(f"{source} is named like a stream already; to hear it: noisebook decompress {source}")
    target = _target(source, argument, option, added + STREAM_SUFFIX, force=force)
    if _suffix(target) in WRITABLE:
        better = Path(target).with_suffix(STREAM_SUFFIX)
        raise ConfigError(f"{target} is named like a sound, and compress writes a stream; name it {better}")
    return target


def sound_target(
    source: str, argument: str | None, option: str | None, *, force: bool, added: str = "", stream_by: str | None = None
) -> str:
    """Where the sound of `source` goes, by default to its name with something added.

    Args:
        stream_by: the option that makes a stream in place of a sound, told where the target is named like one.
    """
    from noisebook.audio.formats import WRITABLE

    named = argument or option
    if stream_by is not None and named is not None and _suffix(named) == STREAM_SUFFIX:
        better = Path(named).with_suffix(".wav")
        raise ConfigError(f"{named} is named like a stream; {stream_by} makes one, {better} a sound")
    target = _target(source, argument, option, f"{added}.wav", force=force)
    is_device = os.path.exists(target) and not os.path.isfile(target)
    if target != STANDARD and not is_device and _suffix(target) not in WRITABLE:
        raise ConfigError(f"cannot write {target} as sound; its suffix must be one of {' '.join(WRITABLE)}")
    return target


def check_format(target: str, sample_rate: int, channels: int, bits: str | None = None) -> None:
    """Raise now, and not after minutes of decoding, if the format of `target` cannot hold such a sound."""
    import numpy as np

    from noisebook.audio.formats import encode
    from noisebook.audio.waveform import Waveform

    container, subtype = _format(target, bits)
    try:
        encode(Waveform(np.zeros((channels, 1), np.float32), sample_rate), container, subtype)
    except AudioError as error:
        raise AudioError(f"cannot write {target}: {error}; .wav and .flac hold every stream") from error


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


def read_sound(source: str) -> Waveform:
    """A sound file, or one on standard input."""
    from noisebook.audio import io

    check_source(source)
    return io.read(sys.stdin.buffer if source == STANDARD else source)


def open_sound(source: str) -> Recording:
    """The same, decoded block by block and never held whole; to be closed."""
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


def write_bytes(target: str, data: bytes | memoryview, *, force: bool) -> None:
    """To the file, whole or not at all, or to standard output."""
    from noisebook.audio import io

    if target == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()  # here, where a failure is still reported
    else:
        io.write_bytes_atomic(target, data, overwrite=force)


def write_sound(target: str, sound: Waveform, *, force: bool, bits: str | None = None) -> int:
    """As a file in the format of its suffix, else as WAV; returns how many samples were beyond full scale and held."""
    from noisebook.audio.formats import encode

    data, held = encode(sound, *_format(target, bits))
    write_bytes(target, data, force=force)
    return held


def write_decoding(target: str, decoding: Decoding, *, force: bool, bits: str | None = None) -> int:
    """`write_sound` of a sound that is being decoded: block by block, a file whole or not at all."""
    from noisebook.audio import io
    from noisebook.audio.formats import encode_blocks, pipe_wav

    container, subtype = _format(target, bits)
    shape, blocks = (decoding.channels, decoding.sample_count), (block.samples for block in decoding.blocks)
    if target == STANDARD:
        held = pipe_wav(partial(write_bytes, STANDARD, force=force), blocks, shape, decoding.sample_rate, subtype)
        return held + decoding.held

    def fill(file: IO[bytes]) -> int:
        return encode_blocks(file, blocks, shape, decoding.sample_rate, container, subtype)

    return io.write_atomic(target, fill, overwrite=force) + decoding.held


def told_held(held: int) -> str:
    """What a report says of samples beyond full scale; nothing of none."""
    if not held:
        return ""
    told = "1 sample was beyond full scale and is" if held == 1 else f"{held} samples were beyond full scale and are"
    return f"{told} turned down; --bits float keeps them"


def _format(target: str, bits: str | None) -> tuple[str, str]:
    """libsndfile's names of the container and the sample format of a target.

    Raises:
        AudioError: bits that the format does not have.
    """
    from noisebook.audio.formats import WRITABLE, subtype_of

    suffix = _suffix(target) if _suffix(target) in WRITABLE else ".wav"
    return WRITABLE[suffix][0], subtype_of(suffix, bits)


def _target(source: str, argument: str | None, option: str | None, suffix: str, *, force: bool) -> str:
    """The second argument or -o, else beside the source with `suffix`, else standard output for standard input."""
    if argument is not None and option is not None:
        raise wrong_usage("give the output once: as the second argument or with -o")
    check_source(source)
    target = argument if argument is not None else option
    if target is None:
        target = STANDARD if source == STANDARD else str(Path(source).with_name(f"{Path(source).stem}{suffix}"))
    if target != STANDARD:
        check_target(target, source, force=force)
        return target
    outcome = click.get_current_context().find_object(Outcome)
    if outcome is not None:
        outcome.result_on_stdout = True
    if sys.stdout.isatty():
        raise ConfigError("standard output is a terminal; redirect it, or name a file with -o")
    return target


def check_source(source: str) -> None:
    """Is there such a file? Of a folder with the command that does all that is in it.

    Raises:
        AudioError: no, or a folder.
    """
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
    """Can the result of a source be written there?

    Raises:
        ConfigError: no: a folder, the source itself, what exists without `force`, or a place that is not there.
    """
    folder = os.path.dirname(target) or "."
    if os.path.isdir(target):
        raise ConfigError(f"{target} is a directory; name a file in it")
    if source != STANDARD and os.path.exists(target) and os.path.samefile(target, source):
        raise ConfigError(f"{target} is the input itself; name another output")
    if os.path.isfile(target) and not force:
        raise ConfigError(f"{target} exists; -f overwrites it")
    if not os.path.isdir(folder):
        raise ConfigError(f"there is no folder {folder}; make it first")


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def pairs(
    paths: Sequence[str], option: str | None, target_of: TargetOf, suffix: str, *, force: bool
) -> list[tuple[str, str]]:
    """Inputs with their outputs, all checked: of `IN [OUT]`, of `IN... -o DIR`, or of `IN... DIR` where DIR is there.

    Raises:
        ConfigError: outputs that cannot be, or two inputs that ask for one.
        UsageError: several inputs without a folder.
    """
    if option is None and len(paths) > 1 and os.path.isdir(paths[-1]):
        *paths, option = paths
    if option is not None and len(paths) == 2 and not os.path.exists(paths[1]) and not os.path.isdir(option):
        raise wrong_usage("give the output once: as the second argument or with -o")
    if option is not None and (len(paths) > 1 or os.path.isdir(option) or option.endswith(("/", os.sep))):
        return _in_folder(paths, option, target_of, suffix, force=force)
    if len(paths) > 2:
        raise wrong_usage("several inputs need a folder for their results: -o DIR")
    source, argument = paths[0], paths[1] if len(paths) == 2 else None
    return [(source, target_of(source, argument, option, force=force))]


def each(files: Sequence[tuple[str, str]], work: Work) -> int:
    """Do one after the other and report each; of several, one that fails does not end the rest. The exit status."""
    if len(files) == 1:
        values, text = work(*files[0])
        report(values, text, err=values["output"] == STANDARD)
        return 0
    rows: list[Mapping[str, Any]] = []
    for source, target in files:
        try:
            values, text = work(source, target)
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


def _in_folder(
    paths: Sequence[str], folder: str, target_of: TargetOf, suffix: str, *, force: bool
) -> list[tuple[str, str]]:
    if STANDARD in (*paths, folder):
        raise ConfigError(f"standard input and output ({STANDARD}) go alone, and not with several files")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ConfigError(f"{folder} is a file; several inputs need a folder: -o DIR")
    missing = not os.path.exists(folder)
    parent = os.path.dirname(folder.rstrip("/" + os.sep)) or "."
    if missing and not os.path.isdir(parent):
        raise ConfigError(f"there is no folder {parent}; make it first")
    for path in paths:
        check_source(path)
    targets: dict[str, str] = {}
    for path in paths:
        target = str(Path(folder) / Path(path).with_suffix(suffix).name)
        if target in targets:
            raise ConfigError(f"{targets[target]} and {path} would both become {target}; name one of them anew")
        targets[target] = path
    if missing:  # after what could be wrong with the inputs: a folder for nothing helps nobody
        os.mkdir(folder)
    return [(path, target_of(path, target, None, force=force)) for target, path in targets.items()]
