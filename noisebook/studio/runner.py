"""Jobs for many visitors at once: a few run, the others wait, and each can be cancelled."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from noisebook.diffusion.backend import Backend
from noisebook.errors import ConfigError, Error
from noisebook.studio import jobs
from noisebook.studio.files import Limits, ResultStore, read_sound, read_stream, safe_name
from noisebook.studio.jobs import Cancelled, Result, Tell
from noisebook.studio.rendering import render_result, store_sounds
from noisebook.studio.settings import Settings


class JobRunner:
    """One model, and everybody's jobs. All methods may be called from any thread; a session is one open page.

    Args:
        folder: for the files of results; exists.
        backend_for: the model of an uploaded stream; by default `backend`.
        jobs: that run at the same time; sounds are read and results written within them, so that memory is bounded.
        waiting: jobs that may wait for their turn; more are refused.
    """

    def __init__(
        self,
        backend: Backend,
        folder: Path,
        *,
        limits: Limits | None = None,
        jobs: int = 1,
        waiting: int = 32,
        backend_for: Callable[[bytes], Backend] | None = None,
    ) -> None:
        self.backend, self.limits, self.store = backend, limits or Limits(), ResultStore(folder)
        self.jobs, self.waiting = jobs, waiting
        self._backend_for = backend_for or (lambda data: backend)
        self._queue: list[object] = []  # the first `jobs` run
        self._changed = threading.Condition()  # notified when the queue changes or a job is cancelled
        self._ends: dict[str, threading.Event] = {}  # session -> whether its job is cancelled
        self._uploads: dict[str, set[Path]] = {}
        self._closed: deque[str] = deque(maxlen=1000)  # sessions, the last ones

    def begin(self, session: str) -> None:
        """A job of this session will come; from now on it can be cancelled."""
        self._ends[session] = threading.Event()

    def cancel(self, session: str) -> None:
        """End the session's job: at its next step if it runs, at once if it waits."""
        if session in self._ends:
            self._ends[session].set()
            with self._changed:
                self._changed.notify_all()

    def keep_upload(self, session: str, path: Path) -> None:
        """Remember a file that the session sent, so that it goes when the page is closed; or now, if it is already."""
        self._uploads.setdefault(session, set()).add(path)
        if session in self._closed:
            self.close(session)

    def close(self, session: str) -> None:
        """The page is closed: its job ends, its results and uploads go."""
        self._closed.append(session)
        self.cancel(session)
        self.store.clear(session)
        own = self._uploads.pop(session, set())
        for path in own.difference(*self._uploads.values()):  # the same file sent by two visitors is stored once
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()

    def end(self) -> None:
        """Cancel every job."""
        for session in list(self._ends):
            self.cancel(session)

    @cache  # noqa: B019  there is one runner, and it lasts as long as the command
    def ready(self, clip: str) -> str:
        """One of `jobs.CLIPS` with what the package has ready of it, as HTML."""
        result = jobs.ready_made(clip)
        return render_result(result, store_sounds(result, self.store, None))

    def make(self, session: str, settings: Settings, upload: Path | None, *, tell: Tell | None = None) -> Iterator[str]:
        """Run a job and give its result as HTML: first to be heard, then with numbers. An `Error` is a sentence for the
        visitor; Cancelled if the visitor cancels it."""

        def job(tell: Tell) -> Iterator[Result]:
            sound, name = None, safe_name(settings.prompt, "generated")
            if settings.method == "generate":
                self.limits.check_seconds(settings.seconds, "the sound would be")
            elif upload is not None:
                sound, name = read_sound(upload, self.limits), settings.clip or safe_name(upload.stem)
            return jobs.run(settings, sound, backend=self.backend, name=name, tell=tell)

        return self._in_turn(session, job, tell)

    def open(self, session: str, upload: Path, *, tell: Tell | None = None) -> Iterator[str]:
        """Decode an uploaded stream and give it as HTML, as `make` does."""

        def job(tell: Tell) -> Iterator[Result]:
            data = read_stream(upload, self.limits)
            backend, name = self._backend_for(data), safe_name(upload.stem, "stream")
            yield jobs.open_stream(data, backend=backend, name=name, tell=tell)

        return self._in_turn(session, job, tell)

    def _in_turn(self, session: str, job: Callable[[Tell], Iterator[Result]], tell: Tell | None) -> Iterator[str]:
        end = self._ends.setdefault(session, threading.Event())

        def tell_or_end(what: str, share: float) -> None:
            if end.is_set():
                raise Cancelled("cancelled")
            if tell is not None:
                tell(what, share)

        try:
            with self._turn(tell_or_end):
                tell_or_end("reading", 0)
                results = job(tell_or_end)
                result = next(results)
                token = store_sounds(result, self.store, session)
                yield render_result(result, token, note="The numbers, if any, follow in a moment.")
                note = None
                try:
                    result = next(results, result)
                except Cancelled:
                    note = "Cancelled: no numbers."
                except Error as error:  # what can be heard stays
                    note = f"No numbers: {error}"
                yield render_result(result, token, note=note)
        finally:
            if self._ends.get(session) is end:
                del self._ends[session]

    @contextmanager
    def _turn(self, tell: Tell) -> Iterator[None]:
        """Wait until fewer than `jobs` others run; first come, first served."""
        ticket = object()
        with self._changed:
            if len(self._queue) >= self.jobs + self.waiting:
                raise ConfigError(f"{self.waiting} jobs are waiting already: try again in a while")
            self._queue.append(ticket)
        try:
            with self._changed:
                while (before := self._queue.index(ticket) - self.jobs + 1) > 0:
                    tell(f"waiting for {before} other{'s' if before > 1 else ''}", 0)
                    self._changed.wait()
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()
