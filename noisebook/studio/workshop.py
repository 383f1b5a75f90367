"""Jobs for many visitors at once: a few run, the others wait, and each can be cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.errors import ConfigError
from noisebook.studio import jobs
from noisebook.studio.jobs import Cancelled, Result, Tell
from noisebook.studio.rendering import exhibit
from noisebook.studio.settings import Settings
from noisebook.studio.shelf import Shelf
from noisebook.studio.uploads import Limits, read_sound, read_stream, safe_name

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["Workshop"]


class Workshop:
    """One model, and everybody's jobs. All methods may be called from any thread; a session is one open page.

    Args:
        backend: from `load_backend`.
        folder: for the files of results; exists.
        limits: on uploads.
        backend_for: the model of an uploaded stream; `backend` if None.
        jobs: that run at the same time; sounds are read and results written within them, so that memory is bounded.
    """

    def __init__(
        self,
        backend: Backend,
        folder: Path,
        *,
        limits: Limits | None = None,
        jobs: int = 1,
        backend_for: Callable[[bytes], Backend] | None = None,
    ) -> None:
        self.backend, self.limits, self.shelf = backend, limits or Limits(), Shelf(folder)
        self._backend_for = backend_for or (lambda data: backend)
        self._places = threading.Semaphore(jobs)
        self._ends: dict[str, threading.Event] = {}  # session -> whether its job is cancelled

    def begin(self, session: str) -> None:
        """A job of this session will come; from now on it can be cancelled, even while it waits."""
        self._ends[session] = threading.Event()

    def cancel(self, session: str) -> None:
        """End the session's job at its next step, or before its first."""
        if session in self._ends:
            self._ends[session].set()

    def close(self, session: str) -> None:
        """The page is closed: its job ends, its results go."""
        self.cancel(session)
        self.shelf.clear(session)

    def end(self) -> None:
        """Cancel every job."""
        for session in list(self._ends):
            self.cancel(session)

    def make(self, session: str, settings: Settings, upload: Path | None, *, tell: Tell | None = None) -> str:
        """Run a job and give its result as HTML.

        Raises:
            Error: a sentence for the visitor; `Cancelled` too.
        """

        def job(tell: Tell) -> Result:
            sound = None
            if settings.method == "generate":
                self.limits.check_seconds(settings.seconds, "the sound would be")
                name = safe_name(settings.prompt, "generated")
            elif upload is not None:
                sound, name = read_sound(upload, self.limits), settings.clip or safe_name(upload.stem)
            else:
                raise ConfigError("there is no sound: drop a file, record one, or choose a bundled clip")
            return jobs.run(settings, sound, backend=self.backend, name=name, tell=tell)

        return self._in_turn(session, job, tell)

    def open(self, session: str, upload: Path, *, tell: Tell | None = None) -> str:
        """Decode an uploaded stream and give it as HTML.

        Raises:
            Error: a sentence for the visitor; `Cancelled` too.
        """

        def job(tell: Tell) -> Result:
            data = read_stream(upload, self.limits)
            backend, name = self._backend_for(data), safe_name(upload.stem, "stream")
            return jobs.open_stream(data, backend=backend, name=name, tell=tell)

        return self._in_turn(session, job, tell)

    def _in_turn(self, session: str, job: Callable[[Tell], Result], tell: Tell | None) -> str:
        """Wait for a place, do the job, put its files on the shelf."""
        end = self._ends.setdefault(session, threading.Event())

        def tell_or_end(what: str, done: int, total: int) -> None:
            if end.is_set():
                raise Cancelled("cancelled")
            if tell is not None:
                tell(what, done, total)

        try:
            with self._places:
                tell_or_end("reading", 0, 1)
                result = job(tell_or_end)
                tell_or_end("drawing", 0, 1)
                return exhibit(result, self.shelf, session)
        finally:
            if self._ends.get(session) is end:
                del self._ends[session]
