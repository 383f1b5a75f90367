"""Where workers run: in this process, in processes, or on a Ray cluster; and how files are handed out to them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol

from noisebook.batch.worker import Outcome, Task, Work, Worker
from noisebook.errors import ConfigError, Error, MissingExtra, ModelError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

__all__ = ["ENGINES", "Crew", "crew_of", "hand_out"]

ENGINES = ("local", "ray")
_TRIES = 3  # of a file whose worker dies; then it is the file


class Crew(Protocol):
    """Workers by number; each does one group of files at a time."""

    size: int

    def start(self) -> None:
        """Return when every worker has its model.

        Raises:
            Error: a model cannot be loaded.
        """

    def submit(self, index: int, group: Sequence[Task]) -> None:
        """Give a group to a worker that has none."""

    def wait(self) -> tuple[int, list[Outcome] | None]:
        """The next worker that is done, and with what; None: it died, and another has its number."""

    def stop(self) -> None:
        """End all workers, whatever they do."""


def crew_of(work: Work, engine: str, workers: int) -> Crew:
    """A crew that is not started yet.

    Args:
        engine: "local", this process or processes on this machine; or "ray", actors of the cluster that RAY_ADDRESS
            names, or of one that begins and ends on this machine.
        workers: how many, each with a model of its own; one of "local" is this process.

    Raises:
        ConfigError: another engine, or no worker.
        MissingExtra: Ray is not installed.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine {engine!r}: {', '.join(ENGINES)} are possible")
    if workers < 1:
        raise ConfigError(f"{workers} workers: 1 at least")
    if engine == "ray":
        return RayActors(work, workers)
    return InProcess(work) if workers == 1 else Processes(work, workers)


def hand_out(
    crew: Crew, groups: Iterable[Sequence[Task]], on_start: Callable[[Task], None] = lambda task: None
) -> Iterator[Outcome]:
    """What became of each file, as it becomes known. The files of a worker that dies are tried again, one by one.

    Args:
        crew: started.
        groups: files that go through the denoiser together.
        on_start: told of each file before it is given to a worker.
    """
    waiting = deque(list(group) for group in groups)
    idle, busy = list(range(crew.size))[::-1], dict[int, list[Task]]()
    deaths: Counter[str] = Counter()
    while waiting or busy:
        while idle and waiting:
            index, group = idle.pop(), waiting.popleft()
            for task in group:
                on_start(task)
            busy[index] = group
            crew.submit(index, group)
        index, outcomes = crew.wait()
        group = busy.pop(index)
        idle.append(index)
        if outcomes is not None:
            yield from outcomes
            continue
        for task in group:
            deaths[task.source] += 1
            if deaths[task.source] < _TRIES:
                waiting.append([task])
            else:
                yield Outcome(task, {}, f"{_TRIES} workers died over it; is it too long for the memory?")


class InProcess:
    """One worker, in this process."""

    size = 1

    def __init__(self, work: Work) -> None:
        self._work = work
        self._group: Sequence[Task] = ()

    def start(self) -> None:
        self._worker = Worker(self._work)

    def submit(self, index: int, group: Sequence[Task]) -> None:
        self._group = group

    def wait(self) -> tuple[int, list[Outcome] | None]:
        return 0, self._worker.do(self._group)

    def stop(self) -> None:
        pass


