"""Where workers run: in this process, in processes of their own, or on a Ray cluster; and how files reach them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from noisebook.batch.worker import Outcome, Task, Work, Worker
from noisebook.errors import ConfigError, Error, MissingExtra, ModelError

__all__ = ["EXECUTORS", "Executor", "executor_of", "hand_out"]

EXECUTORS = ("local", "ray")
_TRIES = 3  # of a file whose worker dies; then it is the file
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Executor(ABC):
    """Workers by number, each with a model of its own; each does one group of files at a time.

    Attributes:
        died: what a future raises whose worker is no more.
    """

    died: type[Exception] | tuple[()] = ()

    def __init__(self, work: Work, size: int) -> None:
        self.work, self.size = work, size

    def start(self) -> None:
        """Begin all workers, and return when each has its model.

        Raises:
            Error: a model cannot be loaded.
        """
        for loading in [self.begin(index) for index in range(self.size)]:
            self._finish_loading(loading)

    def restart(self, index: int) -> None:
        """Begin a worker anew in the place of one that died."""
        self._finish_loading(self.begin(index))

    @abstractmethod
    def begin(self, index: int) -> Future[Any]:
        """Begin a worker; the future is done when it has its model."""

    @abstractmethod
    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        """Give a group to a worker that has none."""

    @abstractmethod
    def stop(self) -> None:
        """End all workers, whatever they do."""

    def _finish_loading(self, loading: Future[Any]) -> None:
        try:
            loading.result()
        except self.died as error:
            if isinstance(error.__cause__, Error):
                raise error.__cause__ from None
            told = "" if isinstance(error, BrokenProcessPool) else f" {error}"  # Ray's own words hold the reason
            raise ModelError(
                f"a worker died while it loaded the model; is there memory for so many (--workers)?{told}"
            ) from error


def executor_of(work: Work, name: str, workers: int) -> Executor:
    """An executor that is not started yet.

    Args:
        work: what its workers need to begin.
        name: "local", this process or processes on this machine; or "ray", actors of the cluster that RAY_ADDRESS
            names, or of one that begins and ends on this machine.
        workers: how many, each with a model of its own; one of "local" is this process.

    Raises:
        ConfigError: another executor, or no worker.
        MissingExtra: Ray is not installed.
    """
    if name not in EXECUTORS:
        raise ConfigError(f"executor {name!r}: {', '.join(EXECUTORS)} are possible")
    if workers < 1:
        raise ConfigError(f"{workers} workers: 1 at least")
    if name == "ray":
        return RayActors(work, workers)
    return InProcess(work, 1) if workers == 1 else Processes(work, workers)


def hand_out(
    executor: Executor, groups: Iterable[Sequence[Task]], on_start: Callable[[Task], None] = lambda task: None
) -> Iterator[Outcome]:
    """What became of each file, as it becomes known. The files of a worker that dies are tried again, one by one.

    Args:
        executor: started.
        groups: files that go through the denoiser together.
        on_start: called with each file before it is given to a worker.
    """
    waiting = deque(list(group) for group in groups)
    idle = list(range(executor.size))[::-1]
    busy: dict[Future[list[Outcome]], tuple[int, list[Task]]] = {}
    deaths: Counter[str] = Counter()
    while waiting or busy:
        while idle and waiting:
            index, group = idle.pop(), waiting.popleft()
            for task in group:
                on_start(task)
            busy[executor.submit(index, group)] = index, group
        future = wait(busy, return_when=FIRST_COMPLETED).done.pop()
        index, group = busy.pop(future)
        try:
            outcomes = future.result()
        except executor.died:
            executor.restart(index)
            deaths.update(task.source for task in group)
            waiting.extend([task] for task in group if deaths[task.source] < _TRIES)
            reason = f"{_TRIES} workers died over it; is it too long for the memory?"
            outcomes = [Outcome(task, {}, reason) for task in group if deaths[task.source] >= _TRIES]
        idle.append(index)
        yield from outcomes


class InProcess(Executor):
    """One worker, in this process."""

    def begin(self, index: int) -> Future[Any]:
        self._worker = Worker(self.work)
        return _done(None)

    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        return _done(self._worker.do(group))

    def stop(self) -> None:
        pass


class Processes(Executor):
    """Workers in fresh processes of this machine, each with one CPU thread if no other number is asked for. Where there
    are several GPUs they take turns.

    Each worker is a pool of one process: when that dies, the files it died over are known.
    """

    died = BrokenProcessPool

    def __init__(self, work: Work, size: int) -> None:
        super().__init__(_with_one_thread(work), size)
        self._pools: dict[int, ProcessPoolExecutor] = {}
        # Workers end when the writing end closes: because they are stopped, or because this process was killed.
        self._lifeline, self._stop = multiprocessing.get_context("spawn").Pipe(duplex=False)

    def begin(self, index: int) -> Future[Any]:
        if index in self._pools:
            self._pools[index].shutdown()
        context = multiprocessing.get_context("spawn")
        with _surroundings_of_children(self.work.settings.model.threads or 1):
            self._pools[index] = ProcessPoolExecutor(1, context, initializer=_begin_process, initargs=(self._lifeline,))
            return self.submit(index, [])  # starts the process

    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        try:
            return self._pools[index].submit(_do, _on_own_gpu(self.work, index), list(group))
        except BrokenProcessPool as error:  # it died while it had nothing to do
            failed: Future[list[Outcome]] = Future()
            failed.set_exception(error)
            return failed

    def stop(self) -> None:
        self._stop.close()
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)
        self._lifeline.close()


_worker: Worker | None = None  # of this process, where it is one of `Processes`


def _begin_process(lifeline: Connection) -> None:
    def end_with_parent() -> None:
        with suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)  # at once: it holds nothing that this could hurt, files appear whole or not at all

    threading.Thread(target=end_with_parent, daemon=True).start()


def _do(work: Work, group: Sequence[Task]) -> list[Outcome]:
    """What a process does with a group; the first one is empty, and it only loads the model."""
    global _worker
    if _worker is None:
        _worker = Worker(work)
    return _worker.do(group) if group else []


class RayActors(Executor):
    """Workers on a Ray cluster. Paths must be the same on all of its machines."""

    def __init__(self, work: Work, size: int) -> None:
        try:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            import ray
        except ImportError as error:
            raise MissingExtra("the executor ray needs Ray: pip install 'noisebook[batch,ray]'") from error
        super().__init__(_with_one_thread(work), size)
        self._ray, self.died = ray, ray.exceptions.RayActorError
        self._actors: dict[int, Any] = {}
        self._own_cluster = False

    def start(self) -> None:
        if not self._ray.is_initialized():
            own = "RAY_ADDRESS" not in os.environ
            limits: dict[str, Any] = {"num_cpus": self.size, "include_dashboard": False} if own else {}
            self._ray.init(log_to_driver=False, logging_level=logging.ERROR, **limits)
            self._own_cluster = True
        there = self._ray.cluster_resources()
        # Ray hides GPUs from a worker that does not ask for one.
        device = self.work.settings.model.device
        self._gpus = int(device.startswith("cuda") or (device == "auto" and there.get("GPU", 0) >= self.size))
        for kind in ("CPU", *["GPU"] * self._gpus):  # what it has not would be waited for for ever
            if there.get(kind, 0) < self.size:
                count = int(there.get(kind, 0))
                raise ConfigError(f"{self.size} workers need as many {kind}s, and the cluster has {count}: take fewer")
        super().start()

    def begin(self, index: int) -> Future[Any]:
        environment = {"env_vars": dict.fromkeys(_THREADS, str(self.work.settings.model.threads))}
        remote = self._ray.remote(Worker).options(runtime_env=environment, num_cpus=1, num_gpus=self._gpus)
        self._actors[index] = remote.remote(self.work)
        loading: Future[Any] = self._actors[index].__ray_ready__.remote().future()
        return loading

    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        doing: Future[list[Outcome]] = self._actors[index].do.remote(list(group)).future()
        return doing

    def stop(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        if self._own_cluster:
            self._ray.shutdown()


def _done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def _with_one_thread(work: Work) -> Work:
    """One thread a worker where no number is asked for: many workers, each with all cores, are slower than one."""
    return work.with_model(threads=work.settings.model.threads or 1)


def _on_own_gpu(work: Work, index: int) -> Work:
    """The work of one of several workers: with a GPU of its own, where there are several and none is named."""
    if work.settings.model.device not in ("auto", "cuda"):
        return work
    import torch

    count = torch.cuda.device_count()
    return work if count < 2 else work.with_model(device=f"cuda:{index % count}")


@contextmanager
def _surroundings_of_children(threads: int) -> Iterator[None]:
    """Processes that begin in here have so many threads, which libraries read when they are loaded, and ignore the
    terminal's interrupt: the first process hears it, and ends them. The one that tidies up after a kill does so
    without a warning."""
    wanted = dict.fromkeys(_THREADS, str(threads))
    quiet = "ignore:resource_tracker:UserWarning"
    wanted["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
    before = {name: os.environ.get(name) for name in wanted}
    in_main = threading.current_thread() is threading.main_thread()  # elsewhere nothing is interrupted
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if in_main:
            signal.signal(signal.SIGINT, handler)
