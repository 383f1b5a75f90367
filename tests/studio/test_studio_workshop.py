"""Many visitors at once: all are served, one after the other, and each can leave."""

from __future__ import annotations

import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from noisebook import api
from noisebook.errors import AudioError, ConfigError, WrongModel
from noisebook.studio.jobs import Cancelled
from noisebook.studio.settings import Settings
from noisebook.studio.uploads import Limits
from noisebook.studio.workshop import Workshop


@pytest.fixture
def workshop(backend: Any, tmp_path: Path) -> Workshop:
    (tmp_path / "results").mkdir()
    return Workshop(backend, tmp_path / "results", limits=Limits(seconds=2))


def test_eight_visitors_are_served_one_at_a_time_in_bounded_memory(workshop, song):
    settings, inside, most = Settings(preset="100", quality="fast"), set(), []
    workshop.make("first", settings, song)  # loads what has to be loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def tell(what: str, done: int, total: int) -> None:
        thread = threading.get_ident()
        inside.discard(thread) if what == "drawing" else inside.add(thread)
        most.append(len(inside))

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: workshop.make(str(i), settings, song, tell=tell), range(8)))
    assert len({html.split("results/")[1][:22] for html in made}) == 8
    assert max(most) == 1
    assert workshop.shelf.size < 8 * 500_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB


def test_a_job_can_be_cancelled_while_it_waits(workshop, song):
    held, go = threading.Event(), threading.Event()

    def hold(what: str, done: int, total: int) -> None:
        held.set()
        assert go.wait(60)

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(workshop.make, "ann", Settings(preset="8"), song, tell=hold)
        assert held.wait(60)
        workshop.begin("ben")
        waiting = pool.submit(workshop.make, "ben", Settings(preset="8"), song)
        workshop.cancel("ben")
        go.set()
        with pytest.raises(Cancelled):
            waiting.result(60)
        assert "noisebook-result" in running.result(60)


def test_a_cancelled_session_can_begin_again(workshop, song):
    workshop.begin("ann")
    workshop.cancel("ann")
    with pytest.raises(Cancelled):
        workshop.make("ann", Settings(preset="8"), song)
    assert "song-8-bit-s.ddcm" in workshop.make("ann", Settings(preset="8"), song)


def test_who_leaves_ends_the_job_and_takes_the_results_along(workshop, song, tmp_path):
    workshop.make("ann", Settings(preset="8"), song)
    assert len(list((tmp_path / "results").iterdir())) == 1
    with pytest.raises(Cancelled):
        workshop.make("ann", Settings(preset="8"), song, tell=lambda *_: workshop.close("ann"))
    assert list((tmp_path / "results").iterdir()) == []


def test_the_end_of_the_server_cancels_everything(workshop, song):
    with pytest.raises(Cancelled):
        workshop.make("ann", Settings(preset="8"), song, tell=lambda *_: workshop.end())


def test_limits_hold_for_what_is_generated_too(workshop):
    with pytest.raises(AudioError, match=r"the sound would be 2\.5 s long, and at most 2 s"):
        workshop.make("ann", Settings(method="generate", seconds=2.5), None)
    with pytest.raises(ConfigError, match="there is no sound: drop a file"):
        workshop.make("ann", Settings(), None)


def test_nothing_stays_after_a_failure(workshop, tmp_path):
    (tmp_path / "no.wav").write_bytes(b"no sound")
    with pytest.raises(AudioError):
        workshop.make("ann", Settings(), tmp_path / "no.wav")
    assert list((tmp_path / "results").iterdir()) == []
    workshop.cancel("ann")  # a job that is over: nothing to cancel, and no error


def test_a_stream_is_opened(workshop, song, tmp_path):
    workshop.make("ann", Settings(preset="100"), song)
    (stream,) = (tmp_path / "results").glob("*/*.ddcm")
    assert "What the stream says" in workshop.open("ann", stream)


def test_a_stream_is_opened_with_the_model_that_made_it(backend, other_model, sound, tmp_path):
    other = api.load_backend(str(other_model), device="cpu")
    (tmp_path / "results").mkdir()
    (tmp_path / "a.ddcm").write_bytes(api.compress(sound, backend=other, preset="8"))
    with pytest.raises(WrongModel):
        Workshop(backend, tmp_path / "results").open("ann", tmp_path / "a.ddcm")
    shop = Workshop(backend, tmp_path / "results", backend_for=lambda data: other)
    assert "noisebook-result" in shop.open("ann", tmp_path / "a.ddcm")
