"""Codecs that are programs of the machine: Opus, MP3, Codec2 and Speex.

Each is called as is best for it at its rate: Opus in frames of 60 ms and without comments, MP3 without tags and below
32 kbit/s at 16 kHz, Speex with several frames a packet, so that containers take little. What is counted is the whole
file all the same.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from noisebook.audio import io
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.comparison.methods import Coded, Job, Method, round_trip
from noisebook.errors import AudioError

__all__ = ["CODECS", "Codec", "Point", "Tool", "at_hand", "method_of", "methods", "run"]


@dataclass(frozen=True)
class Tool:
    """One way to call a codec.

    Attributes:
        programs: executables that are needed; the first tells the version.
        encoder: of ffmpeg, that is needed; empty for none.
        encode, decode: words of the commands; IN, FILE and OUT stand for files, {} for the setting.
        raw: IN and OUT are 16-bit samples without a header, else WAV.
    """

    programs: tuple[str, ...]
    encode: str
    decode: str
    encoder: str = ""
    raw: bool = False


@dataclass(frozen=True)
class Point:
    """A setting of a codec: end of the method's id, its label, nominal bit/s, and the word in the command."""

    name: str
    label: str
    bit_per_second: float
    setting: str
    only: tuple[str, ...] = ()  # programs that know the setting; all where empty


@dataclass(frozen=True)
class Codec:
    """A codec, the tools that speak it (the first one at hand is taken) and its settings.

    Attributes:
        sample_rate: Hz that it is given; lower than the reference's where it is made for that.
        mono: it is made for one channel.
        generative: it synthesises phases, as parametric codecs of speech do.
    """

    name: str
    label: str
    suffix: str
    sample_rate: int
    tools: tuple[Tool, ...]
    points: tuple[Point, ...]
    generative: bool = False
    mono: bool = False


_MPEG = "ffmpeg -nostdin -v error -y -i"
_PLAIN = "-map_metadata -1 -fflags +bitexact -flags:a +bitexact FILE"
CODECS = (
    Codec(
        "opus", "Opus", ".opus", 48000,
        (
            Tool(
                ("opusenc", "opusdec"),
                "opusenc --quiet --bitrate {} --vbr --comp 10 --framesize 60 --discard-comments --padding 0 IN FILE",
                "opusdec --quiet --force-wav --rate 48000 FILE OUT",
            ),
            Tool(
                ("ffmpeg",),
                f"{_MPEG} IN -c:a libopus -b:a {{}}k -vbr on -frame_duration 60 {_PLAIN}",
                f"{_MPEG} FILE -ar 48000 OUT",
                encoder="libopus",
            ),
        ),
        tuple(Point(f"{k}k", f"{k} kbit/s", 1000 * k, str(k)) for k in (6, 8, 12, 24)),
    ),
    Codec(
        "mp3", "MP3", ".mp3", 48000,
        (
            Tool(
                ("ffmpeg",),
                f"{_MPEG} IN -c:a libmp3lame -b:a {{}} -write_xing 0 -id3v2_version 0 {_PLAIN}",
                f"{_MPEG} FILE -ar 48000 OUT",
                encoder="libmp3lame",
            ),
        ),
        (  # below 32 kbit/s there is no MP3 of 48 kHz
            *(Point(f"{k}k", f"{k} kbit/s", 1000 * k, f"{k}k -ar 16000") for k in (8, 16)),
            Point("32k", "32 kbit/s", 32000, "32k"),
        ),
    ),
    Codec(
        "codec2", "Codec2", ".c2", 8000,
        (
            Tool(("c2enc", "c2dec"), "c2enc {} IN FILE", "c2dec {} FILE OUT", raw=True),
            Tool(
                ("ffmpeg",),
                f"{_MPEG} IN -c:a libcodec2 -mode {{}} {_PLAIN}",
                f"{_MPEG} FILE OUT",
                encoder="libcodec2",
            ),
        ),
        (
            Point("450", "450 bit/s", 450, "450", only=("c2enc",)),
            Point("700c", "700C", 700, "700C"),
            *(Point(mode, f"{mode} bit/s", float(mode), mode) for mode in ("1300", "2400", "3200")),
        ),
        generative=True, mono=True,
    ),
    Codec(
        "speex", "Speex", ".spx", 8000,
        (
            Tool(
                ("speexenc", "speexdec"),
                "speexenc --narrowband --quality {} --nframes 8 IN FILE",
                "speexdec FILE OUT",
            ),
            Tool(
                ("ffmpeg",),
                f"{_MPEG} IN -c:a libspeex -cbr_quality {{}} -frames_per_packet 8 {_PLAIN}",
                f"{_MPEG} FILE OUT",
                encoder="libspeex",
            ),
        ),
        (Point("2k", "2 kbit/s", 2150, "0"), Point("6k", "6 kbit/s", 5950, "2"), Point("11k", "11 kbit/s", 11000, "6")),
        mono=True,
    ),
)  # fmt: skip


