"""What may be chosen about encoding and decoding, and how people write it. No tensors."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from noisebook.codec.presets import DEFAULT, PRESETS, QUALITIES, by_name
from noisebook.coding.container import ChannelMode
from noisebook.errors import ConfigError
from noisebook.options import KINDS, Options, again, option, several, wrong

if TYPE_CHECKING:
    from noisebook.coding.container import CodingParams

AUTO = "auto"  # in place of a preset: the one that suits the sound
_RATE = re.compile(r"(?P<value>\d+(?:\.\d*)?|\.\d+)\s*(?P<kilo>k?)(?:bit/s|bits/s|bps|b/s|bit)?", re.IGNORECASE)
_NUMBER = r"\d+(?:\.\d*)?|\.\d+|inf"
_PRIORITY = re.compile(
    rf"(?P<weight>{_NUMBER})(?:@(?P<start>{_NUMBER})-(?P<end>{_NUMBER}))?(?:/(?P<low>{_NUMBER})-(?P<high>{_NUMBER}))?"
)


@dataclass(frozen=True)
class Priority:
    """A span of time and band in which an error counts `weight` times as much."""

    weight: float  # above 0; below 1 it counts less
    start: float = 0.0  # seconds
    end: float = inf
    low: float = 0.0  # Hz
    high: float = inf

    def __post_init__(self) -> None:
        if not 0 < self.weight < inf:
            raise ConfigError(f"priority {self.weight:g}: give a weight above 0, 1 is that of the rest")
        if not (0 <= self.start < self.end and 0 <= self.low < self.high):
            raise ConfigError(
                f"priority of {self.start:g} to {self.end:g} s and {self.low:g} to {self.high:g} Hz: "
                "both ranges must rise from at least 0"
            )

    @classmethod
    def parse(cls, text: str) -> Priority:
        """From `WEIGHT[@START-END][/LOW-HIGH]`.

        Raises:
            ConfigError: it is written otherwise.
        """
        found = _PRIORITY.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text!r} is not WEIGHT[@START-END][/LOW-HIGH], such as 3@1.5-4 or 2/300-3400")
        return cls(**{name: float(number) for name, number in found.groupdict().items() if number is not None})

    def __str__(self) -> str:
        """What `parse` reads."""
        time = f"@{self.start}-{self.end}" if self.timed else ""
        return f"{self.weight}{time}" + (f"/{self.low}-{self.high}" if self.banded else "")

    @property
    def timed(self) -> bool:
        """It does not hold for the whole sound."""
        return self.start > 0 or self.end < inf

    @property
    def banded(self) -> bool:
        """It does not hold for all frequencies."""
        return self.low > 0 or self.high < inf


def parse_rate(text: str) -> float:
    """bit/s of 6000, 6k, 1.5kbit/s or 300bps.

    Raises:
        ConfigError: no such number.
    """
    with suppress(ValueError):
        return float(text)  # what is possible is the codec's to tell
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no bitrate: give bit/s, such as 500, 6000 or 6k")
    return float(found["value"]) * (1000 if found["kilo"] else 1)


def _parse_preset(text: str) -> str:
    """A name, or a bitrate as that of --bitrate: 3k is 3000."""
    return f"{parse_rate(text):.0f}" if re.fullmatch(r"\d+(\.\d+)?[kK]", text) else text


def _priorities(name: str, value: Any) -> tuple[Priority, ...]:
    return tuple(_priority(f"each of {name}", one) for one in several(name, value))


def _priority(name: str, value: Any) -> Priority:
    if isinstance(value, str):
        return Priority.parse(value)
    if not isinstance(value, Priority):
        raise wrong(name, "a noisebook.Priority", value)
    return value


*_FIRST, _LAST = (f"{row.name} (default)" if row.name == DEFAULT else row.name for row in PRESETS)


@dataclass(frozen=True)
class EncodeOptions(Options):
    """What may be chosen about a stream of noise choices; `help` of each is in its field."""

    preset: str | int | None = option(
        None,
        f"{', '.join(_FIRST)} or {_LAST}: bit/s of the file, mono or stereo; or auto, by what the sound is like.",
        flags=("-p", "--preset"), metavar="NAME", parse=_parse_preset,
    )  # fmt: skip
    bitrate: float | None = option(
        None, "In place of a preset: bit/s of the file, mono or stereo; with vq only for an adaptive codebook.",
        flags=("-b", "--bitrate"), metavar="RATE", parse=parse_rate,
    )  # fmt: skip
    target_mel_db: float | None = option(
        None, "In place of a bitrate: the fewest bits for this error of the log-mel, before the vocoder; takes some "
        "six encodings.", metavar="DB",
    )  # fmt: skip
    target_nmse: float | None = option(
        None, "The same for the error of the latent over its energy.", metavar="DB",
    )  # fmt: skip
    quality: str = option(
        "balanced", "Over how many steps the bits are spread: fast has few, high wastes fewer bits.",
        choices=tuple(QUALITIES), flags=("-q", "--quality"),
    )  # fmt: skip
    channels: str = option(
        "auto", "auto codes stereo as one channel and a description of what lies where (jointly with a model of "
        "stereo sound); dual codes left and right separately, each with half of the bits, for two microphones.",
        choices=("auto", "dual", "mono"),
    )  # fmt: skip
    tag: str | None = option(None, "What the sound is, for the model: music, speech or effects.", metavar="TAG")
    seed: int = option(0, "Seed of all random numbers.", low=0, high=255)
    search: str = option(
        "shaped", "How the encoder looks for what to write, at the same bits: none is the fastest, shaped comes nearer "
        "in twice the time.", choices=("none", "shaped"),
    )  # fmt: skip
    priorities: tuple[Priority, ...] = option(
        (), "Errors there count WEIGHT times as much; seconds and Hz, as in 3@1.5-4 or 2/300-3400. May be repeated.",
        flags=("--priority",), metavar="WEIGHT[@START-END][/LOW-HIGH]", parse=Priority.parse,
    )  # fmt: skip
    progressive: bool = option(
        False,
        "Order the stream by steps, so that any beginning of it is the whole sound, less exactly "
        "(decompress --damaged).",
    )
    variable_rate: bool = option(
        False, "What lies 60 dB below the peak takes no bits and is decoded as silence, as digital silence always is."
    )
    params: CodingParams | None = option(
        None, "Explicit coding parameters, in place of preset and bitrate.", command_line=False
    )

    kinds = KINDS | {frozenset({"tuple[Priority, ...]"}): _priorities}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset is not None and self.bitrate is not None:
            raise ConfigError("give a preset or a bitrate, not both")
        rates = self.preset, self.bitrate, self.target_mel_db, self.target_nmse
        if self.target is not None and sum(value is not None for value in rates) > 1:
            raise ConfigError("give one of preset, bitrate, target_mel_db and target_nmse")
        if self.preset not in (None, AUTO):
            by_name(str(self.preset))  # the error

    @property
    def target(self) -> tuple[str, float] | None:
        """Measure and value of a quality that is asked for in place of a bitrate."""
        if self.target_mel_db is not None:
            return "mel-db", self.target_mel_db
        return None if self.target_nmse is None else ("nmse", self.target_nmse)

    @property
    def asked_bitrate(self) -> float | None:
        """bit/s of the file; None where a quality is asked for, or a sound decides."""
        if self.bitrate is not None or self.target is not None or self.preset == AUTO:
            return self.bitrate
        return float(by_name(str(self.preset or DEFAULT)).name)

    @property
    def channel_mode(self) -> ChannelMode | None:
        """The mode that is asked for; None leaves it to the codec."""
        return _MODES[self.channels]


@dataclass(frozen=True)
class CodebookOptions(Options):
    """What may be chosen about a stream that holds a latent in the words of a codebook."""

    rule: str = option("hard", "vq: nearest atom, or mean of the nearest.", choices=("hard", "soft"))
    bitrate: float | None = again(EncodeOptions, "bitrate")
    channels: str = again(EncodeOptions, "channels")

    @property
    def asked_bitrate(self) -> float | None:
        """As of `EncodeOptions`; None for that of the codebook."""
        return self.bitrate

    @property
    def channel_mode(self) -> ChannelMode | None:
        """As of `EncodeOptions`."""
        return _MODES[self.channels]


@dataclass(frozen=True)
class DecodeOptions(Options):
    """What may be chosen about decoding; `help` of each is in its field."""

    start: float | None = option(None, "Decode only from here; fast at any place.", low=0, metavar="SECONDS")
    end: float | None = option(None, "Decode only up to here.", low=0, metavar="SECONDS")
    damaged: bool = option(
        False, "Play what is left of a stream that is cut short or damaged; the sound may end early."
    )
    # Three bytes can hold 64 s, and no preset and no bitrate asks for more than 2.2 times the work.
    max_seconds: float = option(
        24 * 3600.0, "Refuse to make a longer sound; for streams of strangers.", above=0, metavar="SECONDS"
    )
    max_work: float = option(
        10.0, "Refuse coding parameters that ask for more than so many times the work of the most expensive "
        "preset.", above=0, metavar="TIMES",
    )  # fmt: skip
    tail_steps: int | None = option(
        None, "Denoising steps after the coded ones; by default 3 from some 300 bit/s on, else 6.", low=1, high=100
    )
    peak_guard: bool = option(
        True, "Hold what is beyond full scale within it, as an integer format needs it.", command_line=False
    )

    @property
    def whole(self) -> bool:
        """All of an undamaged stream is asked for."""
        return self.start is None and self.end is None and not self.damaged


_MODES = {"auto": None, "dual": ChannelMode.DUAL, "mono": ChannelMode.MONO}
