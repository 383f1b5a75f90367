"""From what is asked for to rows of results: a loop over inputs and methods.

All that can be checked is checked before the work. What has been done is kept, what is missing is done, and a failure
is a row. Results appear in the folder of the comparison whole or not at all, and are known by a key:

    sounds/INPUT/original.flac, METHOD.flac      what is compared, 24 bits
    files/INPUT/METHOD.SUFFIX                    the coded files whose bytes are counted
    work/INPUT/METHOD.json                       what was measured
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook._version import __version__
from noisebook.audio import io
from noisebook.audio.waveform import Waveform, downmix
from noisebook.comparison import judging
from noisebook.comparison.inputs import Input, load
from noisebook.comparison.methods import Job, Method, choose
from noisebook.errors import ConfigError, Error
from noisebook.options import OnStep

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

DEFAULT_METHODS = ("ceiling", "ddcm", "codec", "control")
ORIGINAL = "original"  # in the place of a method, where sounds are kept
_MEASURED = (  # what a record says and a row repeats
    "bytes", "bit_per_second", "encode_seconds", "decode_seconds", "lag_samples", "gain_db", "part", "held",
    "stream", "residuals_db",
)  # fmt: skip


class Run:
    """One comparison: what goes through which methods; methods that cannot run here are in `skipped`.

    Args:
        sources: files and folders.
        out: folder of the results.
        catalogue: all methods.
        load_backend: the model, asked for once and only where a method needs one.
        methods, metrics: as `methods.choose` and `judging.metric_names` take them.
        limit_seconds: of the beginning of each input.
        mono: give every method the mean of two channels.
        verdicts: judge each result also as related or not.
        dtype: of the model's networks, which with its device decides what it gives.
        timeout: seconds for an external program.
        force: do again what is done.

    Errors as of those and of `inputs.load` and `Store`; ConfigError where no method can run.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        out: Path,
        *,
        catalogue: Sequence[Method],
        load_backend: Callable[[], Backend],
        methods: Sequence[str] = DEFAULT_METHODS,
        metrics: Sequence[str] | None = None,
        limit_seconds: float = 30.0,
        mono: bool = False,
        verdicts: bool = True,
        dtype: str = "float32",
        timeout: float = 600.0,
        force: bool = False,
    ) -> None:
        chosen = choose(catalogue, methods)
        judging.metric_names(metrics)  # the errors, before anything is read
        self.inputs = load(sources, limit_seconds=limit_seconds, beside=out, mono=mono)
        self.metrics = judging.metric_names(metrics, stereo=any(one.sound.channels == 2 for one in self.inputs))
        if len(self.inputs) == 1:
            chosen = tuple(replace(m, missing="needs two inputs or more") if m.needs_other else m for m in chosen)
        self.skipped = [method for method in chosen if method.missing]
        self.methods = [method for method in chosen if not method.missing]
        if not self.methods:
            reasons = "; ".join(f"{method.id}: {method.missing}" for method in self.skipped)
            raise ConfigError(f"none of the methods can run here: {reasons}")
        self.store = Store(out)
        self._load_backend, self._dtype, self._timeout = load_backend, dtype, timeout
        self._verdicts, self._force = verdicts, force

    def rows(self, on_step: OnStep | None = None) -> list[dict[str, Any]]:
        """A row of the results for every input and method; `on_step` is called with (rows done, rows in all)."""
        rows: list[dict[str, Any]] = []
        for index in range(len(self.inputs)):
            for row in self.rows_of(index):
                rows.append(row)
                if on_step is not None:
                    on_step(len(rows), len(self.inputs) * len(self.methods))
        return rows

    def rows_of(self, index: int) -> Iterator[dict[str, Any]]:
        """Those of one input; several processes may share the inputs."""
        source = self.inputs[index]
        self.store.write_sound(source.sound, source.id, ORIGINAL)
        other = self.inputs[(index + 1) % len(self.inputs)] if len(self.inputs) > 1 else None
        for method in self.methods:
            yield self._row(source, other if method.needs_other else None, method)

    @cached_property
    def backend(self) -> Backend:
        return self._load_backend()

    @cached_property
    def model(self) -> str:
        """What identifies the model, its vocoder too, and how it is run."""
        return f"{model_identity(self.backend)}, {self.backend.device}, {self._dtype}"

    def _row(self, source: Input, other: Input | None, method: Method) -> dict[str, Any]:
        row: dict[str, Any] = {"input": source.id, "method": method.id, "file": None, **dict.fromkeys(_MEASURED)}
        row |= {"residuals_db": [], "metrics": {}, "verdict": None, "error": None}
        try:
            record = self._measured(source, other, method)
        except Error as error:
            self.store.forget(source.id, method.id)
            return row | {"error": " ".join(str(error).split())}
        row |= {name: record[name] for name in _MEASURED}
        row["file"] = self.store.sound_name(source.id, method.id)
        row["metrics"] = {name: record["metrics"][name] for name in self.metrics}
        return row | {"verdict": record["verdict"] if self._verdicts else None}

    def _measured(self, source: Input, other: Input | None, method: Method) -> dict[str, Any]:
        """The record of an input and a method: the stored one, with what it lacks, or a new one."""
        key = self._key(source, other, method)
        stored = None if self._force else self.store.record(key, source.id, method.id)
        record = stored or {"key": key, **self._coded(source, other, method)}
        missing = [name for name in self.metrics if name not in record["metrics"]]
        unjudged = self._verdicts and record["verdict"] is None
        if missing or unjudged:  # judge what is in the files, as anyone can who has them
            reference, sound = (self.store.read_sound(source.id, name) for name in (ORIGINAL, method.id))
            start, end = record["part"]
            estimate = judging.Placed(sound, start, end, record["lag_samples"], record["gain_db"])
            speech = source.kind in (None, "speech")
            record["metrics"] |= judging.score(reference, estimate, missing, speech=speech)
            record["verdict"] = judging.verdict(reference, estimate) if unjudged else record["verdict"]
        if missing or unjudged or stored is None:
            self.store.save(record, source.id, method.id)
        return record

    def _coded(self, source: Input, other: Input | None, method: Method) -> dict[str, Any]:
        """Run a method and write what it made."""
        lag = judging.delay_of(method, timeout=self._timeout)
        mixed = downmix if method.mono else lambda sound: sound
        job = Job(
            mixed(source.sound), mixed(other.sound) if other else None,
            self.backend if method.needs_model else None, self._timeout,
        )  # fmt: skip
        coded = method.run(job)
        place = judging.placed(source.sound, coded.sound, lag=lag)
        held = self.store.write_sound(place.sound, source.id, method.id)
        record: dict[str, Any] = {"bytes": None, "bit_per_second": None, "stream": None, "metrics": {}, "verdict": None}
        if coded.data is not None:
            record["stream"] = self.store.write(f"files/{source.id}/{method.id}{method.suffix}", coded.data)
            record["bytes"] = len(coded.data)
            record["bit_per_second"] = round(8 * len(coded.data) / source.sound.duration, 2)
        return record | {
            "encode_seconds": _rounded(coded.encode_seconds),
            "decode_seconds": _rounded(coded.decode_seconds),
            "lag_samples": place.lag,
            "gain_db": place.gain_db,
            "part": [place.start, place.end],
            "held": held,
            "residuals_db": [_rounded(value) for value in coded.residuals],
        }

    def _key(self, source: Input, other: Input | None, method: Method) -> str:
        """A digest of everything that decides what a result is."""
        parts = {
            "noisebook": __version__,
            "input": source.digest,
            "other": other.digest if other else None,
            "method": [method.id, method.command, method.version],
            "model": self.model if method.needs_model else None,
        }
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def model_identity(backend: Backend) -> str:
    """The model's fingerprint, and what its decoder makes of a fixed latent: the fingerprint leaves the vocoder out."""
    import torch

    info = backend.info
    ramp = torch.linspace(-2, 2, info.frame_multiple * 4 * info.frame_values, device=backend.device)
    latent = ramp.reshape(1, info.latent_channels, -1, info.latent_bins)
    sound = np.rint(backend.to_waveform(latent).float().cpu().numpy() * 100).astype(np.int16)
    return f"{info.fingerprint.hex()[:16]}-{sha256(sound.tobytes()).hexdigest()[:8]}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


