"""What the verbs do with the bytes of a file. Between processes only plain values travel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from math import isfinite
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from noisebook import api
from noisebook._version import __version__
from noisebook.api import EncodeOptions, ModelOptions
from noisebook.audio import io
from noisebook.audio.formats import WRITABLE, encode, subtype_of
from noisebook.audio.waveform import Waveform
from noisebook.codec.options import AUTO
from noisebook.diffusion.backend import Backend, BackendInfo

STREAM_SUFFIX = ".ddcm"
_LIMITS = ("max_seconds", "max_work")  # options that decide whether there is a result, and not what it is


def suffix_of(name: str) -> str:
    """In small letters, with its dot; "" where there is none."""
    return PurePosixPath(name).suffix.lower()


@dataclass(frozen=True)
class Settings:
    """What is done to every file."""

    verb: str  # compress, decompress, reconstruct or verify
    # keyword arguments of the function of the facade, as JSON can hold them
    options: Mapping[str, Any] = field(default_factory=dict)
    # where none is named, of a stream the one that made it, else the one inside the package
    model: ModelOptions = ModelOptions()
    suffix: str = ".wav"  # of sounds that are written, a key of `WRITABLE`; decides the format

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
        return self.model.model_of(data) if suffix_of(name) == STREAM_SUFFIX else self.model.model or api.EMBEDDED

    def key(self) -> str:
        """A digest of everything except the source that decides what a result is; ModelError or ConfigError if there is
        no such model or codebook."""
        codebook = self.options.get("codebook")
        parts = {
            "noisebook": __version__,
            **self.record(),
            "options": {name: value for name, value in self.options.items() if name not in _LIMITS},
            "fingerprint": self._model_info().fingerprint.hex(),
            "codebook": None if codebook is None else api.load_codebook(codebook).fingerprint.hex(),
        }
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def record(self) -> dict[str, Any]:
        """The same, spelled out for a manifest."""
        return {
            "verb": self.verb, "options": dict(self.options), "model": self.model.model, "dtype": self.model.dtype,
            "suffix": self.target_suffix,
        }  # fmt: skip

    def check(self) -> None:
        """Refuse options that no file could be coded with, before any work: AudioError for bits that the format does
        not have, ConfigError and ModelError as of the verb."""
        subtype_of(self.suffix, self.options.get("bits"))
        if self.verb == "reconstruct":
            chosen = {name: value for name, value in self.options.items() if name != "bits"}
            api.reconstruction_preset(**chosen)
        elif self.verb == "compress" and "codebook" not in self.options:
            from noisebook.codec.encoder import header_of

            given = EncodeOptions().replaced(**self.options)
            second = Waveform(np.zeros((2 if given.channels == "dual" else 1, 16000), np.float32), 16000)
            header_of(second, given.replaced(preset=None) if given.preset == AUTO else given, self._model_info())

    def _model_info(self) -> BackendInfo:
        return api.model_info(self.model.model or api.EMBEDDED, offline=self.model.offline)


@dataclass(frozen=True)
class Processed:
    """What a verb made of a file."""

    data: bytes | None  # the bytes of the target; None for a verb that writes none
    audio_seconds: float  # of sound that went through
    values: Mapping[str, Any] = field(default_factory=dict)  # what else the manifest says


def process(
    settings: Settings, files: Sequence[tuple[str, bytes]], backend: Backend, *, seconds: float | None = None
) -> Processed:
    """Do the verb to the name and bytes of a source, for verify also of its counterpart; for a trial only to the first
    seconds. Errors as of its function in the facade."""
    options = dict(settings.options)
    subtype = subtype_of(settings.suffix, options.pop("bits", None))

    def encoded(sound: Waveform, values: Mapping[str, Any]) -> Processed:
        data, held = encode(sound, WRITABLE[settings.suffix][0], subtype)
        return Processed(bytes(data), sound.duration, {**values, "held": held})

    if settings.verb == "decompress":
        return encoded(api.decompress(files[0][1], backend=backend, end=seconds, peak_guard=False, **options), {})
    sound = _sound(*files[0], seconds)
    if settings.verb == "compress":
        compress = api.compress_with_codebook if "codebook" in options else api.compress
        return Processed(compress(sound, backend=backend, **options), sound.duration)
    if settings.verb == "reconstruct":
        result = api.reconstruct(sound, backend=backend, **options)
        measures = {name: value if isfinite(value) else None for name, value in result.measures.items()}
        return encoded(result.waveform, {"measures": measures})
    name, data = files[1]
    other: bytes | Waveform = data
    if suffix_of(name) != STREAM_SUFFIX:
        other = _sound(name, data, seconds)
    elif seconds is not None:
        other = api.decompress(data, backend=backend, end=seconds)
    found = api.verify(sound, other, backend=backend, **options).to_dict()
    metrics = {row["name"]: row["value"] for row in found["metrics"]}
    return Processed(None, sound.duration, {"metrics": metrics, "verdict": found["verdict"], "verification": found})


def _sound(name: str, data: bytes, seconds: float | None) -> Waveform:
    file = BytesIO(data)
    file.name = name  # for messages
    sound = io.read(file)
    if seconds is None or sound.duration <= seconds:
        return sound
    return Waveform(sound.samples[:, : max(1, round(seconds * sound.sample_rate))], sound.sample_rate)
