"""A model, and the files that pass through it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from typing import Any

from noisebook.api import EMBEDDED
from noisebook.batch.batching import Share, side_by_side
from noisebook.batch.planning import Batch, Task
from noisebook.batch.storage import OutOfSpace
from noisebook.batch.verbs import Processed, process
from noisebook.errors import AudioError, Error

__all__ = ["Outcome", "Worker"]


@dataclass(frozen=True)
class Outcome:
    """What became of a file."""

    task: Task  # which
    values: dict[str, Any]  # for its record: digests, sizes, seconds
    error: str | None = None  # why it failed; None: it did not
    fatal: bool = False  # the same would happen to every file that follows


class Worker:
    """Loads the model when it is made; Error if it cannot."""

    def __init__(self, batch: Batch) -> None:
        self._batch, self._settings = batch, batch.settings
        self._load = cache(self._settings.model.load)
        self._load(self._settings.model.model or EMBEDDED)

    def do(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Process files, through one denoiser where there are several, and write what comes out."""
        started = time.perf_counter()
        outcomes = side_by_side([partial(self._outcome, task) for task in tasks])
        seconds = {"seconds": round((time.perf_counter() - started) / max(1, len(tasks)), 4)}
        return [one if one.error else replace(one, values=one.values | seconds) for one in outcomes]

    def trial(self, task: Task, seconds: float) -> tuple[Processed, float]:
        """Do one file's first seconds and write nothing: what comes out, and how long it took."""
        files = self._read(task)
        backend = self._load(self._settings.model_for(*files[-1]))
        started = time.perf_counter()
        return process(self._settings, files, backend, seconds=seconds), time.perf_counter() - started

    def _read(self, task: Task) -> list[tuple[str, bytes]]:
        """Name and bytes of each of its files; of verify the stream is the second."""
        return [(storage.shown(name), storage.read(name)) for storage, name in self._batch.inputs(task)]

    def _outcome(self, task: Task, share: Share) -> Outcome:
        """One file's failure, even by a bug, must not end a night's work."""
        values: dict[str, Any] = {}
        try:
            state = self._batch.state(task)
            files = self._read(task)
            digest = "+".join(sha256(data).hexdigest() for _, data in files)
            backend = self._load(self._settings.model_for(*files[-1]))
            values |= {"source_bytes": len(files[0][1]), "source_state": state, "source_sha256": digest}
            processed = process(self._settings, files, share(backend))
            if self._batch.digest(task) != digest:
                raise AudioError("it changed while it was being read or coded; run again with --resume")
            kept = {}
            if processed.data is not None and task.target is not None:
                self._batch.results.write(task.target, processed.data)
                kept = {"bytes": len(processed.data), "target_sha256": sha256(processed.data).hexdigest()}
        except Exception as error:
            return _failure(task, values, error)
        return Outcome(task, {**values, **kept, "audio_seconds": round(processed.audio_seconds, 6), **processed.values})


def _failure(task: Task, known: dict[str, Any], error: Exception) -> Outcome:
    """Its reason in one line; for a bug the manifest also gets the traceback."""
    reason = " ".join(str(error).split())
    if isinstance(error, Error):
        return Outcome(task, known, reason, isinstance(error, OutOfSpace))
    if isinstance(error, MemoryError):
        reason = "no memory for it; cut it, or take fewer files at once (--batch, --workers)"
    else:
        reason = f"a bug: {type(error).__name__}: {reason}"
    return Outcome(task, {**known, "traceback": "".join(traceback.format_exception(error))}, reason)
