"""What the verbs do with the bytes of a file. Between processes only plain values travel."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any

from noisebook import api
from noisebook._version import __version__
from noisebook.api.models import ModelOptions
from noisebook.audio import io
from noisebook.audio.formats import WRITABLE, encode, subtype_of
from noisebook.audio.waveform import Waveform
from noisebook.batch.naming import STREAM_SUFFIX, suffix_of
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["VERBS", "Coded", "Settings", "code"]

VERBS = ("compress", "decompress", "reconstruct", "verify")


_LIMITS = ("max_seconds", "max_work")  # options that decide whether there is a result, and not what it is


@dataclass(frozen=True)
class Settings:
    """What is done to every file.

    Attributes:
        verb: one of `VERBS`.
        options: keyword arguments of the function of the facade, as JSON can hold them; of compress also `codec`.
        engine: the model; where none is named, of a stream the one that made it, else the one inside the package.
        suffix: of sounds that are written, a key of `WRITABLE`; decides the format.

    Raises:
        ConfigError: another verb or suffix.
    """

    verb: str
    options: Mapping[str, Any] = field(default_factory=dict)
    engine: ModelOptions = ModelOptions()
    suffix: str = ".wav"

    def __post_init__(self) -> None:
        if self.verb not in VERBS:
            raise ConfigError(f"batch {self.verb!r}: {', '.join(VERBS)} are possible")
        if self.suffix not in WRITABLE:
            raise ConfigError(f"sounds with the suffix {self.suffix!r}: {' '.join(WRITABLE)} are possible")

    @property
    def target_suffix(self) -> str | None:
        """Of the files that are written; None for a verb that writes none."""
        return {"compress": STREAM_SUFFIX, "verify": None}.get(self.verb, self.suffix)

    @property
    def manifest(self) -> str:
        """The manifest's name; a verification lies beside what it verifies, and has one of its own."""
        return "verification.jsonl" if self.verb == "verify" else "manifest.jsonl"

    def model_for(self, name: str, data: bytes) -> str:
        """The model for a file with that name and those bytes."""
        return self.engine.model_of(data) if suffix_of(name) == STREAM_SUFFIX else self.engine.model or api.EMBEDDED

    def key(self) -> str:
        """A digest of everything that decides what a result is, but for the source.

        Raises:
            ModelError, ConfigError: no such model or codebook.
        """
        info = api.model_info(self.engine.model or api.EMBEDDED, offline=self.engine.offline)
        codebook = self.options.get("codebook")
        deciding = {name: value for name, value in self.options.items() if name not in _LIMITS}
        parts = {
            "noisebook": __version__,
            **self.told(),
            "options": deciding,
            "fingerprint": info.fingerprint.hex(),
            "codebook": None if codebook is None else api.load_codebook(codebook).fingerprint.hex(),
        }
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def told(self) -> dict[str, Any]:
        """The same as a manifest tells it."""
        engine = asdict(self.engine)
        told = {name: engine[name] for name in ("model", "dtype")}
        return {"verb": self.verb, "options": dict(self.options), **told, "suffix": self.target_suffix}

    def check(self) -> None:
        """Refuse options that no file could be coded with, before any work.

        Raises:
            AudioError: bits that the format does not have.
            ConfigError, ModelError: as the verb.
        """
        subtype_of(self.suffix, self.options.get("bits"))
        if self.verb == "reconstruct":
            chosen = {name: value for name, value in self.options.items() if name != "bits"}
            api.reconstruction_preset(**chosen)
        elif self.verb == "compress" and self.options.get("codec", "ddcm") == "ddcm":
            _check_coding(self.options, self.engine)


@dataclass(frozen=True)
class Coded:
    """What a verb made of a file.

    Attributes:
        data: the bytes of the target; None for a verb that writes none.
        audio_seconds: of sound that went through.
        values: what else the manifest says.
    """

    data: bytes | None
    audio_seconds: float
    values: Mapping[str, Any] = field(default_factory=dict)


