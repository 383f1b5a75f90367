"""The table of reconstruction presets: five choices on the way from a sound through the autoencoder and back.

    front end -> posterior -> latent limit -> vocoder chain -> post-processing

All but `matched` keep the name and the choices of an earlier script for AudioLDM 2 (docs/systems.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import Any

from noisebook.audio.front_ends import FRONT_ENDS, MATCHED
from noisebook.errors import ConfigError
from noisebook.options import Options, named, option

DEFAULT = "matched"
HISTORICAL = "historical"  # the front end that a preset's script had
POSTERIORS = {"mode": 0.0, "sample": 1.0, "blend": 0.3}  # how much of a sample is mixed with the mode
# Tried in order; the next one only where the one before gives nothing that can be heard.
VOCODERS = {
    "model": ("model",),
    "griffin-lim": ("griffin-lim",),
    "tones": ("tones",),
    "model+griffin-lim": ("model", "griffin-lim"),
    "chain": ("model", "model-clamped", "griffin-lim"),
}


@dataclass(frozen=True)
class LatentLimit:
    """What is done to a latent with implausible statistics over the whole clip: a standard deviation above `above` is
    scaled to `to`, and of a mean beyond `mean_above` either way the share `mean_share` is taken away."""

    above: float = inf
    to: float = inf
    mean_above: float = inf
    mean_share: float = 0.3


LIMITS = {
    "none": LatentLimit(),
    "strict": LatentLimit(3.0, 3.0),
    "balanced": LatentLimit(4.0, 3.5, mean_above=2.0),
    "loose": LatentLimit(5.0, 4.5),
}


@dataclass(frozen=True)
class Post(Options):
    """Post-processing, in the order of the fields."""

    smooth: int = option(1, "Frames of a moving average, an odd number; 1 is none.", low=1, high=99)
    mel_lift_db: float = option(0.0, "The most that features above 3.7 kHz are lifted; 0 is none.", low=0, high=6)
    band_lift: float = option(1.0, "The most that what is above 4 kHz is multiplied by; 1 is none.", low=1, high=2)
    high_pass: float = option(0.0, "Cutoff in Hz, from 10; 0 is none.", low=0, high=1000)
    loudness: tuple[float, float] | None = option(None, "Least and largest factor that matches the RMS of the input.")
    softness: float = option(0.0, "Share of that factor's way from 1 that is left out, below 1.", low=0, high=1)
    peak_guard: bool = option(False, "Scale a peak beyond full scale down to it.")

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = self.loudness or (1.0, 1.0)
        if self.smooth % 2 == 0:
            raise ConfigError(f"smooth {self.smooth}: an odd number of frames is possible")
        if 0 < self.high_pass < 10:
            raise ConfigError(f"high-pass {self.high_pass:g}: 10 to 1000 Hz are possible")
        if not 0 < least <= 1 <= most < inf:
            raise ConfigError(f"loudness {least:g}:{most:g}: a factor of at most 1 and one of at least 1 are possible")
        if self.softness == 1:
            raise ConfigError("softness 1: below 1 is possible")

    @classmethod
    def parse(cls, text: str) -> Post:
        """From a list such as `smooth=3,high-pass=50,loudness=0.2:5`; `none` is no post-processing."""
        if text.strip() == "none":
            return cls()
        return cls(**dict(_parsed_step(step.strip()) for step in text.split(",")))

    def __str__(self) -> str:
        """What `parse` reads."""
        steps = [(entry.name.replace("_", "-"), getattr(self, entry.name), entry.default) for entry in fields(self)]
        return ",".join(_shown_step(word, value) for word, value, neutral in steps if value != neutral) or "none"


@dataclass(frozen=True)
class Preset:
    """One row: a name, and a choice at each axis, keys of `FRONT_ENDS`, `POSTERIORS`, `LIMITS` and `VOCODERS`.

    The front end is that of the script that the row is named after, used only where asked for by `historical`.
    """

    name: str
    front_end: str = MATCHED
    posterior: str = "mode"
    latent_limit: str = "none"
    vocoder: str = "model"
    post: Post = field(default_factory=Post)


PRESETS = (
    Preset(DEFAULT),
    Preset("simple", "db-minmax", "sample", vocoder="model+griffin-lim"),
    Preset("ultimate", "db-minmax", "sample"),
    Preset("ultimate-fix", "clap", latent_limit="strict", vocoder="chain", post=Post(loudness=(0.1, 10))),
    Preset(
        "v3-balanced", "clap", "blend", "balanced", post=Post(smooth=3, high_pass=50, loudness=(0.2, 5), softness=0.2)
    ),
    Preset("v4-high-freq", "clap", latent_limit="loose", post=Post(mel_lift_db=6, loudness=(0.3, 3))),
    Preset("v5-high-freq", "clap-wide", post=Post(band_lift=1.5, loudness=(0.3, 3))),
    Preset("v5-high-freq-strong", "clap-wide", post=Post(band_lift=2, loudness=(0.3, 3))),
    Preset("final-optimized", post=Post(loudness=(0.1, 5), peak_guard=True)),
    Preset("critical-fix", "db20", "sample", vocoder="model+griffin-lim"),
)


def by_name(name: str) -> Preset:
    """The preset of that name; ConfigError where there is none."""
    return named("preset", PRESETS, name, ", ".join(preset.name for preset in PRESETS))


def same_by_default() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Presets that write the same file with the matched front end and no axis replaced: (when they do, names).

    No limit touches latents of matched features (their standard deviation is 0.6 to 1.05, the least limit 3), and of a
    chain of vocoders the first one works on them. What then differs are posterior and post-processing, of which a lift
    and the peak guard may find nothing to do, and loudness is rarely off by more than any preset corrects.
    """
    always: dict[Any, tuple[str, ...]] = {}
    sometimes: dict[Any, tuple[str, ...]] = {}
    for preset in PRESETS:
        loudness = preset.post.loudness and (1.0, 1.0)
        idle = replace(preset.post, mel_lift_db=0.0, band_lift=1.0, loudness=loudness, peak_guard=False)
        for groups, post in ((always, preset.post), (sometimes, idle)):
            key = preset.posterior, VOCODERS[preset.vocoder][0], post
            groups[key] = (*groups.get(key, ()), preset.name)
    when = dict.fromkeys(always.values(), "always")
    for names in sometimes.values():
        when.setdefault(names, "where no lift is kept and no peak is turned down")
    return tuple((words, names) for names, words in when.items() if len(names) > 1)


