"""A model, and the files that pass through it, also several through one call of its denoiser.

Of several, each sound is a job in a thread of its own, with the codec as it is. One job runs at a time; one that asks
the denoiser waits until all others ask too or are done. Then the last one answers all: what has the same timestep, tag
and number of frames goes through the network as one batch. Sounds of one length share every call; so do all that are
longer than the denoiser's window, which sees them in windows of one length.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar, cast

from noisebook.api import EMBEDDED
from noisebook.batch.planning import Batch, Task
from noisebook.batch.storage import OutOfSpace
from noisebook.batch.verbs import Processed, process
from noisebook.diffusion.backend import Backend, Condition
from noisebook.errors import AudioError, Error

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
Share = Callable[["Backend"], "Backend"]  # a backend -> one whose denoiser is shared with other jobs


@dataclass(frozen=True)
class Outcome:
    """What became of a file."""

    task: Task
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


def side_by_side(jobs: Sequence[Callable[[Share], T]]) -> list[T]:
    """What the jobs return; the first exception of one ends all. One job alone gets the backend itself."""
    if len(jobs) < 2:
        return [job(lambda backend: backend) for job in jobs]
    turns = _Turns(len(jobs))
    with ThreadPoolExecutor(len(jobs), "batching") as threads:
        results = [threads.submit(turns.run, job) for job in jobs]
        try:
            return [result.result() for result in results]
        except BaseException:
            turns.cancelled = True  # they end at their next call of the denoiser
            raise


@dataclass(eq=False)
class _Call:
    """A call of the denoiser `x [B, C, T', F']` that waits for its answer."""

    backend: Backend
    x: torch.Tensor
    t: int
    tag: int
    condition: Condition | None
    answer: Future[torch.Tensor] = field(default_factory=Future)


class _Turns:
    """Which of the jobs runs, and the calls of those that wait."""

    def __init__(self, jobs: int) -> None:
        self._turn = threading.Lock()  # held by the job that runs
        self._running = jobs  # not waiting, whether or not they have begun
        self._waiting: list[_Call] = []
        self.cancelled = False

    def run(self, job: Callable[[Share], T]) -> T:
        with self._turn:
            try:
                return job(lambda backend: cast("Backend", _Shared(backend, self)))
            finally:
                self._pause()

    def ask(self, call: _Call) -> torch.Tensor:
        self._waiting.append(call)
        self._pause()
        self._turn.release()
        try:
            return call.answer.result()
        finally:
            self._turn.acquire()

    def _pause(self) -> None:
        """One fewer runs; the last one answers all that wait."""
        self._running -= 1
        if self._running or not self._waiting:
            return
        calls, self._waiting = self._waiting, []
        self._running += len(calls)
        alike: dict[tuple[object, ...], list[_Call]] = defaultdict(list)
        for call in calls:
            key = id(call.backend), call.t, call.tag, id(call.condition), tuple(call.x.shape[1:])
            alike[key].append(call)
        for group in alike.values():
            self._answer(group)

    def _answer(self, calls: list[_Call]) -> None:
        import torch

        first = calls[0]
        try:
            if self.cancelled:
                raise Error("interrupted")
            x = first.x if len(calls) == 1 else torch.cat([call.x for call in calls])
            answers = first.backend.denoise(x, first.t, tag=first.tag, condition=first.condition)
            for call, answer in zip(calls, answers.split([len(call.x) for call in calls]), strict=True):
                call.answer.set_result(answer)
        except Exception as error:
            for call in calls:
                call.answer.set_exception(error)


class _Shared:
    """A backend, but its denoiser is asked together with other jobs."""

    def __init__(self, backend: Backend, turns: _Turns) -> None:
        self._backend, self._turns = backend, turns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        return self._turns.ask(_Call(self._backend, x, t, tag, condition))
