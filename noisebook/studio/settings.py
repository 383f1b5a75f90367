"""What the studio can be asked for, and how that is written in an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_type_hints
from urllib.parse import urlencode

from noisebook.errors import ConfigError
from noisebook.studio.uploads import bundled_clips

__all__ = ["MAX_COMPARED", "METHODS", "Settings", "compared_methods"]

MAX_COMPARED = 4  # methods in one comparison
# The methods, and the settings that each of them has beside the clip and the seed.
METHODS: dict[str, tuple[str, ...]] = {
    "codec": ("preset", "bitrate", "quality", "codebook"),
    "reconstruct": ("reconstruction",),
    "transform": ("prompt", "strength"),
    "generate": ("prompt", "seconds", "stream"),
    "restore": ("task", "gaps", "cutoff", "prompt"),
    "compare": ("methods",),
}
_TASKS = ("inpaint", "bandwidth", "declip")
_RANGES = {"bitrate": (0, 16000), "strength": (0, 1), "seconds": (0.1, 600), "cutoff": (0, 192_000), "seed": (0, 255)}


@dataclass(frozen=True)
class Settings:
    """Everything that a visitor chooses but the sound itself.

    Attributes:
        method: a key of `METHODS`.
        clip: name of a bundled clip; "" for the visitor's own sound.
        preset: codec: bit/s of the file.
        bitrate: codec: in its place, bit/s of the file; 0 is the preset's.
        quality: codec: "fast", "balanced" or "high".
        codebook: codec: write the latent in the words of this codebook of the package instead; "" for not.
        reconstruction: name of a reconstruction preset.
        prompt: transform, generate, restore: words.
        strength: transform: 0 to 1.
        seconds: generate: duration.
        stream: generate: whether the sound is a stream from birth.
        task: restore: "inpaint", "bandwidth" or "declip".
        gaps: restore: "2.5:2.9 4:4.2", seconds; "" looks for them.
        cutoff: restore: Hz; 0 looks for it.
        methods: compare: of `compared_methods`, at most `MAX_COMPARED`.
        seed: 0 to 255, of all random numbers.

    Raises:
        ConfigError: a value that is not possible; says which are.
    """

    method: str = "codec"
    clip: str = ""
    preset: str = "1500"
    bitrate: float = 0.0
    quality: str = "balanced"
    codebook: str = ""
    reconstruction: str = "matched"
    prompt: str = ""
    strength: float = 0.3
    seconds: float = 5.0
    stream: bool = False
    task: str = "inpaint"
    gaps: str = ""
    cutoff: float = 0.0
    methods: tuple[str, ...] = ("codec-100", "codec-700", "codec-3000", "reconstruct-matched")
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in _choices().items():
            for value in self.methods if name == "methods" else (getattr(self, name),):
                if value not in choices:
                    possible = ", ".join(choice or "none" for choice in choices)
                    raise ConfigError(f"{name} {value!r}: {possible} are possible")
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} {getattr(self, name):g}: {low:g} to {high:g} are possible")
        if not 0 < len(self.methods) <= MAX_COMPARED:
            raise ConfigError(f"{len(self.methods)} methods to compare: choose 1 to {MAX_COMPARED}")

    def query(self) -> str:
        """As the query of an address: the method, and of its settings what is not the default."""
        default = Settings()
        names = ("clip", *METHODS[self.method], "seed")
        given = {name: getattr(self, name) for name in names if getattr(self, name) != getattr(default, name)}
        return urlencode({"method": self.method} | {name: _text(value) for name, value in given.items()}, safe=":,")

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Settings:
        """What `query` wrote. Names that begin with an underscore belong to the page itself and are passed over.

        Raises:
            ConfigError: a name or value that there is not.
        """
        kinds = get_type_hints(cls)
        values = {name: text for name, text in query.items() if not name.startswith("_")}
        unknown = sorted(set(values) - set(kinds))
        if unknown:
            raise ConfigError(
                f"the address has a setting {unknown[0]!r}; there are {', '.join(field.name for field in fields(cls))}"
            )
        return cls(**{name: _value(name, text, kinds[name]) for name, text in values.items()})


def compared_methods() -> tuple[str, ...]:
    """What a comparison can be of: the presets of the codec, codebooks of the package, the ceiling."""
    from noisebook.api import codebook_names
    from noisebook.codec.presets import PRESETS

    codecs = (f"codec-{preset.name}" for preset in PRESETS)
    return (*codecs, *(f"vq-{name}" for name in codebook_names()), "reconstruct-matched")


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    """What is possible where there is a list."""
    from noisebook.api import codebook_names, reconstruction_presets
    from noisebook.codec.presets import PRESETS, QUALITIES

    return {
        "method": tuple(METHODS),
        "clip": ("", *bundled_clips()),
        "preset": tuple(preset.name for preset in PRESETS),
        "quality": tuple(QUALITIES),
        "codebook": ("", *codebook_names()),
        "reconstruction": tuple(row.name for row in reconstruction_presets()),
        "task": _TASKS,
        "methods": compared_methods(),
    }


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(int(value) if isinstance(value, bool) else value)


def _value(name: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return bool(int(text))
        return kind(text) if kind in (int, float, str) else tuple(text.split(","))
    except ValueError:
        raise ConfigError(f"the address has {name}={text!r}, which is no number") from None