def code(settings: Settings, names: tuple[str, ...], contents: tuple[bytes, ...], backend: Backend,
         *, seconds: float | None = None) -> Coded:  # fmt: skip
    """Do the verb.

    Args:
        settings: the verb and its options.
        names: of the source; for verify, and of its counterpart.
        contents: the bytes of these files.
        backend: the model.
        seconds: only the first of the sound, for a trial.

    Raises:
        Error: as the verb.
    """
    return _DONE_BY[settings.verb](settings, names, contents, backend, seconds)


def _compress(
    settings: Settings, names: tuple[str, ...], contents: tuple[bytes, ...], backend: Backend, seconds: float | None
) -> Coded:
    sound = _sound(names[0], contents[0], seconds)
    options = dict(settings.options)
    compressed = api.compress_with_codebook if options.pop("codec", "ddcm") == "vq" else api.compress
    return Coded(compressed(sound, backend=backend, **options), sound.duration)


def _decompress(
    settings: Settings, names: tuple[str, ...], contents: tuple[bytes, ...], backend: Backend, seconds: float | None
) -> Coded:
    options = {name: value for name, value in settings.options.items() if name != "bits"}
    sound = api.decompress(contents[0], backend=backend, end=seconds, peak_guard=False, **options)
    return _encoded(sound, settings, {})


def _reconstruct(
    settings: Settings, names: tuple[str, ...], contents: tuple[bytes, ...], backend: Backend, seconds: float | None
) -> Coded:
    options = {name: value for name, value in settings.options.items() if name != "bits"}
    result = api.reconstruct(_sound(names[0], contents[0], seconds), backend=backend, **options)
    return _encoded(result.waveform, settings, {"measures": _finite(result.measures)})


def _verify(
    settings: Settings, names: tuple[str, ...], contents: tuple[bytes, ...], backend: Backend, seconds: float | None
) -> Coded:
    sound = _sound(names[0], contents[0], seconds)
    if suffix_of(names[1]) == STREAM_SUFFIX:
        estimate: bytes | Waveform = contents[1]
        if seconds is not None:
            estimate = api.decompress(contents[1], backend=backend, end=seconds)
    else:
        estimate = _sound(names[1], contents[1], seconds)
    found = api.verify(sound, estimate, backend=backend, **settings.options).to_dict()
    metrics = {row["name"]: row["value"] for row in found["metrics"]}
    return Coded(None, sound.duration, {"metrics": metrics, "verdict": found["verdict"], "verification": found})


Doing = Callable[[Settings, tuple[str, ...], tuple[bytes, ...], "Backend", "float | None"], Coded]
_DONE_BY: dict[str, Doing] = {
    "compress": _compress,
    "decompress": _decompress,
    "reconstruct": _reconstruct,
    "verify": _verify,
}


class _Named(BytesIO):
    """Bytes that a message can call by a name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def _sound(name: str, data: bytes, seconds: float | None) -> Waveform:
    sound = io.read(_Named(data, name))
    if seconds is None or sound.duration <= seconds:
        return sound
    return Waveform(sound.samples[:, : max(1, round(seconds * sound.sample_rate))], sound.sample_rate)


def _encoded(sound: Waveform, settings: Settings, values: Mapping[str, Any]) -> Coded:
    container, _ = WRITABLE[settings.suffix]
    data, held = encode(sound, container, subtype_of(settings.suffix, settings.options.get("bits")))
    return Coded(bytes(data), sound.duration, {**values, "held": held})


def _finite(measures: Mapping[str, float]) -> dict[str, float | None]:
    from math import isfinite

    return {name: value if isfinite(value) else None for name, value in measures.items()}


def _check_coding(options: Mapping[str, Any], engine: ModelOptions) -> None:
    import numpy as np

    from noisebook.codec.encoder import header_of
    from noisebook.codec.options import AUTO, EncodeOptions

    given = EncodeOptions().replaced(**{name: value for name, value in options.items() if name != "codec"})
    second = Waveform(np.zeros((2 if given.channels == "dual" else 1, 16000), np.float32), 16000)
    info = api.model_info(engine.model or api.EMBEDDED, offline=engine.offline)
    header_of(second, given.replaced(preset=None) if given.preset == AUTO else given, info)
