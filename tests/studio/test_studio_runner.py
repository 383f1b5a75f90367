"""Many visitors at once: all are served, one after the other, and each can leave."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from noisebook import api
from noisebook.errors import AudioError, ConfigError, WrongModel
from noisebook.studio.files import Limits
from noisebook.studio.jobs import Cancelled, run
from noisebook.studio.runner import JobRunner
from noisebook.studio.settings import Settings


@pytest.fixture
def runner(backend: Any, tmp_path: Path) -> JobRunner:
    (tmp_path / "results").mkdir()
    return JobRunner(backend, tmp_path / "results", limits=Limits(seconds=2))


def last(stages: Iterator[str]) -> str:
    """The page of a job when it is done."""
    *_, html = stages
    return html


def test_eight_visitors_are_served_one_at_a_time_in_bounded_memory(runner, song, tmp_path, monkeypatch):
    settings, inside, most = Settings(preset="100", quality="fast"), set(), []
    last(runner.make("first", settings, song))  # loads what has to be loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        thread, stages = threading.get_ident(), run(*arguments, **options)
        inside.add(thread)
        yield next(stages)
        most.append(len(inside))
        (judged,) = stages
        inside.discard(thread)
        yield judged

    monkeypatch.setattr("noisebook.studio.jobs.run", counted)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: last(runner.make(str(i), settings, song)), range(8)))
    assert len({html.split("results/")[1][:22] for html in made}) == 8
    assert most == [1] * 8
    assert sum(path.stat().st_size for path in (tmp_path / "results").glob("*/*")) < 8 * 500_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB


def test_a_job_can_be_cancelled_while_it_waits(runner, song):
    held, go = threading.Event(), threading.Event()
    told: list[str] = []

    def hold(what: str, share: float) -> None:
        held.set()
        assert go.wait(60)

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(last, runner.make("ann", Settings(preset="8"), song, tell=hold))
        assert held.wait(60)
        runner.begin("ben")
        waiting = pool.submit(
            last, runner.make("ben", Settings(preset="8"), song, tell=lambda what, *_: told.append(what))
        )
        while not told:
            time.sleep(0.01)
        runner.cancel("ben")
        with pytest.raises(Cancelled):
            waiting.result(60)  # at once: the other still runs
        assert not running.done()
        assert told == ["waiting for 1 other"]
        go.set()
        assert "noisebook-result" in running.result(60)


def test_a_cancelled_session_can_begin_again(runner, song):
    runner.begin("ann")
    runner.cancel("ann")
    with pytest.raises(Cancelled):
        last(runner.make("ann", Settings(preset="8"), song))
    assert "song-preset-8.ddcm" in last(runner.make("ann", Settings(preset="8"), song))


def test_who_leaves_ends_the_job_and_takes_the_results_along(runner, song, tmp_path):
    last(runner.make("ann", Settings(preset="8"), song))
    assert len(list((tmp_path / "results").iterdir())) == 1
    with pytest.raises(Cancelled):
        last(runner.make("ann", Settings(preset="8"), song, tell=lambda *_: runner.close("ann")))
    assert list((tmp_path / "results").iterdir()) == []


def test_the_end_of_the_server_cancels_everything(runner, song):
    with pytest.raises(Cancelled):
        last(runner.make("ann", Settings(preset="8"), song, tell=lambda *_: runner.end()))


def test_limits_hold_for_what_is_generated_too(runner):
    with pytest.raises(AudioError, match=r"the sound would be 2\.5 s long, and at most 2 s"):
        last(runner.make("ann", Settings(method="generate", seconds=2.5), None))
    with pytest.raises(ConfigError, match="there is no sound: drop a file"):
        last(runner.make("ann", Settings(), None))


def test_nothing_stays_after_a_failure(runner, tmp_path):
    (tmp_path / "no.wav").write_bytes(b"no sound")
    with pytest.raises(AudioError):
        last(runner.make("ann", Settings(), tmp_path / "no.wav"))
    assert list((tmp_path / "results").iterdir()) == []
    runner.cancel("ann")  # a job that is over: nothing to cancel, and no error


def test_a_stream_is_opened(runner, song, tmp_path):
    last(runner.make("ann", Settings(preset="100"), song))
    (stream,) = (tmp_path / "results").glob("*/*.ddcm")
    assert "What the stream says" in last(runner.open("ann", stream))


def test_a_stream_is_opened_with_the_model_that_made_it(backend, other_model, sound, tmp_path):
    other = api.load_backend(str(other_model), device="cpu")
    (tmp_path / "results").mkdir()
    (tmp_path / "a.ddcm").write_bytes(api.compress(sound, backend=other, preset="8"))
    with pytest.raises(WrongModel):
        last(JobRunner(backend, tmp_path / "results").open("ann", tmp_path / "a.ddcm"))
    shop = JobRunner(backend, tmp_path / "results", backend_for=lambda data: other)
    assert "noisebook-result" in last(shop.open("ann", tmp_path / "a.ddcm"))


def test_a_sound_is_there_before_its_numbers_and_stays_if_they_are_cancelled(runner, song):
    stages = runner.make("ann", Settings(preset="8"), song)
    first = next(stages)
    assert "song-preset-8.wav" in first
    assert "follow in a moment" in first
    runner.cancel("ann")
    (second,) = stages
    assert "song-preset-8.wav" in second
    assert "Cancelled: no numbers." in second


def test_the_bundled_clips_are_ready_for_all(runner):
    song = runner.ready("demo")
    assert runner.ready("demo") is song
    for told in ("Song-1-preset-3000.wav", "Song-3-preset-30.ddcm", "318 bit/s (preset 300)", "data-ready"):
        assert told in unescape(song)
    assert "Use as input" not in song
    assert "made in" not in song


def test_more_than_may_wait_are_refused(backend, song, tmp_path):
    (tmp_path / "results").mkdir()
    runner = JobRunner(backend, tmp_path / "results", waiting=0)
    first = runner.make("ann", Settings(preset="8"), song)
    next(first)
    with pytest.raises(ConfigError, match="0 jobs are waiting already"):
        last(runner.make("ben", Settings(preset="8"), song))
    first.close()  # as when the visitor is gone: the next one can begin
    assert "song-preset-8.wav" in last(runner.make("ben", Settings(preset="8"), song))


def test_uploads_go_with_the_session_that_sent_them(runner, tmp_path):
    both, own = tmp_path / "a/both.wav", tmp_path / "b/own.wav"
    for path in (both, own):
        path.parent.mkdir()
        path.write_bytes(b"sound")
        runner.keep_upload("ann", path)
    runner.keep_upload("ben", both)
    runner.close("ann")
    assert both.exists()
    assert not own.parent.exists()
    runner.close("ben")
    assert not both.parent.exists()
    late = tmp_path / "c/late.wav"  # the page was closed before it said whose file it is
    late.parent.mkdir()
    late.write_bytes(b"sound")
    runner.keep_upload("ben", late)
    assert not late.parent.exists()
