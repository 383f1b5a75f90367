"""A real Ray cluster of two workers on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from noisebook.batch import executors
from noisebook.batch.runs import run
from noisebook.errors import ConfigError, ModelError
from tests.batch.conftest import contents, done

ray = pytest.importorskip("ray", reason="the engine ray needs Ray")

# Ray's own processes and sockets end when they do, and its imports warn of its own future.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture
def cluster():
    """Of two CPUs, on this machine."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def test_a_cluster_gives_the_same_files_though_a_worker_is_killed(corpus, batch_of, monkeypatch, cluster):
    run(batch_of(target="undisturbed"))
    submit, killed = executors.RayActors.submit, []

    def submit_and_kill(self, index, group):
        deadly = not killed and group[0].source == "d.wav"
        if deadly:
            killed.append(ray.get(self._actors[index].__ray_call__.remote(lambda worker: os.getpid())))
        submit(self, index, group)
        if deadly:
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(executors.RayActors, "submit", submit_and_kill)
    for options, error, message in (
        ({"workers": 99}, ConfigError, "99 workers need as many CPUs, and the cluster has 2: take fewer"),
        ({"workers": 1, "model": "src"}, ModelError, "holds no model"),
    ):
        with pytest.raises(error, match=message):
            executors.RayActors(batch_of(**options), options["workers"]).start()
    summary = run(batch_of(executor="ray", workers=2))
    assert len(killed) == 1
    assert (summary.done, summary.failed) == (5, [])
    assert contents(Path("out")) == contents(Path("undisturbed"))
    assert sorted(done(Path("out"))) == sorted(done(Path("undisturbed")))
    assert ray.is_initialized()  # it was there before
