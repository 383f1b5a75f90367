"""Several sounds through one call of the denoiser, with the codec as it is.

Each sound has a thread of its own. One runs at a time; one that asks the denoiser waits until all others ask too or are
done. Then the last serves all: what has the same timestep, tag and number of frames goes through the network as one
batch. Sounds of one length share every call; so do all that are longer than the denoiser's window, which sees them in
windows of one length.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from noisebook.errors import Error

if TYPE_CHECKING:
    import torch

    from noisebook.diffusion.backend import Backend, Condition

__all__ = ["each_with"]

T = TypeVar("T")


def each_with(backend: Backend, jobs: Sequence[Callable[[Backend], T]]) -> list[T | Exception]:
    """What each job returns or raises; their calls of the denoiser are batched. One alone runs as it would without.

    Args:
        backend: the model.
        jobs: each calls its backend from its own thread only.
    """
    if len(jobs) == 1:
        try:
            return [jobs[0](backend)]
        except Exception as error:
            return [error]
    return _Meeting[T](backend, len(jobs)).hold(jobs)


@dataclass(eq=False)
class _Call:
    """One that waits for the denoiser: `x [B, C, T', F']`, and then its answer."""

    x: torch.Tensor
    t: int
    tag: int
    condition: Condition | None
    answer: torch.Tensor | Exception | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        return self.t, self.tag, id(self.condition), tuple(self.x.shape[1:])


class _Meeting(Generic[T]):
    def __init__(self, backend: Backend, parties: int) -> None:
        self._backend = backend
        self._turn = threading.Condition(threading.Lock())  # held by the one that runs
        self._running = parties  # not waiting, whether or not they have begun
        self._waiting: list[_Call] = []
        self._cancelled = False

    def hold(self, jobs: Sequence[Callable[[Backend], T]]) -> list[T | Exception]:
        results: list[T | Exception | None] = [None] * len(jobs)
        threads = [
            threading.Thread(target=self._run, args=(job, results, index), daemon=True)
            for index, job in enumerate(jobs)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._cancelled = True  # they end at their next call of the denoiser
            raise
        return cast("list[T | Exception]", results)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        """As `Backend.denoise`, for a job that holds the turn."""
        call = _Call(x, t, tag, condition)
        self._waiting.append(call)
        self._running -= 1
        if self._running == 0:
            self._serve()
        while call.answer is None:
            self._turn.wait()
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def _run(self, job: Callable[[Backend], T], results: list[Any], index: int) -> None:
        with self._turn:
            try:
                results[index] = job(cast("Backend", _Shared(self._backend, self)))
            except Exception as error:
                results[index] = error
            finally:
                self._running -= 1
                if self._running == 0 and self._waiting:
                    self._serve()

    def _serve(self) -> None:
        """Answer all that wait."""
        calls, self._waiting = self._waiting, []
        kinds: dict[tuple[object, ...], list[_Call]] = defaultdict(list)
        for call in calls:
            kinds[call.kind].append(call)
        for alike in kinds.values():
            self._answer(alike)
        self._running += len(calls)
        self._turn.notify_all()

    def _answer(self, calls: list[_Call]) -> None:
        import torch

        first = calls[0]
        try:
            if self._cancelled:
                raise Error("interrupted")
            x = first.x if len(calls) == 1 else torch.cat([call.x for call in calls])
            answers = self._backend.denoise(x, first.t, tag=first.tag, condition=first.condition)
            for call, answer in zip(calls, answers.split([len(call.x) for call in calls]), strict=True):
                call.answer = answer
        except Exception as error:
            for call in calls:
                call.answer = error


class _Shared:
    """The backend, but for its denoiser, which is asked together with others."""

    def __init__(self, backend: Backend, meeting: _Meeting[Any]) -> None:
        self._backend = backend
        self.denoise = meeting.denoise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
