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

__all__ = ["FAMILIES", "Coded", "Family", "Job", "Method", "choose", "round_trip"]

Family = Literal["ceiling", "reconstruct", "vq", "ddcm", "transform", "codec", "control"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True, eq=False)
class Job:
    """What a method is given.

    Attributes:
        sound: one channel or two at 48 kHz; one for a method of mono sound.
        other: the sound of the next input; None unless the method needs it.
        backend: the model; None unless the method needs one.
        timeout: seconds that an external program may take.
    """

    sound: Waveform
    other: Waveform | None = None
    backend: Backend | None = None
    timeout: float = 600.0


@dataclass(frozen=True, eq=False)
class Coded:
    """What a method made of a sound.

    Attributes:
        sound: decoded, at any rate and about as long as the original.
        data: the whole coded file; None where the method does not code.
        encode_seconds, decode_seconds: wall time; the first is all of it where the method does not code.
        residuals: of DDCM, error of the estimated latent in dB after 0, 1, ... coded steps, and of the decoded latent.
    """

    sound: Waveform
    data: bytes | None = None
    encode_seconds: float | None = None
    decode_seconds: float | None = None
    residuals: tuple[float, ...] = ()


def round_trip(encode: Callable[[], bytes], decode: Callable[[bytes], Waveform]) -> Coded:
    """Code and decode, and measure how long each takes."""
    started = time.perf_counter()
    data = encode()
    coded = time.perf_counter()
    sound = decode(data)
    return Coded(sound, data, coded - started, time.perf_counter() - coded)


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Attributes:
        id: unique, of lower-case letters, digits, hyphens and dots; names files.
        label: for people.
        family: what is compared with what.
        series: methods of one series are points of one curve.
        command: does the same by hand, with IN, FILE and OUT; a stored result is valid for one command only.
        run: codes a sound and decodes it; raises an `Error` where it cannot.
        bit_per_second: nominal.
        generative: waveforms are invented, so a distance between waveforms says nothing about quality.
        needs_model, needs_other: what the job has to bring.
        delayed: the method may delay sound (`judging.delay_of`); the others are compared as they are.
        mono: it codes one channel, and is given the mean of a stereo sound.
        suffix: of the coded file.
        version: of the program or package.
        missing: why the method cannot run here; None if it can.
    """

    id: str
    label: str
    family: Family
    series: str
    command: str
    run: Callable[[Job], Coded]
    bit_per_second: float | None = None
    generative: bool = False
    needs_model: bool = False
    needs_other: bool = False
    delayed: bool = False
    mono: bool = False
    suffix: str = ""
    version: str = ""
    missing: str | None = None


def choose(methods: Sequence[Method], names: Iterable[str]) -> tuple[Method, ...]:
    """The methods with these names, in table order.

    Args:
        methods: the table.
        names: each an id, a series, a family, a pattern of ids such as `opus-*`, or `all`.

    Raises:
        ConfigError: a name that is none of these, or no name at all.
    """
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
