"""Workers in processes and on a real Ray cluster: the same results, and files of a dead worker are done by another."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from noisebook.batch import crews
from noisebook.batch.crews import InProcess, Processes, hand_out
from noisebook.batch.runs import run
from noisebook.batch.worker import Task
from noisebook.errors import MissingExtra, ModelError
from tests.batch.conftest import contents, done


class Dying:
    """A crew in which each submitted group that holds a deadly file kills its worker."""

    size = 2

    def __init__(self, deadly: dict[str, int]) -> None:
        self.deadly, self.given, self.log = deadly, {}, []

    def submit(self, index, group):
        assert index not in self.given, "one group at a time"
        self.given[index] = group
        self.log.append([task.source for task in group])

    def wait(self):
        index = min(self.given)
        group = self.given.pop(index)
        for task in group:
            if self.deadly.get(task.source, 0) > 0:
                self.deadly[task.source] -= 1
                return index, None
        return index, [crews.Outcome(task, {}) for task in group]


def tasks(names: str) -> list[Task]:
    return [Task(name, f"{name}.out") for name in names]


def test_each_file_comes_out_once():
    crew, started = Dying({}), []
    outcomes = list(hand_out(crew, [tasks("ab"), tasks("c"), tasks("de")], lambda task: started.append(task.source)))
    assert sorted(outcome.task.source for outcome in outcomes) == list("abcde")
    assert started == list("abcde")


def test_files_of_a_dead_worker_are_tried_again_one_by_one():
    crew = Dying({"b": 1})
    outcomes = list(hand_out(crew, [tasks("ab"), tasks("c")]))
    assert sorted(outcome.task.source for outcome in outcomes) == list("abc")
    assert all(outcome.error is None for outcome in outcomes)
    assert crew.log == [["a", "b"], ["c"], ["a"], ["b"]]


def test_a_file_that_kills_every_worker_fails_and_no_other():
    outcomes = {outcome.task.source: outcome.error for outcome in hand_out(Dying({"b": 99}), [tasks("abc")])}
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


def test_processes_give_the_same_files_and_survive_a_kill(corpus, batch_of, undisturbed, monkeypatch):
    submit, killed = Processes.submit, []

    def submit_and_kill(self, index, group):
        submit(self, index, group)
        if len(killed) < 2 and group[0].source in ("d.wav", "x/b.wav"):
            killed.append(self._crew[index][0].pid)
            os.kill(killed[-1], signal.SIGKILL)

    monkeypatch.setattr(Processes, "submit", submit_and_kill)
    summary = run(batch_of(workers=2))
    assert len(killed) == 2
    assert (summary.done, summary.failed) == (5, [])
    assert contents(Path("out")) == undisturbed
    assert sorted(done(Path("out"))) == ["a.flac", "a.wav", "d.wav", "x/b.wav", "x/y/c.ogg"]
    for pid in killed:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_model_that_cannot_be_loaded_is_told_by_the_worker(corpus, batch_of, tmp_path):
    work = batch_of().work
    for name in ("vae", "denoiser", "vocoder"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"no weights")
    settings = replace(work.settings, engine=replace(work.settings.engine, model=str(tmp_path)))
    crew = Processes(replace(work, settings=settings), 1)
    try:
        with pytest.raises(ModelError):
            crew.start()
    finally:
        crew.stop()


@pytest.mark.parametrize(
    ("device", "count", "devices"),
    [("auto", 2, ["cuda:0", "cuda:1", "cuda:0"]), ("auto", 1, ["auto"] * 3), ("cuda:1", 2, ["cuda:1"] * 3)],
)
def test_workers_take_turns_with_gpus(device, count, devices, batch_of, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    work = batch_of().work
    work = replace(work, settings=replace(work.settings, engine=replace(work.settings.engine, device=device)))
    assert [crews._on_device(work, index).settings.engine.device for index in range(3)] == devices


def test_one_local_worker_is_this_process(batch_of):
    assert isinstance(crews.crew_of(batch_of().work, "local", 1), InProcess)


def test_without_ray_the_install_line_is_told(batch_of, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'noisebook\[batch,ray\]'"):
        crews.crew_of(batch_of().work, "ray", 1)