class Processes:
    """Workers in fresh processes of this machine, each with one CPU thread if no other number is asked for. Where there
    are several GPUs they take turns."""

    def __init__(self, work: Work, size: int) -> None:
        self._work, self.size = _with_threads(work), size
        self._crew: list[tuple[BaseProcess, Connection]] = []

    def start(self) -> None:
        for index in range(self.size):
            self._crew.append(self._begun(index))
        for _, connection in self._crew:
            _check_ready(_received(connection))

    def submit(self, index: int, group: Sequence[Task]) -> None:
        with suppress(OSError):  # it died, and `wait` will see that
            self._crew[index][1].send(list(group))

    def wait(self) -> tuple[int, list[Outcome] | None]:
        ready = wait([connection for _, connection in self._crew])[0]
        index = next(i for i, (_, connection) in enumerate(self._crew) if connection is ready)
        outcomes: list[Outcome] | None = _received(self._crew[index][1])
        if outcomes is None:
            self._end(index)
            self._crew[index] = self._begun(index)
            _check_ready(_received(self._crew[index][1]))
        return index, outcomes

    def stop(self) -> None:
        for index in range(len(self._crew)):
            self._end(index)
        self._crew = []

    def _begun(self, index: int) -> tuple[BaseProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        own, its = context.Pipe()
        process = context.Process(target=_serve, args=(its, _on_device(self._work, index)), daemon=True)
        with _threads_of_children(self._work.settings.engine.threads or 1), _deaf_to_interrupts():
            process.start()
        its.close()  # so that its death closes the pipe
        return process, own

    def _end(self, index: int) -> None:
        process, connection = self._crew[index]
        connection.close()
        process.kill()  # it holds nothing that a kill could hurt: files appear whole or not at all
        process.join()
        process.close()


def _serve(connection: Connection, work: Work) -> None:
    """The life of a process: load, then groups of files until the other end closes or kills it."""
    with suppress(EOFError, OSError):  # the other end died; what is done stays
        try:
            worker = Worker(work)
        except Error as error:
            connection.send(error)
            return
        connection.send("ready")
        while True:
            connection.send(worker.do(connection.recv()))


def _received(connection: Connection) -> Any:
    """What a worker sent; None: it died."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


def _check_ready(word: Any) -> None:
    if isinstance(word, Error):
        raise word
    if word is None:
        raise ModelError("a worker died while it loaded the model; is there memory for so many (--workers)?")


class RayActors:
    """Workers on a Ray cluster. Paths must be the same on all of its machines."""

    def __init__(self, work: Work, size: int) -> None:
        try:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            import ray
        except ImportError as error:
            raise MissingExtra("engine ray needs Ray: pip install 'noisebook[batch,ray]'") from error
        self._ray, self._work, self.size = ray, _with_threads(work), size
        self._actors: list[Any] = []
        self._calls: dict[Any, int] = {}
        self._own_cluster = False

    def start(self) -> None:
        if not self._ray.is_initialized():
            own = "RAY_ADDRESS" not in os.environ
            limits: dict[str, Any] = {"num_cpus": self.size, "include_dashboard": False} if own else {}
            self._ray.init(log_to_driver=False, logging_level=logging.ERROR, **limits)
            self._own_cluster = True
        self._check_resources()
        for _ in range(self.size):
            self._actors.append(self._begun())
        for actor in self._actors:
            self._check(actor)

    def submit(self, index: int, group: Sequence[Task]) -> None:
        self._calls[self._actors[index].do.remote(list(group))] = index

    def wait(self) -> tuple[int, list[Outcome] | None]:
        call = self._ray.wait(list(self._calls))[0][0]
        index = self._calls.pop(call)
        try:
            outcomes: list[Outcome] = self._ray.get(call)
        except self._ray.exceptions.RayActorError:
            self._actors[index] = self._begun()
            self._check(self._actors[index])
            return index, None
        return index, outcomes

    def stop(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
        if self._own_cluster:
            self._ray.shutdown()
            self._own_cluster = False

    def _begun(self) -> Any:
        threads = self._work.settings.engine.threads or 1
        environment = {"env_vars": {name: str(threads) for name in _THREADS}}
        needs = {"num_cpus": 1, "num_gpus": 1 if self._on_gpus else 0}
        return self._ray.remote(Worker).options(runtime_env=environment, **needs).remote(self._work)

    @property
    def _on_gpus(self) -> bool:
        """Whether each worker gets a GPU of its own: Ray hides them from one that does not ask."""
        device = self._work.settings.engine.device
        gpus = self._ray.cluster_resources().get("GPU", 0)
        return device.startswith("cuda") or (device == "auto" and gpus >= self.size)

    def _check_resources(self) -> None:
        """Refuse what would wait for ever."""
        there = self._ray.cluster_resources()
        for kind in ("CPU", *(["GPU"] if self._on_gpus else [])):
            count = int(there.get(kind, 0))
            if count < self.size:
                raise ConfigError(f"{self.size} workers need as many {kind}s, and the cluster has {count}: take fewer")

    def _check(self, actor: Any) -> None:
        """Return when its model is loaded."""
        try:
            self._ray.get(actor.__ray_ready__.remote())
        except self._ray.exceptions.RayActorError as error:
            cause = error.__cause__
            raise (cause if isinstance(cause, Error) else ModelError(f"a worker did not begin: {error}")) from error


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _with_threads(work: Work) -> Work:
    """One thread a worker where no number is asked for: many workers, each with all cores, are slower than one."""
    engine = work.settings.engine
    engine = replace(engine, threads=engine.threads or 1)
    return replace(work, settings=replace(work.settings, engine=engine))


def _on_device(work: Work, index: int) -> Work:
    """The work of one of several workers: with a GPU of its own, where there are several and none is named."""
    engine = work.settings.engine
    if engine.device not in ("auto", "cuda"):
        return work
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        return work
    engine = replace(engine, device=f"cuda:{index % count}")
    return replace(work, settings=replace(work.settings, engine=engine))


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that begin in here ignore the terminal's interrupt: the first one hears it, and ends them."""
    if threading.current_thread() is not threading.main_thread():  # elsewhere nothing is interrupted
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """What libraries of a child read when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