def methods() -> tuple[Method, ...]:
    """A row for each setting of each codec."""
    return tuple(method_of(codec, point) for codec in CODECS for point in codec.points)


@cache
def at_hand() -> dict[str, Method]:
    """Those that can run on this machine, by id."""
    return {method.id: method for method in methods() if method.missing is None}


def run(command: Sequence[str], folder: Path, *, timeout: float) -> None:
    """Run a program in a folder, without input.

    Raises:
        AudioError: it is not there, fails, or takes more than `timeout` seconds; says which, and what it said.
    """
    try:
        ended = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise AudioError(f"{command[0]} was stopped after {timeout:g} s; give it more with --timeout") from None
    except OSError as error:
        raise AudioError(f"{command[0]} cannot be run: {error.strerror}") from error
    if ended.returncode:
        said = (ended.stderr or ended.stdout).decode(errors="replace").strip().splitlines()
        raise AudioError(
            f"{command[0]} ended with status {ended.returncode}: {said[-1][:200] if said else 'no reason'}"
        )


def method_of(codec: Codec, point: Point) -> Method:
    """The row of one setting, by the first tool at hand."""
    tools = [tool for tool in codec.tools if not point.only or tool.programs[0] in point.only]
    tool = next((tool for tool in tools if _at_hand(tool)), None)
    shown = tool or tools[0]
    needs = (f"ffmpeg with {tool.encoder}" if tool.encoder else " and ".join(tool.programs) for tool in tools)
    return Method(
        id=f"{codec.name}-{point.name}",
        label=f"{codec.label} {point.label}",
        family="codec",
        series=codec.name,
        command=f"{shown.encode.format(point.setting)}; {shown.decode.format(point.setting)}",
        run=partial(_through, codec=codec, tool=shown, setting=point.setting),
        bit_per_second=point.bit_per_second,
        generative=codec.generative,
        delayed=True,
        mono=codec.mono,
        suffix=codec.suffix,
        version=_version(tool.programs[0]) if tool else "",
        missing=None if tool else f"not at hand: {' or '.join(needs)}",
    )


def _at_hand(tool: Tool) -> bool:
    if not all(shutil.which(program) for program in tool.programs):
        return False
    listed = (line.split() for line in _told("ffmpeg", "-hide_banner", "-encoders")) if tool.encoder else ()
    return not tool.encoder or any(tool.encoder in words[1:2] for words in listed)


def _version(program: str) -> str:
    """What a program says of its version; its name where it does not say. c2enc has no such option."""
    options = {"ffmpeg": "-version", "opusenc": "--version", "speexenc": "--version"}
    lines = _told(program, options[program]) if program in options else ()
    return lines[0].strip() if lines else program


@cache
def _told(*command: str) -> tuple[str, ...]:
    """What a program says of itself, line by line."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return tuple((ended.stdout + ended.stderr).decode(errors="replace").strip().splitlines())


def _through(job: Job, *, codec: Codec, tool: Tool, setting: str) -> Coded:
    """Code and decode with files in a folder of their own."""
    kind = ".raw" if tool.raw else ".wav"
    names = {"IN": f"in{kind}", "FILE": f"coded{codec.suffix}", "OUT": f"out{kind}"}

    def words(command: str) -> list[str]:
        return [names.get(word, word) for word in shlex.split(command.format(setting))]

    with TemporaryDirectory(prefix="noisebook-") as name:
        folder, sound = Path(name), resample(job.sound, codec.sample_rate)
        source, decoded = folder / names["IN"], folder / names["OUT"]
        if tool.raw:
            source.write_bytes(np.clip(np.rint(sound.samples[0] * 32768), -32768, 32767).astype("<i2").tobytes())
        else:
            io.write(source, sound)

        def encode() -> bytes:
            run(words(tool.encode), folder, timeout=job.timeout)
            return (folder / names["FILE"]).read_bytes()

        def decode(_: bytes) -> Waveform:
            run(words(tool.decode), folder, timeout=job.timeout)
            if not tool.raw:
                return io.read(decoded)
            return Waveform.of(np.frombuffer(decoded.read_bytes(), "<i2").astype(np.int16), codec.sample_rate)

        return round_trip(encode, decode)
