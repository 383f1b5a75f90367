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

from noisebook.batch.planning import Batch, Task
from noisebook.batch.worker import Outcome, Worker
from noisebook.errors import ConfigError, Error, MissingExtra, ModelError

_TRIES = 3  # of a file whose worker dies; then the file is to blame
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_spawning = multiprocessing.get_context("spawn")


class Executor(ABC):
    """Workers by number, each with a model of its own; each does one group of files at a time."""

    died: type[Exception] | tuple[()] = ()  # what a future raises whose worker has died

    def __init__(self, batch: Batch, size: int) -> None:
        self.batch, self.size = batch, size

    def start(self) -> None:
        """Begin all workers, and return when each has its model; Error if one cannot load it."""
        self.load(*range(self.size))

    def load(self, *indices: int) -> None:
        """Begin these workers, also in the place of ones that died, and return when each has its model."""
        try:
            for loading in [self.begin(index) for index in indices]:
                loading.result()
        except self.died as error:
            if isinstance(error.__cause__, Error):
                raise error.__cause__ from None
            detail = "" if isinstance(error, BrokenProcessPool) else f" {error}"  # Ray's message holds the reason
            raise ModelError(
                f"a worker died while it loaded the model; is there memory for so many (--workers)?{detail}"
            ) from error

    @abstractmethod
    def begin(self, index: int) -> Future[list[Outcome]]:
        """Begin a worker; the future is done when it has its model."""

    @abstractmethod
    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        """Give a group to a worker that has none."""

    @abstractmethod
    def stop(self) -> None:
        """End all workers, whatever they do."""


def executor_of(batch: Batch) -> Executor:
    """An executor that is not started yet; MissingExtra where it is Ray's and that is not installed."""
    workers = batch.options.workers
    if batch.options.executor == "local" and workers == 1:
        return InProcess(batch, 1)
    # Many workers, each with all cores, are slower than one.
    one_thread = batch.with_model(threads=batch.settings.model.threads or 1)
    return RayActors(one_thread, workers) if batch.options.executor == "ray" else Processes(one_thread, workers)


def hand_out(
    executor: Executor, groups: Iterable[Sequence[Task]], on_start: Callable[[Task], None]
) -> Iterator[Outcome]:
    """What became of each file of the groups, as it becomes known; `on_start` is called with each before a worker gets
    it. The files of a worker that dies are tried again, one by one."""
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
            executor.load(index)
            deaths.update(task.source for task in group)
            waiting.extend([task] for task in group if deaths[task.source] < _TRIES)
            reason = f"{_TRIES} workers died over it; is it too long for the memory?"
            outcomes = [Outcome(task, {}, reason) for task in group if deaths[task.source] >= _TRIES]
        idle.append(index)
        yield from outcomes


class InProcess(Executor):
    """One worker, in this process."""

    def begin(self, index: int) -> Future[list[Outcome]]:
        self._worker = Worker(self.batch)
        return self.submit(index, [])

    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        done: Future[list[Outcome]] = Future()
        done.set_result(self._worker.do(group))
        return done

    def stop(self) -> None:
        pass


class Processes(Executor):
    """Workers in fresh processes of this machine, which take turns with the GPUs.

    Each worker is a pool of one process: when that dies, the files it died over are known.
    """

    died = BrokenProcessPool

    def __init__(self, batch: Batch, size: int) -> None:
        super().__init__(batch, size)
        self._pools: dict[int, ProcessPoolExecutor] = {}
        # Workers end when the writing end closes: because they are stopped, or because this process was killed.
        self._lifeline, self._stop = _spawning.Pipe(duplex=False)

    def begin(self, index: int) -> Future[list[Outcome]]:
        if index in self._pools:
            self._pools[index].shutdown()
        with _environment_of_workers(self.batch.settings.model.threads or 1):
            self._pools[index] = ProcessPoolExecutor(
                1, _spawning, initializer=_begin_process, initargs=(self._lifeline,)
            )
            return self.submit(index, [])  # starts the process

    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        try:
            return self._pools[index].submit(_do, _on_own_gpu(self.batch, index), list(group))
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
        os._exit(1)  # at once: files appear whole or not at all

    threading.Thread(target=end_with_parent, daemon=True).start()


def _do(batch: Batch, group: Sequence[Task]) -> list[Outcome]:
    """What a process does with a group; the first one is empty, and only loads the model."""
    global _worker
    if _worker is None:
        _worker = Worker(batch)
    return _worker.do(group)


class RayActors(Executor):
    """Workers on a Ray cluster. Paths must be the same on all of its machines."""

    def __init__(self, batch: Batch, size: int) -> None:
        try:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            import ray
        except ImportError as error:
            raise MissingExtra("the executor ray needs Ray: pip install 'noisebook[batch,ray]'") from error
        super().__init__(batch, size)
        self._ray, self.died = ray, ray.exceptions.RayActorError
        self._actors: dict[int, Any] = {}
        self._own_cluster = False

    def start(self) -> None:
        if not self._ray.is_initialized():
            own = "RAY_ADDRESS" not in os.environ
            limits: dict[str, Any] = {"num_cpus": self.size, "include_dashboard": False} if own else {}
            self._ray.init(log_to_driver=False, logging_level=logging.ERROR, **limits)
            self._own_cluster = True
        resources = self._ray.cluster_resources()
        # Ray hides GPUs from a worker that does not ask for one.
        device = self.batch.settings.model.device
        self._gpus = int(device.startswith("cuda") or (device == "auto" and resources.get("GPU", 0) >= self.size))
        for kind in ("CPU", *["GPU"] * self._gpus):  # Ray would wait for ever for what the cluster does not have
            count = int(resources.get(kind, 0))
            if count < self.size:
                raise ConfigError(f"{self.size} workers need as many {kind}s, and the cluster has {count}: take fewer")
        super().start()

    def begin(self, index: int) -> Future[list[Outcome]]:
        environment = {"env_vars": dict.fromkeys(_THREADS, str(self.batch.settings.model.threads))}
        actor = self._ray.remote(Worker).options(runtime_env=environment, num_cpus=1, num_gpus=self._gpus)
        self._actors[index] = actor.remote(self.batch)
        return self.submit(index, [])

    def submit(self, index: int, group: Sequence[Task]) -> Future[list[Outcome]]:
        doing: Future[list[Outcome]] = self._actors[index].do.remote(list(group)).future()
        return doing

    def stop(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        if self._own_cluster:
            self._ray.shutdown()


def _on_own_gpu(batch: Batch, index: int) -> Batch:
    """With a GPU of the worker's own, where there are several and none is named."""
    if batch.settings.model.device not in ("auto", "cuda"):
        return batch
    import torch

    count = torch.cuda.device_count()
    return batch if count < 2 else batch.with_model(device=f"cuda:{index % count}")


@contextmanager
def _environment_of_workers(threads: int) -> Iterator[None]:
    """For processes that begin in here: the number of threads, which libraries read when they are loaded; no warning
    when they clear up after a kill; and no interrupt by the terminal, for the first process ends them."""
    warnings = [os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker:UserWarning"]
    before = dict(os.environ)
    in_main = threading.current_thread() is threading.main_thread()  # elsewhere nothing is interrupted
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
    os.environ.update(dict.fromkeys(_THREADS, str(threads)), PYTHONWARNINGS=",".join(filter(None, warnings)))
    try:
        yield
    finally:
        for name in (*_THREADS, "PYTHONWARNINGS"):
            del os.environ[name]
        os.environ.update(before)
        if in_main:
            signal.signal(signal.SIGINT, handler)
