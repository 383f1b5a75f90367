"""Several sounds through one call of the denoiser, with the codec as it is.

Each sound has a thread of its own. One runs at a time; one that asks the denoiser waits until all others ask too or are
done. Then the last serves all: what has the same timestep, tag and number of frames goes through the network as one
batch. Sounds of one length share every call; so do all that are longer than the denoiser's window, which sees them in
windows of one length.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

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
    results: list[Any] = [None] * len(jobs)
    if len(jobs) == 1:
        try:
            return [jobs[0](backend)]
        except Exception as error:
            return [error]
    shared = _Shared(backend, len(jobs))

    def run(index: int) -> None:
        with shared.taking_part():
            try:
                results[index] = jobs[index](cast("Backend", shared))
            except Exception as error:
                results[index] = error

    threads = [
        threading.Thread(target=run, args=(index,), name=f"batching-{index}", daemon=True) for index in range(len(jobs))
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        shared.cancelled = True  # they end at their next call of the denoiser
        raise
    return results


@dataclass(eq=False)
class _Call:
    """One that waits for the denoiser: `x [B, C, T', F']`, and then its answer."""

    x: torch.Tensor
    t: int
    tag: int
    condition: Condition | None
    answer: torch.Tensor | Exception | None = None


class _Shared:
    """The backend, but for its denoiser, which is asked together with others."""

    def __init__(self, backend: Backend, parties: int) -> None:
        self._backend = backend
        self._turn = threading.Condition(threading.Lock())  # held by the one that runs
        self._running = parties  # not waiting, whether or not they have begun
        self._waiting: list[_Call] = []
        self.cancelled = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Hold the turn, but for the time in `denoise`; then the others no longer wait for this one."""
        with self._turn:
            try:
                yield
            finally:
                self._pause()

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        """As `Backend.denoise`, for a job that holds the turn."""
        call = _Call(x, t, tag, condition)
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
            alike[call.t, call.tag, id(call.condition), tuple(call.x.shape[1:])].append(call)
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
            answers = self._backend.denoise(x, first.t, tag=first.tag, condition=first.condition)
            for call, answer in zip(calls, answers.split([len(call.x) for call in calls]), strict=True):
                call.answer = answer
        except Exception as error:
            for call in calls:
                call.answer = error