class Store:
    """The folder of a comparison; made where it does not exist. ConfigError for one that holds something else."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file; name a folder with --out")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / "work").is_dir():
            raise ConfigError(f"{folder} holds something else than a comparison; name a new folder with --out")
        if not folder.absolute().parent.is_dir():
            raise ConfigError(f"there is no folder {folder.parent}; make it first")
        self.folder = folder
        (folder / "work").mkdir(parents=True, exist_ok=True)

    def record(self, key: str, source: str, method: str) -> dict[str, Any] | None:
        """What was measured under that key, if its sound is still as it was written."""
        try:
            record = json.loads((self.folder / _record_name(source, method)).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if not isinstance(record, dict) or record.get("key") != key:
            return None
        return record if self._digest(source, method) == record.get("sound_sha256") else None

    def save(self, record: dict[str, Any], source: str, method: str) -> None:
        """Write what was measured, with the digest of the sound that was written before."""
        whole = {**record, "sound_sha256": self._digest(source, method)}
        self.write(_record_name(source, method), json.dumps(whole, indent=1).encode())

    def forget(self, source: str, method: str) -> None:
        """Remove what is left of a method that failed."""
        for name in (_record_name(source, method), self.sound_name(source, method)):
            (self.folder / name).unlink(missing_ok=True)

    def sound_name(self, source: str, method: str) -> str:
        """The file of the sound of a method, or of the `original`, within the folder."""
        return f"sounds/{source}/{method}.flac"

    def write_sound(self, sound: Waveform, source: str, method: str) -> int:
        """Write a sound; returns how many samples were beyond full scale and are clipped."""
        path = self.folder / self.sound_name(source, method)
        path.parent.mkdir(parents=True, exist_ok=True)
        return io.write(path, sound, subtype="PCM_24", overwrite=True)

    def read_sound(self, source: str, method: str) -> Waveform:
        """The sound as it was written, which is what is judged."""
        return io.read(self.folder / self.sound_name(source, method))

    def write(self, name: str, data: bytes) -> str:
        """Write a file of the folder, whole or not at all; returns its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        io.write_bytes_atomic(path, data, overwrite=True)
        return name

    def _digest(self, source: str, method: str) -> str | None:
        sound = self.folder / self.sound_name(source, method)
        return sha256(sound.read_bytes()).hexdigest() if sound.is_file() else None


def _record_name(source: str, method: str) -> str:
    return f"work/{source}/{method}.json"
