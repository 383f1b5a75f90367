"""What the studio can be asked for, and how that is written in an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, get_type_hints
from urllib.parse import urlencode

from noisebook.api import codebook_names, reconstruction_presets
from noisebook.audio.io import bundled_clips
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import DEFAULT, PRESETS
from noisebook.comparison.programs import available_codecs
from noisebook.errors import ConfigError
from noisebook.options import Option, Options, again, option
from noisebook.synthesis.options import TRANSFORM_METHODS, TransformOptions

MAX_COMPARED = 4  # methods in one comparison


class Method(NamedTuple):
    """What can be done with a sound: its name and purpose for people, and its settings beside the clip and the seed."""

    label: str
    about: str
    settings: tuple[str, ...]


METHODS = {
    "codec": Method(
        "Compress", "To keep or send a sound in very few bits: to a .ddcm stream and back.",
        ("preset", "bitrate", "quality", "codebook"),
    ),
    "reconstruct": Method(
        "Reconstruct",
        "To hear the ceiling of every codec here: through the autoencoder and a vocoder, without bits.",
        ("reconstruction",),
    ),
    "transform": Method(
        "Transform", "To move a sound towards the words of a prompt. Strength is the share that is left to the model.",
        ("prompt", "strength", "transformation"),
    ),
    "generate": Method(
        "Generate", "To make a new sound from words; as a stream it can be kept in some hundred bytes.",
        ("prompt", "seconds", "stream"),
    ),
    "restore": Method(
        "Restore", "To fill gaps, a lost band or clipped peaks: the model invents what is missing.",
        ("task", "gaps", "cutoff", "prompt"),
    ),
    "compare": Method(
        "Compare", f"To choose between methods: the same sound through up to {MAX_COMPARED} of them.", ("methods",)
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Settings(Options):
    """Everything that a visitor chooses but the sound itself."""

    method: str = option("codec", "What is done with the sound.", choices=tuple(METHODS))
    clip: str = option("", "Name of a bundled clip; empty for the visitor's own sound.")
    preset: str = option(DEFAULT, "codec: bit/s of the file.", choices=tuple(row.name for row in PRESETS))
    bitrate: float = option(0.0, "codec: in its place, bit/s of the file; 0 is the preset's.", low=0, high=16000)
    quality: str = again(EncodeOptions, "quality")
    codebook: str = option("", "codec: write the latent in the words of this codebook of the package; empty for not.")
    reconstruction: str = option("matched", "Name of a reconstruction preset.")
    prompt: str = option("", "transform, generate, restore: words.")
    strength: float = option(0.3, "transform: the share that is left to the model.", low=0, high=1)
    transformation: str = option(
        TransformOptions().method, "transform: how the input is kept.", choices=tuple(TRANSFORM_METHODS)
    )
    seconds: float = option(5.0, "generate: duration.", low=0.1, high=600)
    stream: bool = option(False, "generate: whether the sound is a stream from birth.")
    task: str = option("inpaint", "restore: what is damaged.", choices=("inpaint", "bandwidth", "declip"))
    gaps: str = option("", "restore: as 2.5:2.9 4:4.2, seconds; empty looks for them.")
    cutoff: float = option(0.0, "restore: Hz; 0 looks for it.", low=0, high=192_000)
    methods: tuple[str, ...] = option(
        ("codec-100", "codec-700", "codec-3000", "reconstruct-matched"), "compare: some of `compared_methods`."
    )
    seed: int = again(EncodeOptions, "seed")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in _choices().items():
            Option("", choices=choices).check(name, getattr(self, name))
        if not 0 < len(self.methods) <= MAX_COMPARED:
            raise ConfigError(f"{len(self.methods)} methods to compare: choose 1 to {MAX_COMPARED}")

    def query(self) -> str:
        """As the query of an address: the method, and of its settings what is not the default."""
        changed, names = self.to_dict(), ("clip", *METHODS[self.method].settings, "seed")
        texts = {name: _text(changed[name]) for name in names if name in changed}
        return urlencode({"method": self.method} | texts, safe=":,")

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Settings:
        """What `query` wrote; ConfigError for a name or value that there is not. Names that begin with an underscore
        belong to the page itself and are passed over."""
        kinds = get_type_hints(cls)
        values = {name: text for name, text in query.items() if not name.startswith("_")}
        unknown = sorted(set(values) - set(kinds))
        if unknown:
            raise ConfigError(f"the address has a setting {unknown[0]!r}; there are {', '.join(cls.names())}")
        return cls(**{name: _value(name, text, kinds[name]) for name, text in values.items()})


def compared_methods() -> tuple[str, ...]:
    """Presets of the codec, codebooks of the package, the ceiling, and the codecs that are programs of this machine."""
    codecs = (f"codec-{preset.name}" for preset in PRESETS)
    return (*codecs, *(f"vq-{name}" for name in codebook_names()), "reconstruct-matched", *available_codecs())


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    """What is possible where a list takes time to make."""
    return {
        "clip": ("", *bundled_clips()),
        "codebook": ("", *codebook_names()),
        "reconstruction": tuple(row.name for row in reconstruction_presets()),
        "methods": compared_methods(),
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(int(value) if isinstance(value, bool) else value)


def _value(name: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return bool(int(text))
        return kind(text) if kind in (int, float, str) else tuple(text.split(","))
    except ValueError:
        raise ConfigError(f"the address has {name}={text!r}, which is no number") from None
