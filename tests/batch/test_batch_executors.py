"""Workers in processes and on a real Ray cluster: the same results, and files of a dead worker are done by another."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from noisebook.batch import executors
from noisebook.batch.executors import Executor, InProcess, Processes, executor_of, hand_out
from noisebook.batch.planning import Task
from noisebook.batch.runs import run
from noisebook.batch.worker import Outcome
from noisebook.errors import MissingExtra, ModelError
from tests.batch.conftest import contents, done


class Death(Exception):
    """Of a worker."""


class Dying(Executor):
    """Workers that die over each group that holds a deadly file."""

    died = Death

    def __init__(self, deadly: dict[str, int]) -> None:
        super().__init__(None, 2)
        self.deadly, self.log, self.given = deadly, [], {}
        self.start()

    def begin(self, index):
        self.given[index] = None
        ready = Future()
        ready.set_result(None)
        return ready

    def submit(self, index, group):
        before, self.given[index] = self.given[index], Future()
        assert before is None or before.done(), "one group at a time"
        self.log.append([task.source for task in group])
        deadly = [task.source for task in group if self.deadly.get(task.source, 0) > 0]
        self.deadly |= {source: self.deadly[source] - 1 for source in deadly}
        if deadly:
            self.given[index].set_exception(Death())
        else:
            self.given[index].set_result([Outcome(task, {}) for task in group])
        return self.given[index]

    def stop(self):
        pass


def tasks(names: str) -> list[Task]:
    return [Task(name, f"{name}.out") for name in names]


def test_each_file_comes_out_once():
    executor, started = Dying({}), []
    outcomes = list(
        hand_out(executor, [tasks("ab"), tasks("c"), tasks("de")], lambda task: started.append(task.source))
    )
    assert sorted(outcome.task.source for outcome in outcomes) == list("abcde")
    assert started == list("abcde")


def test_files_of_a_dead_worker_are_tried_again_one_by_one():
    executor = Dying({"b": 1})
    outcomes = list(hand_out(executor, [tasks("ab"), tasks("c")], print))
    assert sorted(outcome.task.source for outcome in outcomes) == list("abc")
    assert all(outcome.error is None for outcome in outcomes)
    assert executor.log == [["a", "b"], ["c"], ["a"], ["b"]]


def test_a_file_that_kills_every_worker_fails_and_no_other():
    outcomes = {outcome.task.source: outcome.error for outcome in hand_out(Dying({"b": 99}), [tasks("abc")], print)}
    assert outcomes == {"a": None, "c": None, "b": "3 workers died over it; is it too long for the memory?"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_model):
    """The streams of the corpus, made in this process."""
    from noisebook.api.models import ModelOptions
    from noisebook.batch.planning import Batch
    from noisebook.batch.verbs import Settings
    from tests.batch.conftest import FAST, make_corpus

    folder = tmp_path_factory.mktemp("undisturbed")
    settings = Settings("compress", FAST, ModelOptions(str(tiny_model), device="cpu", threads=1))
    run(Batch(str(make_corpus(folder / "src")), str(folder / "out"), settings))
    return contents(folder / "out")


def test_processes_give_the_same_files_and_survive_a_kill(corpus, batch_of, undisturbed):
    killed = []

    def kill(done: int, todo: int) -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[-1])
            killed[0].kill()

    summary = run(batch_of(workers=2), on_file=kill)
    assert killed
    assert (summary.done, summary.failed) == (5, [])
    assert contents(Path("out")) == undisturbed
    assert sorted(done(Path("out"))) == ["a.flac", "a.wav", "d.wav", "x/b.wav", "x/y/c.ogg"]
    assert not multiprocessing.active_children()


def test_workers_are_ended_in_the_middle_of_their_work(batch_of):
    executor = Processes(batch_of(), 1)
    try:
        executor.start()
        futures = [pool.submit(time.sleep, 600) for pool in executor._pools.values()]
        while not all(future.running() for future in futures):
            time.sleep(0.01)
    finally:
        executor.stop()
    assert all(isinstance(future.exception(0), executor.died) for future in futures)


def test_a_model_that_cannot_be_loaded_is_told_by_the_worker(corpus, batch_of, tmp_path):
    for name in ("vae", "denoiser", "vocoder"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"no weights")
    executor = Processes(batch_of().with_model(model=str(tmp_path)), 1)
    try:
        with pytest.raises(ModelError):
            executor.start()
    finally:
        executor.stop()


@pytest.mark.parametrize(
    ("device", "count", "devices"),
    [("auto", 2, ["cuda:0", "cuda:1", "cuda:0"]), ("auto", 1, ["auto"] * 3), ("cuda:1", 2, ["cuda:1"] * 3)],
)
def test_workers_take_turns_with_gpus(device, count, devices, batch_of, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    batch = batch_of().with_model(device=device)
    assert [executors._on_own_gpu(batch, index).settings.model.device for index in range(3)] == devices


def test_one_local_worker_is_this_process(batch_of):
    assert isinstance(executor_of(batch_of()), InProcess)


def test_without_ray_the_install_line_is_told(batch_of, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'noisebook\[batch,ray\]'"):
        executor_of(batch_of(executor="ray"))
