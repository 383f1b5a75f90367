"""A model, and the files that pass through it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from noisebook.api import EMBEDDED
from noisebook.batch.batching import each_with
from noisebook.batch.storage import OutOfSpace, Storage
from noisebook.batch.verbs import Processed, Settings, process
from noisebook.errors import AudioError, Error

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["MAX_BYTES", "Outcome", "Task", "Work", "Worker"]

MAX_BYTES = 2**31  # of a source, which is held in memory: 3 hours of 16-bit stereo at 48 kHz
T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """One file.

    Attributes:
        source: its name in the storage of sources.
        target: the name of its result in the storage of results; None where nothing is written.
        other: verify: the name of what is compared with it, in the storage of results.
    """

    source: str
    target: str | None
    other: str | None = None


@dataclass(frozen=True)
class Work:
    """What a worker needs to begin; plain values, for it may begin in another process or on another machine.

    Attributes:
        settings: what is done to each file.
        source, target: URLs of sources and of results.
    """

    settings: Settings
    source: str
    target: str

    def storages(self) -> tuple[Storage, Storage]:
        """Of sources and of results."""
        return Storage(self.source), Storage(self.target)

    def inputs(self, task: Task) -> list[tuple[Storage, str]]:
        """The files that a task reads, the source first."""
        source, target = self.storages()
        return [(source, task.source), *([] if task.other is None else [(target, task.other)])]

    def state(self, task: Task) -> str:
        """A short text that changes when a task's files do."""
        return "+".join(storage.state(name) for storage, name in self.inputs(task))

    def digest(self, task: Task) -> str:
        """SHA-256 of a task's files."""
        return "+".join(sha256(storage.read(name)).hexdigest() for storage, name in self.inputs(task))

    def with_model(self, **changes: Any) -> Work:
        """The same with other options of the model."""
        return replace(self, settings=replace(self.settings, model=replace(self.settings.model, **changes)))


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        task: which.
        values: for its record: digests, sizes, seconds.
        error: why it failed; None: it did not.
        fatal: the same would befall every file that follows.
    """

    task: Task
    values: dict[str, Any]
    error: str | None = None
    fatal: bool = False


@dataclass(frozen=True)
class _Read:
    """A task's files as they were read, the source first: name and bytes of each."""

    task: Task
    files: list[tuple[str, bytes]]
    model: str
    values: dict[str, Any]  # for the record


class Worker:
    """Loads the model when it is made.

    Raises:
        Error: the model cannot be loaded.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._load = cache(work.settings.model.load)
        self._load(work.settings.model.model or EMBEDDED)

    def do(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Process files, through one denoiser where there are several, and write what comes out."""
        started = time.perf_counter()
        read = [_caught(partial(self._read, task)) for task in tasks]
        processed = self._processed([one for one in read if isinstance(one, _Read)])
        seconds = (time.perf_counter() - started) / len(tasks)
        outcomes = []
        for task, one in zip(tasks, read, strict=True):
            if not isinstance(one, _Read):
                outcomes.append(_failure(task, {}, one))
                continue
            made = processed[task]
            kept = _caught(partial(self._keep, one, made)) if isinstance(made, Processed) else made
            if isinstance(kept, Exception):
                outcomes.append(_failure(task, one.values, kept))
            else:
                outcomes.append(Outcome(task, {**one.values, **kept, "seconds": round(seconds, 4)}))
        return outcomes

    def trial(self, task: Task, seconds: float) -> tuple[Processed, float]:
        """Do one file's first seconds and write nothing: what comes out, and how long it took.

        Raises:
            Error: as the verb.
        """
        read = self._read(task)
        started = time.perf_counter()
        processed = process(self._work.settings, read.files, self._load(read.model), seconds=seconds)
        return processed, time.perf_counter() - started

    def _read(self, task: Task) -> _Read:
        state = self._work.state(task)
        files = [(storage.shown(name), storage.read(name)) for storage, name in self._work.inputs(task)]
        model = self._work.settings.model_for(*files[-1])  # of verify the stream is the second
        digest = "+".join(sha256(data).hexdigest() for _, data in files)
        values = {"source_bytes": len(files[0][1]), "source_state": state, "source_sha256": digest}
        return _Read(task, files, model, values)

    def _processed(self, read: Sequence[_Read]) -> dict[Task, Processed | Exception]:
        """What became of each; those of one model go through one denoiser."""

        def doing(one: _Read) -> Callable[[Backend], Processed]:
            return lambda backend: process(self._work.settings, one.files, backend)

        processed: dict[Task, Processed | Exception] = {}
        for model in dict.fromkeys(one.model for one in read):
            alike = [one for one in read if one.model == model]
            backend = _caught(partial(self._load, model))
            if isinstance(backend, Exception):
                processed |= {one.task: backend for one in alike}
                continue
            made = each_with(backend, [doing(one) for one in alike])
            processed |= {one.task: result for one, result in zip(alike, made, strict=True)}
        return processed

    def _keep(self, read: _Read, processed: Processed) -> dict[str, Any]:
        """Write the result, if the source still is what was read."""
        if self._work.digest(read.task) != read.values["source_sha256"]:
            raise AudioError("it changed while it was being read or coded; run again with --resume")
        kept = {"audio_seconds": round(processed.audio_seconds, 6), **processed.values}
        if processed.data is None or read.task.target is None:
            return kept
        self._work.storages()[1].write(read.task.target, processed.data)
        return {"bytes": len(processed.data), "target_sha256": sha256(processed.data).hexdigest(), **kept}


def _caught(do: Callable[[], T]) -> T | Exception:
    """What it returns, or the exception it raises: one file's failure, a bug too, must not end a night's work."""
    try:
        return do()
    except Exception as error:
        return error


def _failure(task: Task, known: dict[str, Any], error: Exception) -> Outcome:
    """Its reason in one line; of a bug also where it is, for the manifest."""
    reason = " ".join(str(error).split())
    if isinstance(error, Error):
        return Outcome(task, known, reason, isinstance(error, OutOfSpace))
    if isinstance(error, MemoryError):
        reason = "no memory for it; cut it, or take fewer files at once (--batch, --workers)"
    else:
        reason = f"a bug: {type(error).__name__}: {reason}"
    return Outcome(task, {**known, "traceback": "".join(traceback.format_exception(error))}, reason)
