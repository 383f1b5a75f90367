"""Codecs that are programs of the machine: Opus, MP3, Codec2 and Speex.

Each is called as suits it best at its rate: Opus in frames of 60 ms and without comments, MP3 without tags and below
32 kbit/s at 16 kHz, Speex with several frames a packet, so that containers take little. The whole file is counted all
the same.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
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


@dataclass(frozen=True)
class Tool:
    """One way to call a codec."""

    programs: tuple[str, ...]  # executables that are needed; the first tells the version
    encode: str  # the command, in which IN, FILE and OUT stand for files, and {} for the setting
    decode: str
    encoder: str = ""  # of ffmpeg, where that is needed
    raw: bool = False  # IN and OUT are 16-bit samples without a header, else WAV

    @property
    def needs(self) -> str:
        return f"ffmpeg with {self.encoder}" if self.encoder else " and ".join(self.programs)

    def works(self) -> bool:
        if not all(shutil.which(program) for program in self.programs):
            return False
        return not self.encoder or any(
            self.encoder in line.split()[1:2] for line in _output("ffmpeg", "-hide_banner", "-encoders")
        )


@dataclass(frozen=True)
class Point:
    """A setting of a codec."""

    name: str  # end of the method's id
    label: str
    bit_per_second: float  # nominal
    setting: str  # the word in the command
    only: str = ""  # the program that knows the setting; empty where all do


@dataclass(frozen=True)
class Codec:
    """A codec."""

    name: str
    label: str
    suffix: str
    sample_rate: int  # Hz that it is given; lower than the reference's where it is made for that
    tools: tuple[Tool, ...]  # the first that works is taken
    points: tuple[Point, ...]
    generative: bool = False  # it synthesises phases, as parametric codecs of speech do
    mono: bool = False  # it is made for one channel


def _ffmpeg(encoder: str, options: str, decode: str = "") -> Tool:
    """A codec by ffmpeg, with options of the encoder and of the decode."""
    call = "ffmpeg -nostdin -v error -y -i"
    plain = "-map_metadata -1 -fflags +bitexact -flags:a +bitexact"
    encode = f"{call} IN -c:a {encoder} {options} {plain} FILE"
    return Tool(("ffmpeg",), encode, f"{call} FILE{decode} OUT", encoder=encoder)


CODECS = (
    Codec(
        "opus", "Opus", ".opus", 48000,
        (
            Tool(
                ("opusenc", "opusdec"),
                "opusenc --quiet --bitrate {} --vbr --comp 10 --framesize 60 --discard-comments --padding 0 IN FILE",
                "opusdec --quiet --force-wav --rate 48000 FILE OUT",
            ),
            _ffmpeg("libopus", "-b:a {}k -vbr on -frame_duration 60", " -ar 48000"),
        ),
        tuple(Point(f"{k}k", f"{k} kbit/s", 1000 * k, str(k)) for k in (6, 8, 12, 24)),
    ),
    Codec(
        "mp3", "MP3", ".mp3", 48000,
        (_ffmpeg("libmp3lame", "-b:a {} -write_xing 0 -id3v2_version 0", " -ar 48000"),),
        (  # below 32 kbit/s there is no MP3 of 48 kHz
            *(Point(f"{k}k", f"{k} kbit/s", 1000 * k, f"{k}k -ar 16000") for k in (8, 16)),
            Point("32k", "32 kbit/s", 32000, "32k"),
        ),
    ),
    Codec(
        "codec2", "Codec2", ".c2", 8000,
        (
            Tool(("c2enc", "c2dec"), "c2enc {} IN FILE", "c2dec {} FILE OUT", raw=True),
            _ffmpeg("libcodec2", "-mode {}"),
        ),
        (
            Point("450", "450 bit/s", 450, "450", only="c2enc"),
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
            _ffmpeg("libspeex", "-cbr_quality {} -frames_per_packet 8"),
        ),
        (Point("2k", "2 kbit/s", 2150, "0"), Point("6k", "6 kbit/s", 5950, "2"), Point("11k", "11 kbit/s", 11000, "6")),
        mono=True,
    ),
)  # fmt: skip


def methods() -> tuple[Method, ...]:
    """A row for each setting of each codec."""
    return tuple(method_of(codec, point) for codec in CODECS for point in codec.points)


@cache
def available_codecs() -> dict[str, Method]:
    """Those that can run on this machine, by id."""
    return {method.id: method for method in methods() if method.missing is None}


def method_of(codec: Codec, point: Point) -> Method:
    """The row of one setting, by the first tool that works."""
    tools = [tool for tool in codec.tools if point.only in ("", tool.programs[0])]
    works = next((tool for tool in tools if tool.works()), None)
    tool = works or tools[0]
    return Method(
        f"{codec.name}-{point.name}", f"{codec.label} {point.label}", "codec", codec.name,
        f"{tool.encode.format(point.setting)}; {tool.decode.format(point.setting)}",
        partial(_through, codec=codec, tool=tool, setting=point.setting),
        bit_per_second=point.bit_per_second, generative=codec.generative, delayed=True, mono=codec.mono,
        suffix=codec.suffix, version=_version(tool.programs[0]) if works else "",
        missing=None if works else f"not installed: {' or '.join(tool.needs for tool in tools)}",
    )  # fmt: skip


def _version(program: str) -> str:
    """What a program says of its version; its name where it has no option for that, as c2enc."""
    options = {"ffmpeg": "-version", "opusenc": "--version", "speexenc": "--version"}
    lines = _output(program, options[program]) if program in options else ()
    return lines[0].strip() if lines else program


@cache
def _output(*command: str) -> tuple[str, ...]:
    """What a program says of itself, line by line."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return tuple((ended.stdout + ended.stderr).decode(errors="replace").strip().splitlines())


def _through(job: Job, *, codec: Codec, tool: Tool, setting: str) -> Coded:
    """Code and decode with files in a folder of their own."""
    kind = ".raw" if tool.raw else ".wav"
    names = {"IN": f"in{kind}", "FILE": f"coded{codec.suffix}", "OUT": f"out{kind}"}
    with TemporaryDirectory(prefix="noisebook-") as name:
        folder, sound = Path(name), resample(job.sound, codec.sample_rate)
        source, coded, decoded = (folder / own for own in names.values())
        if tool.raw:
            source.write_bytes(np.clip(np.rint(sound.samples[0] * 32768), -32768, 32767).astype("<i2").tobytes())
        else:
            io.write(source, sound)

        def run(command: str) -> None:
            words = [names.get(word, word) for word in shlex.split(command.format(setting))]
            _run(words, folder, timeout=job.timeout)

        def encode() -> bytes:
            run(tool.encode)
            return coded.read_bytes()

        def decode(_: bytes) -> Waveform:
            run(tool.decode)
            if not tool.raw:
                return io.read(decoded)
            return Waveform.of(np.frombuffer(decoded.read_bytes(), "<i2").astype(np.int16), codec.sample_rate)

        return round_trip(encode, decode)


def _run(command: list[str], folder: Path, *, timeout: float) -> None:
    """Run a program in a folder, without input; AudioError tells which one fails, and what it says."""
    try:
        ended = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise AudioError(f"{command[0]} was stopped after {timeout:g} s; give it more with --timeout") from None
    except OSError as error:
        raise AudioError(f"{command[0]} cannot be run: {error.strerror}") from error
    if ended.returncode:
        lines = (ended.stderr or ended.stdout).decode(errors="replace").strip().splitlines()
        reason = lines[-1][:200] if lines else "no reason"
        raise AudioError(f"{command[0]} ended with status {ended.returncode}: {reason}")