_AXES = {
    "front_end": (MATCHED, HISTORICAL, *(front_end.name for front_end in FRONT_ENDS)),
    "posterior": tuple(POSTERIORS),
    "latent_limit": tuple(LIMITS),
    "vocoder": tuple(VOCODERS),
}


def with_axes(preset: Preset, *, front_end: str = MATCHED, post: str | None = None, **axes: str | None) -> Preset:
    """The preset with a front end (`historical` is its own) and with other choices where they are not None."""
    given = {"front_end": front_end, **axes}
    changes: dict[str, Any] = {axis: name for axis, name in given.items() if name is not None}
    for axis, name in changes.items():
        if name not in _AXES[axis]:
            raise ConfigError(f"{axis.replace('_', ' ')} {name!r}: there are {', '.join(_AXES[axis])}")
    if front_end == HISTORICAL:
        del changes["front_end"]
    if post is not None:
        changes["post"] = Post.parse(post)
    return replace(preset, **changes)


# A step without a value: the strongest that a preset has.
_BARE = {"smooth": 3, "mel_lift_db": 6.0, "band_lift": 1.5, "high_pass": 50.0, "loudness": (0.1, 10.0),
         "softness": 0.2, "peak_guard": True}  # fmt: skip


def _parsed_step(step: str) -> tuple[str, Any]:
    word, given, value = step.partition("=")
    name = word.replace("-", "_")
    if name not in _BARE or (given and name == "peak_guard"):
        steps = ", ".join(entry.name.replace("_", "-") for entry in fields(Post))
        raise ConfigError(f"post-processing {step!r}: there are {steps}, or none")
    if not given:
        return name, _BARE[name]
    try:
        numbers = tuple(map(int if name == "smooth" else float, value.split(":")))
    except ValueError:
        raise ConfigError(f"post-processing {step!r}: {value!r} is not a number that can be meant") from None
    if len(numbers) != (2 if name == "loudness" else 1):
        raise ConfigError(f"post-processing {step!r}: loudness takes LEAST:MOST, the others one number")
    return name, numbers if name == "loudness" else numbers[0]


def _shown_step(word: str, value: Any) -> str:
    if value is True:
        return word
    return f"{word}={':'.join(f'{part:g}' for part in value) if isinstance(value, tuple) else f'{value:g}'}"
