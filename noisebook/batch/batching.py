"""Several sounds through one call of the denoiser, with the codec as it is.

Each sound is a job in a thread of its own. One job runs at a time; one that asks the denoiser waits until all others
ask too or are done. Then the last one answers all: what has the same timestep, tag and number of frames goes through
the network as one batch. Sounds of one length share every call; so do all that are longer than the denoiser's window,
which sees them in windows of one length.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from noisebook.errors import Error

if TYPE_CHECKING:
    import torch

    from noisebook.diffusion.backend import Backend, Condition

__all__ = ["Share", "side_by_side"]

T = TypeVar("T")
Share = Callable[["Backend"], "Backend"]


def side_by_side(jobs: Sequence[Callable[[Share], T]]) -> list[T]:
    """What the jobs return; the first exception of one ends all.

    Args:
        jobs: each gets a function that makes of a backend one whose denoiser is shared with the other jobs. One job
            alone gets the backend itself.
    """
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
    """A call of the denoiser `x [B, C, T', F']` that waits, and then its answer."""

    backend: Backend
    x: torch.Tensor
    t: int
    tag: int
    condition: Condition | None
    answer: torch.Tensor | Exception | None = None


class _Turns:
    """Which of the jobs runs, and the calls of those that wait."""

    def __init__(self, jobs: int) -> None:
        self._turn = threading.Condition(threading.Lock())  # held by the job that runs
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
        while call.answer is None:
            self._turn.wait()
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def _pause(self) -> None:
        """One fewer runs; the last one answers all that wait."""
        self._running -= 1
        if self._running or not self._waiting:
            return
        calls, self._waiting = self._waiting, []
        alike: dict[tuple[object, ...], list[_Call]] = defaultdict(list)
        for call in calls:
            key = id(call.backend), call.t, call.tag, id(call.condition), tuple(call.x.shape[1:])
            alike[key].append(call)
        for group in alike.values():
            self._answer(group)
        self._running += len(calls)
        self._turn.notify_all()

    def _answer(self, calls: list[_Call]) -> None:
        import torch

        first = calls[0]
        try:
            if self.cancelled:
                raise Error("interrupted")
            x = first.x if len(calls) == 1 else torch.cat([call.x for call in calls])
            answers = first.backend.denoise(x, first.t, tag=first.tag, condition=first.condition)
            for call, answer in zip(calls, answers.split([len(call.x) for call in calls]), strict=True):
                call.answer = answer
        except Exception as error:
            for call in calls:
                call.answer = error


class _Shared:
    """A backend, but its denoiser is asked together with other jobs."""

    def __init__(self, backend: Backend, turns: _Turns) -> None:
        self._backend, self._turns = backend, turns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        return self._turns.ask(_Call(self._backend, x, t, tag, condition))
