"""From what is asked for to rows of results: a loop over inputs and methods.

Everything is checked before the work that can be; what has been done is kept, what is missing is done, failures are
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook._version import __version__
from noisebook.audio.waveform import downmix
from noisebook.comparison import judging
from noisebook.comparison.delays import delay_of
from noisebook.comparison.inputs import Input, load
from noisebook.comparison.methods import Job, Method, choose
from noisebook.comparison.store import Store, key_of
from noisebook.errors import ConfigError, Error
from noisebook.options import OnStep

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["DEFAULT_METHODS", "ORIGINAL", "OnStep", "Run", "model_identity", "planned"]

DEFAULT_METHODS = ("ceiling", "ddcm", "codec", "control")
ORIGINAL = "original"  # in the place of a method, where sounds are kept


def planned(
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
) -> Run:
    """A run of the methods that can run here; those that cannot are in its `skipped`.

    Args:
        sources: files and folders.
        out: folder of the results.
        catalogue: all methods.
        methods: ids, patterns of ids, series, families or `all`.
        metrics: names, or `all`; the usual ones if None.
        limit_seconds: of the beginning of each input.
        mono: give every method the mean of two channels.
        load_backend, verdicts, dtype, timeout, force: of `Run`.

    Raises:
        AudioError: an input that cannot be read.
        ConfigError: an unknown method or metric, no method that can run, or a folder that holds something else.
        MissingExtra: a metric that is asked for and not installed.
    """
    chosen = choose(catalogue, methods)
    judging.metric_names(metrics)  # the errors, before anything is read
    inputs = load(sources, limit_seconds=limit_seconds, beside=out, mono=mono)
    names = judging.metric_names(metrics, stereo=any(one.sound.channels == 2 for one in inputs))
    if len(inputs) == 1:
        chosen = tuple(replace(m, missing="needs two inputs or more") if m.needs_other else m for m in chosen)
    skipped = [method for method in chosen if method.missing]
    able = [method for method in chosen if not method.missing]
    if not able:
        reasons = "; ".join(f"{method.id}: {method.missing}" for method in skipped)
        raise ConfigError(f"none of the methods can run here: {reasons}")
    return Run(
        Store(out), inputs, able, names, load_backend, skipped=skipped, verdicts=verdicts, dtype=dtype,
        timeout=timeout, force=force,
    )  # fmt: skip


@dataclass(eq=False)
class Run:
    """One comparison.

    Attributes:
        store: where results are kept.
        inputs: what is compared.
        methods: what they go through; all of them can run.
        metrics: names.
        skipped: methods that were asked for and cannot run here.
        verdicts: whether each result is also judged as related or not.
        load_backend: the model, asked for once and only where a method needs one.
        dtype: of the model's networks, which with its device decides what it gives.
        timeout: seconds for an external program.
        force: do again what is done.
    """

    store: Store
    inputs: Sequence[Input]
    methods: Sequence[Method]
    metrics: Sequence[str]
    load_backend: Callable[[], Backend]
    skipped: Sequence[Method] = ()
    verdicts: bool = True
    dtype: str = "float32"
    timeout: float = 600.0
    force: bool = False

    def rows(self, on_step: OnStep | None = None) -> list[dict[str, Any]]:
        """A row of the results for every input and method; `on_step` is told (rows done, rows in all)."""
        rows: list[dict[str, Any]] = []
        for index in range(len(self.inputs)):
            for row in self.rows_of(index):
                rows.append(row)
                if on_step is not None:
                    on_step(len(rows), len(self.inputs) * len(self.methods))
        return rows

    def rows_of(self, index: int) -> Iterator[dict[str, Any]]:
        """Those of one input, which other processes may leave to this one."""
        source = self.inputs[index]
        self.store.write_sound(source.sound, source.id, ORIGINAL)
        other = self.inputs[(index + 1) % len(self.inputs)] if len(self.inputs) > 1 else None
        for method in self.methods:
            yield self._row(source, other, method)

    @cached_property
    def backend(self) -> Backend:
        """The model."""
        return self.load_backend()

    @cached_property
    def model(self) -> str:
        """What identifies the model, its vocoder too, and how it is run."""
        return f"{model_identity(self.backend)}, {self.backend.device}, {self.dtype}"

    def _row(self, source: Input, other: Input | None, method: Method) -> dict[str, Any]:
        place = {"input": source.id, "method": method.id, "file": None}
        try:
            record = self._measured(source, other, method)
        except Error as error:
            self.store.forget(source.id, method.id)
            nothing: dict[str, Any] = dict.fromkeys(_MEASURED) | {"residuals_db": []}
            return place | nothing | {"metrics": {}, "verdict": None, "error": " ".join(str(error).split())}
        place["file"] = self.store.sound_name(source.id, method.id)
        judged = {
            "metrics": {name: record["metrics"][name] for name in self.metrics},
            "verdict": record["verdict"] if self.verdicts else None,
        }
        return place | {name: record[name] for name in _MEASURED} | judged | {"error": None}

    def _measured(self, source: Input, other: Input | None, method: Method) -> dict[str, Any]:
        """The record of an input and a method: the stored one, with what it lacks, or a new one."""
        key = self._key(source, other, method)
        record = None if self.force else self.store.record(key, source.id, method.id)
        lacking = record is None
        if record is None:
            record = {"key": key, **self._coded(source, other, method)}
        missing = [name for name in self.metrics if name not in record["metrics"]]
        if missing or (self.verdicts and record["verdict"] is None):
            self._judge(record, source, method.id, missing)
            lacking = True
        if lacking:
            self.store.save(record, source.id, method.id)
        return record

    def _judge(self, record: dict[str, Any], source: Input, method: str, names: Sequence[str]) -> None:
        """Judge what lies in the files, as anyone can who has them."""
        reference = self.store.read_sound(source.id, ORIGINAL)
        sound = self.store.read_sound(source.id, method)
        start, end = record["part"]
        estimate = judging.Placed(sound, start, end, record["lag_samples"], record["gain_db"])
        speech = source.kind in (None, "speech")
        record["metrics"] |= judging.score(reference, estimate, names, speech=speech)
        if self.verdicts and record["verdict"] is None:
            record["verdict"] = judging.verdict(reference, estimate)

    def _coded(self, source: Input, other: Input | None, method: Method) -> dict[str, Any]:
        """Run a method and write what came out."""
        lag = delay_of(method, timeout=self.timeout)
        coded = method.run(self._job(source, other, method))
        place = judging.placed(source.sound, coded.sound, lag=lag)
        held = self.store.write_sound(place.sound, source.id, method.id)
        stream = None
        if coded.data is not None:
            stream = self.store.write_file(coded.data, source.id, f"{method.id}{method.suffix}")
        size = None if coded.data is None else len(coded.data)
        return {
            "bytes": size,
            "bit_per_second": None if size is None else round(8 * size / source.sound.duration, 2),
            "encode_seconds": _rounded(coded.encode_seconds),
            "decode_seconds": _rounded(coded.decode_seconds),
            "lag_samples": place.lag,
            "gain_db": place.gain_db,
            "part": [place.start, place.end],
            "held": held,
            "stream": stream,
            "residuals_db": [round(value, 4) for value in coded.residuals],
            "metrics": {},
            "verdict": None,
        }

    def _job(self, source: Input, other: Input | None, method: Method) -> Job:
        backend = self.backend if method.needs_model else None
        sound, beside = source.sound, other.sound if other and method.needs_other else None
        if method.mono:
            sound, beside = downmix(sound), downmix(beside) if beside else None
        return Job(sound, beside, backend, self.timeout)

    def _key(self, source: Input, other: Input | None, method: Method) -> str:
        return key_of(
            noisebook=__version__,
            input=source.digest,
            other=other.digest if other and method.needs_other else None,
            method=[method.id, method.command, method.version],
            model=self.model if method.needs_model else None,
        )


def model_identity(backend: Backend) -> str:
    """The model's fingerprint, and what its decoder makes of a fixed latent: the fingerprint leaves the vocoder out."""
    import torch

    info = backend.info
    ramp = torch.linspace(-2, 2, info.frame_multiple * 4 * info.frame_values, device=backend.device)
    latent = ramp.reshape(1, info.latent_channels, -1, info.latent_bins)
    sound = np.rint(backend.to_waveform(latent).float().cpu().numpy() * 100).astype(np.int16)
    return f"{info.fingerprint.hex()[:16]}-{sha256(sound.tobytes()).hexdigest()[:8]}"


# What a record says and a row repeats.
_MEASURED = (
    "bytes", "bit_per_second", "encode_seconds", "decode_seconds", "lag_samples", "gain_db", "part", "held",
    "stream", "residuals_db",
)  # fmt: skip


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
