"""What a method of a comparison is, and how methods are chosen by name, family or pattern."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, get_args

from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend

Family = Literal["ceiling", "reconstruct", "vq", "ddcm", "transform", "codec", "control"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True, eq=False)
class Job:
    """What a method is given."""

    sound: Waveform  # one channel or two at 48 kHz; one for a method of mono sound
    other: Waveform | None = None  # the sound of the next input; None unless the method needs it
    backend: Backend | None = None  # the model; None unless the method needs one
    timeout: float = 600.0  # seconds that an external program may take


@dataclass(frozen=True, eq=False)
class Coded:
    """What a method made of a sound."""

    sound: Waveform  # decoded, at any rate and about as long as the original
    data: bytes | None = None  # the whole coded file; None where the method does not code
    encode_seconds: float | None = None  # wall time; all of it where the method does not code
    decode_seconds: float | None = None
    residuals: tuple[float, ...] = ()  # of DDCM: dB of the latent's error after 0, 1, ... coded steps, and decoded


def round_trip(encode: Callable[[], bytes], decode: Callable[[bytes], Waveform]) -> Coded:
    """Code and decode, and measure how long each takes."""
    started = time.perf_counter()
    data = encode()
    coded = time.perf_counter()
    sound = decode(data)
    return Coded(sound, data, coded - started, time.perf_counter() - coded)


@dataclass(frozen=True)
class Method:
    """One row of the table of methods."""

    id: str  # unique, of lower-case letters, digits, hyphens and dots; names files
    label: str  # for people
    family: Family  # what is compared with what
    series: str  # methods of one series are points of one curve
    command: str  # does the same by hand, with IN, FILE and OUT; a stored result is valid for one command only
    run: Callable[[Job], Coded]  # codes a sound and decodes it; raises an `Error` where it cannot
    bit_per_second: float | None = None  # nominal
    generative: bool = False  # waveforms are invented, so a distance between waveforms says nothing about quality
    needs_model: bool = False
    needs_other: bool = False
    delayed: bool = False  # may delay sound (`judging.delay_of`); the others are compared as they are
    mono: bool = False  # codes one channel, and is given the mean of a stereo sound
    suffix: str = ""  # of the coded file
    version: str = ""  # of the program or package
    missing: str | None = None  # why it cannot run here; None if it can


def choose(methods: Sequence[Method], names: Iterable[str]) -> tuple[Method, ...]:
    """The methods with these names, in table order: ids, series, families, patterns of ids such as `opus-*`, or `all`.
    ConfigError for a name that is none of these, and for no name at all."""
    chosen: set[str] = set()
    for name in names:
        found = {m.id for m in methods if name in ("all", m.family, m.series) or fnmatchcase(m.id, name)}
        if not found:
            series = dict.fromkeys(method.series for method in methods)
            raise ConfigError(
                f"no method {name!r}: give all, a family ({', '.join(FAMILIES)}), a series ({', '.join(series)}), "
                "an id or a pattern of ids; --list shows them"
            )
        chosen |= found
    if not chosen:
        raise ConfigError("no method is named: give all, a family, a series, an id or a pattern of ids")
    return tuple(method for method in methods if method.id in chosen)
