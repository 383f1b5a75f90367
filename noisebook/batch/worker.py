"""A model, and the files that pass through it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from noisebook.api import EMBEDDED
from noisebook.batch.places import OutOfSpace, Place
from noisebook.batch.together import each_with
from noisebook.batch.verbs import Coded, Settings, code
from noisebook.errors import AudioError, Error

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["MAX_BYTES", "Outcome", "Task", "Work", "Worker", "inputs_of"]

MAX_BYTES = 2**31  # of a source, which is held in memory: 3 hours of 16-bit stereo at 48 kHz


@dataclass(frozen=True)
class Task:
    """One file.

    Attributes:
        source: its name in the place of sources.
        target: the name of its result in the place of results; None where nothing is written.
        other: verify: the name of what is compared with it, in the place of results.
    """

    source: str
    target: str | None
    other: str | None = None


@dataclass(frozen=True)
class Work:
    """What a worker needs to begin; plain values, for it may begin in another process or on another machine."""

    settings: Settings
    source: str
    target: str

    def places(self) -> tuple[Place, Place]:
        """Of sources and of results."""
        return Place(self.source), Place(self.target)


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
    """A task's files as they were read, the source first."""

    task: Task
    names: tuple[str, ...]
    contents: tuple[bytes, ...]
    state: str
    digest: str
    model: str

    @property
    def values(self) -> dict[str, Any]:
        return {"source_bytes": len(self.contents[0]), "source_state": self.state, "source_sha256": self.digest}


class Worker:
    """Loads the model when it is made.

    Raises:
        Error: the model cannot be loaded.
    """

    def __init__(self, work: Work) -> None:
        self._settings = work.settings
        self._source, self._target = work.places()
        self._load = cache(work.settings.engine.load)
        self._load(work.settings.engine.model or EMBEDDED)

    def do(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Code files, through one denoiser where there are several, and write what comes out."""
        started = time.perf_counter()
        read = [_caught(partial(self._read, task)) for task in tasks]
        coded = self._coded([one for one in read if isinstance(one, _Read)])
        made = [coded[one.task] if isinstance(one, _Read) else one for one in read]
        seconds = (time.perf_counter() - started) / len(tasks)
        return [self._outcome(*each, seconds) for each in zip(tasks, read, made, strict=True)]

    def trial(self, task: Task, seconds: float) -> tuple[Coded, float]:
        """Do one file's first seconds and write nothing: what comes out, and how long it took.

        Raises:
            Error: as the verb.
        """
        read = self._read(task)
        started = time.perf_counter()
        backend = self._load(read.model)
        coded = code(self._settings, read.names, read.contents, backend, seconds=seconds)
        return coded, time.perf_counter() - started

    def _read(self, task: Task) -> _Read:
        inputs = inputs_of(task, self._source, self._target)
        state = "+".join(place.state(name) for place, name in inputs)
        contents = tuple(place.read(name) for place, name in inputs)
        names = tuple(place.shown(name) for place, name in inputs)
        model = self._settings.model_for(names[-1], contents[-1])  # of verify the stream is the second
        return _Read(task, names, contents, state, "+".join(sha256(data).hexdigest() for data in contents), model)

    def _coded(self, read: Sequence[_Read]) -> dict[Task, Coded | Exception]:
        """What became of each; those of one model go through one denoiser."""
        coded: dict[Task, Coded | Exception] = {}
        for model in dict.fromkeys(one.model for one in read):
            alike = [one for one in read if one.model == model]
            backend = _caught(partial(self._load, model))
            if isinstance(backend, Exception):
                coded |= {one.task: backend for one in alike}
                continue
            made = each_with(backend, [partial(self._code, one) for one in alike])
            coded |= {one.task: result for one, result in zip(alike, made, strict=True)}
        return coded

    def _code(self, read: _Read, backend: Backend) -> Coded:
        return code(self._settings, read.names, read.contents, backend)

    def _outcome(self, task: Task, read: _Read | Exception, made: Coded | Exception, seconds: float) -> Outcome:
        if not isinstance(read, _Read):
            return _failed(task, {}, read)
        kept = _caught(partial(self._keep, read, made)) if isinstance(made, Coded) else made
        if isinstance(kept, Exception):
            return _failed(task, read.values, kept)
        return Outcome(task, {**read.values, **kept, "seconds": round(seconds, 4)})

    def _keep(self, read: _Read, coded: Coded) -> dict[str, Any]:
        """Write the result, if the source still is what was read."""
        inputs = inputs_of(read.task, self._source, self._target)
        if "+".join(place.digest(name) for place, name in inputs) != read.digest:
            raise AudioError("it changed while it was being read or coded; run again with --resume")
        kept = {"audio_seconds": round(coded.audio_seconds, 6), **coded.values}
        if coded.data is None or read.task.target is None:
            return kept
        self._target.write(read.task.target, coded.data)
        return {"bytes": len(coded.data), "target_sha256": sha256(coded.data).hexdigest(), **kept}


def inputs_of(task: Task, source: Place, target: Place) -> list[tuple[Place, str]]:
    """The files that a task reads, the source first."""
    return [(source, task.source), *([] if task.other is None else [(target, task.other)])]


def _caught(do: Callable[[], Any]) -> Any:
    """What it returns, or the exception it raises: one file's failure, a bug too, must not end a night's work."""
    try:
        return do()
    except Exception as error:
        return error


def _failed(task: Task, known: dict[str, Any], error: Exception) -> Outcome:
    return Outcome(task, {**known, **_trace(error)}, _told(error), isinstance(error, OutOfSpace))


def _told(error: Exception) -> str:
    """In one line, as a message tells it."""
    if isinstance(error, Error):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "no memory for it; cut it, or take fewer files at once (--batch, --workers)"
    return f"a bug: {type(error).__name__}: {' '.join(str(error).split())}"


def _trace(error: Exception) -> dict[str, str]:
    """Where a bug is, for the manifest."""
    return {} if isinstance(error, Error) else {"traceback": "".join(traceback.format_exception(error))}
