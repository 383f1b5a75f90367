"""A corpus through each verb: what is done, what is skipped, what fails, and what the manifest says."""

from __future__ import annotations

import os
import uuid
from hashlib import sha256
from pathlib import Path

import pytest

from noisebook import api
from noisebook.api.models import ModelOptions
from noisebook.audio.io import read, write
from noisebook.batch import worker
from noisebook.batch.planning import Batch, RunOptions
from noisebook.batch.runs import dry_run, run
from noisebook.batch.storage import Storage
from noisebook.batch.verbs import Settings
from noisebook.errors import AudioError, ConfigError
from tests.batch.conftest import FAST, contents, done, lines, make_corpus, tone

pytestmark = pytest.mark.usefixtures("quick_vocoder")

STREAMS = ["a.flac.ddcm", "a.wav.ddcm", "d.ddcm", "x/b.ddcm", "x/y/c.ddcm"]


def test_streams_are_those_of_single_files(corpus, batch_of, bands):
    told = []
    summary = run(batch_of(), on_file=lambda *count: told.append(count))
    assert (summary.done, summary.skipped, summary.failed, summary.left_out) == (5, 0, [], 1)
    assert told == [(i, 5) for i in range(1, 6)]
    streams = contents(Path("out"))
    assert list(streams) == STREAMS
    for source, name in (("a.flac", "a.flac.ddcm"), ("x/y/c.ogg", "x/y/c.ddcm")):
        assert streams[name] == api.compress(read(corpus / source), backend=bands, **FAST)
    assert summary.bytes == sum(map(len, streams.values()))
    assert summary.audio_seconds == pytest.approx(1.0)


def test_the_manifest_says_what_became_of_each_file(corpus, batch_of):
    run(batch_of())
    first, *rest = lines(Path("out"))
    assert (first["state"], first["verb"], first["options"]) == ("run", "compress", FAST)
    for started, ended in zip(rest[::2], rest[1::2], strict=True):
        assert (started["state"], ended["state"]) == ("started", "done")
        source, target = corpus / ended["source"], Path("out", ended["target"])
        assert ended["source_bytes"] == source.stat().st_size
        assert ended["source_sha256"] == sha256(source.read_bytes()).hexdigest()
        assert ended["bytes"] == target.stat().st_size
        assert ended["target_sha256"] == sha256(target.read_bytes()).hexdigest()
        assert ended["audio_seconds"] == pytest.approx(0.2)
        assert ended["seconds"] > 0
        assert ended["error"] is None


def test_files_taken_together_give_the_same_streams(corpus, batch_of):
    run(batch_of())
    run(batch_of(target="other", batch_size=3))
    assert contents(Path("other")) == contents(Path("out"))


def test_sounds_come_back(corpus, batch_of, bands):
    run(batch_of())
    summary = run(batch_of("decompress", "out", "back", suffix=".flac"))
    assert (summary.done, summary.failed) == (5, [])
    sounds = contents(Path("back"))
    assert list(sounds) == ["a.flac.flac", "a.wav.flac", "d.flac", "x/b.flac", "x/y/c.flac"]
    alone = Path("alone.flac")
    write(alone, api.decompress(Path("out/d.ddcm").read_bytes(), backend=bands))
    assert sounds["d.flac"] == alone.read_bytes()


def test_sounds_go_through_the_autoencoder(corpus, batch_of):
    summary = run(batch_of("reconstruct", options={"preset": "simple"}))
    assert (summary.done, summary.failed) == (5, [])
    assert list(contents(Path("out"))) == ["a.flac.wav", "a.wav.wav", "d.wav", "x/b.wav", "x/y/c.wav"]
    assert all(line["measures"] for line in lines(Path("out")) if line["state"] == "done")


def test_results_are_verified_in_their_folder(corpus, batch_of):
    run(batch_of())
    Path("out/d.ddcm").rename("d.ddcm")
    options = {"metrics": ["mel_db_mae"], "controls": False, "ceilings": False}
    summary = run(batch_of("verify", options=options))
    assert summary.done == 4
    assert summary.failed == [("d.wav", "no sound and no stream of that name is in the folder of results")]
    ended = [line for line in lines(Path("out"), "verification.jsonl") if line["state"] == "done"]
    assert [line["other"] for line in ended] == [name for name in STREAMS if name != "d.ddcm"]
    for line in ended:
        assert line["metrics"]["mel_db_mae"] > 0
        assert line["verdict"]["related"] is False  # a fifth of a second says nothing
    Path("d.ddcm").rename("out/d.ddcm")
    summary = run(batch_of("verify", options=options, resume=True))
    assert (summary.done, summary.skipped) == (1, 4)
    Path("out/a.wav").write_bytes(b"")
    summary = run(batch_of("verify", options=options, resume=True))
    assert [source for source, _ in summary.failed] == ["a.flac", "a.wav"]
    assert "several are of that name: a.ddcm" not in str(summary.failed)


def test_what_is_done_is_skipped_and_only_that(corpus, batch_of, tiny_model, other_model):
    run(batch_of())
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.ddcm")}
    with pytest.raises(ConfigError, match=r"holds a batch .*--resume does what is missing"):
        run(batch_of())
    assert run(batch_of(resume=True)).skipped == 5
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.ddcm")} == before
    os.utime(corpus / "a.wav")  # touched, not changed
    write(corpus / "d.wav", tone(7), overwrite=True)
    Path("out/x/b.ddcm").unlink()
    summary = run(batch_of(resume=True))
    assert (summary.done, summary.skipped) == (2, 3)
    assert done(Path("out"))[5:] == ["d.wav", "x/b.wav"]
    other = run(batch_of(resume=True, options={"preset": "100"}))
    assert (other.done, other.skipped) == (5, 0)


def test_only_what_a_batch_wrote_is_overwritten(corpus, batch_of):
    Path("out").mkdir()
    Path("out/d.ddcm").write_bytes(b"of someone else")
    summary = run(batch_of())
    assert summary.done == 4
    ((source, error),) = summary.failed
    assert source == "d.wav"
    assert "exists, and no batch wrote it: --force overwrites" in error
    assert Path("out/d.ddcm").read_bytes() == b"of someone else"
    Path("out/x/b.ddcm").write_bytes(b"changed by someone")
    summary = run(batch_of(resume=True))
    assert [source for source, _ in summary.failed] == ["d.wav", "x/b.wav"]
    summary = run(batch_of(resume=True, force=True))
    assert (summary.done, summary.skipped, summary.failed) == (2, 3, [])
    assert run(batch_of(force=True)).done == 5


def test_a_file_that_fails_is_listed_and_the_others_are_done(corpus, batch_of):
    (corpus / "bad.wav").write_bytes(b"no sound")
    (corpus / "empty.wav").touch()
    write(corpus / "wide.wav", api.Waveform(tone(0).samples.repeat(3, 0), 16000))
    summary = run(batch_of())
    assert summary.done == 5
    told = dict(summary.failed)
    assert list(told) == ["bad.wav", "empty.wav", "wide.wav"]
    assert told["bad.wav"].startswith("cannot read src/bad.wav: libsndfile cannot decode it")
    assert "the file is empty" in told["empty.wav"]
    assert "3 channels" in told["wide.wav"]
    assert [line["error"] for line in lines(Path("out")) if line["state"] == "failed"] == list(told.values())
    write(corpus / "bad.wav", tone(9), overwrite=True)
    summary = run(batch_of(resume=True))
    assert (summary.done, summary.skipped, len(summary.failed)) == (1, 5, 2)


def test_a_bug_over_one_file_is_listed_with_its_trace(corpus, batch_of, monkeypatch):
    def failing(settings, files, *rest, **more):
        if "b.wav" in files[0][0]:
            raise RuntimeError("of someone")
        return process(settings, files, *rest, **more)

    process = worker.process
    monkeypatch.setattr(worker, "process", failing)
    summary = run(batch_of())
    assert summary.failed == [("x/b.wav", "a bug: RuntimeError: of someone")]
    (line,) = (line for line in lines(Path("out")) if line["state"] == "failed")
    assert "Traceback" in line["traceback"]


def test_a_source_that_changes_meanwhile_is_told(corpus, batch_of, monkeypatch):
    def changing(settings, files, *rest, **more):
        if "d.wav" in files[0][0]:
            write(corpus / "d.wav", tone(8), overwrite=True)
        return process(settings, files, *rest, **more)

    process = worker.process
    with monkeypatch.context() as patch:
        patch.setattr(worker, "process", changing)
        summary = run(batch_of())
    assert summary.done == 4
    ((source, error),) = summary.failed
    assert source == "d.wav"
    assert "changed while" in error
    assert not Path("out/d.ddcm").exists()
    assert run(batch_of(resume=True)).done == 1


def test_an_interrupt_leaves_whole_files_and_resume_goes_on(corpus, batch_of, monkeypatch):
    def interrupt(count, total):
        if count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(batch_of(), on_file=interrupt)
    assert len(done(Path("out"))) == 2
    assert len(contents(Path("out"))) == 2
    summary = run(batch_of(resume=True))
    assert (summary.done, summary.skipped) == (3, 2)
    assert list(contents(Path("out"))) == STREAMS


def test_a_huge_file_is_refused_by_its_size(corpus, batch_of):
    with open(corpus / "huge.wav", "wb") as file:
        file.truncate(2**31 + 1)  # takes no room
    summary = run(batch_of())
    assert summary.done == 5
    assert summary.failed == [("huge.wav", "it has 2147483649 bytes, and a batch takes 2147483648 at most: cut it")]


def test_a_url_is_as_good_as_a_folder(corpus, batch_of):
    run(batch_of())
    name = uuid.uuid4().hex
    memory = Storage(f"memory://{name}/in")
    for path in corpus.rglob("*.*"):
        if path.is_file():
            memory.write(path.relative_to(corpus).as_posix(), path.read_bytes())
    batch = batch_of(source=memory.url, target=f"memory://{name}/out")
    assert run(batch).done == 5
    streams = batch.results
    expected = contents(Path("out"))
    assert {name: streams.read(name) for name in streams.files() if name.endswith(".ddcm")} == expected
    memory.write("a.wav", (corpus / "d.wav").read_bytes())
    summary = run(batch_of(source=memory.url, target=streams.url, resume=True))
    assert (summary.done, summary.skipped) == (1, 4)


def test_a_target_inside_the_source_is_no_source(corpus, batch_of):
    assert run(batch_of("reconstruct", target="src/out", options={"preset": "simple"})).done == 5
    assert run(batch_of("reconstruct", target="src/out", options={"preset": "simple"}, resume=True)).skipped == 5


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"source": "src/a.wav"}, "src/a.wav is a file: name a folder"),
        ({"source": "nowhere"}, "there is no folder nowhere"),
        ({"target": "src/a.wav"}, "src/a.wav is a file: name a folder for the results"),
        ({"target": "src/../src"}, "is the folder of the sources"),
        ({"executor": "cloud"}, "executor 'cloud': local, ray are possible"),
        ({"workers": 0}, "workers 0: at least 1 is possible"),
        ({"options": {"preset": "17"}}, "17"),
        ({"options": {"bitrate": 1e9}}, "1e"),
        ({"options": {"channels": "quadro"}}, "quadro"),
        ({"verb": "reconstruct", "options": {"vocoder": "none"}}, "none"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(places, message, corpus, batch_of):
    with pytest.raises(ConfigError, match=message):
        run(batch_of(**places))
    assert not contents(Path("out")) if Path("out").exists() else True


def test_a_dry_run_writes_nothing(corpus, batch_of):
    (corpus / "bad.wav").write_bytes(b"no sound")
    plan = dry_run(batch_of())
    assert not Path("out").exists()
    assert [task.target for task in plan.todo] == ["a.flac.ddcm", "a.wav.ddcm", "bad.ddcm", *STREAMS[2:]]
    run(batch_of())
    plan = dry_run(batch_of(resume=True))
    assert ([task.source for task in plan.todo], plan.skipped) == (["bad.wav"], 5)


@pytest.mark.parametrize("verb", ["compress", "decompress", "reconstruct", "verify"])
def test_an_estimate_comes_near(verb, corpus, batch_of):
    from noisebook.batch.runs import estimate

    options = {"metrics": ["snr_db"], "controls": False, "ceilings": False} if verb == "verify" else None
    if verb in ("decompress", "verify"):
        run(batch_of())
    places = {"source": "out", "target": "back"} if verb == "decompress" else {}
    batch = batch_of(verb, **places, **({"options": options} if options else {}))
    (corpus / "0.wav").write_bytes(b"no sound")
    found = estimate(batch, dry_run(batch))
    summary = run(batch)
    assert found.files == (6 if verb in ("compress", "reconstruct") else 5)
    assert found.unknown == found.files - 5
    assert found.audio_seconds == pytest.approx(summary.audio_seconds)
    assert found.bytes == pytest.approx(summary.bytes, rel=0.1)
    assert found.seconds > 0


def test_nothing_to_do_is_no_error(batch_of):
    Path("src").mkdir()
    assert run(batch_of()).done == 0
    assert Path("out").is_dir()


def test_a_damaged_stream_is_listed_by_name(batch_of, corpus):
    run(batch_of())
    data = Path("out/d.ddcm").read_bytes()
    Path("out/d.ddcm").write_bytes(data[:-1])
    summary = run(batch_of("decompress", "out", "back"))
    assert summary.done == 4
    ((source, error),) = summary.failed
    assert source == "d.ddcm"
    assert error == "segment 0 ends at 35, the stream at 34: cut short; decompress --damaged plays what is there"


def test_make_corpus_is_what_the_tests_say(tmp_path):
    assert sorted(Storage(str(make_corpus(tmp_path / "src"))).files()) == [
        "a.flac", "a.wav", "d.wav", "notes.txt", "x/b.wav", "x/y/c.ogg",
    ]  # fmt: skip


def test_an_unreadable_source_is_listed(corpus, batch_of, monkeypatch):
    def unreadable(self, name):
        if name == "d.wav":
            raise AudioError(f"cannot read {self.shown(name)}: Permission denied")
        return read_bytes(self, name)

    read_bytes = Storage.read
    monkeypatch.setattr(Storage, "read", unreadable)
    summary = run(batch_of())
    assert summary.failed == [("d.wav", "cannot read src/d.wav: Permission denied")]
    assert summary.done == 4


def test_each_stream_is_decoded_by_the_model_that_made_it(tiny_model, other_model, tmp_path, monkeypatch):
    monkeypatch.setattr("noisebook.backends.mini_files.WEIGHTS", tiny_model)
    monkeypatch.setenv("NOISEBOOK_MODELS", str(tmp_path / "models"))
    backends = [api.load_backend(str(folder), device="cpu") for folder in (tiny_model, other_model)]
    streams = [api.compress(tone(index), backend=one, preset="300") for index, one in enumerate(backends)]
    Path("in").mkdir()
    for index, data in enumerate(streams):
        Path(f"in/{index}.ddcm").write_bytes(data)
    engine = ModelOptions(None, device="cpu", threads=1)
    batch = Batch("in", "out", Settings("decompress", {}, engine), RunOptions(batch_size=2, resume=True))
    summary = run(batch)
    assert summary.done == 1
    ((source, error),) = summary.failed
    assert source == "1.ddcm"
    assert "which is not here" in error
    api.install_model(other_model)
    summary = run(batch)
    assert (summary.done, summary.skipped, summary.failed) == (1, 1, [])
    for index, (data, one) in enumerate(zip(streams, backends, strict=True)):
        write(f"{index}.wav", api.decompress(data, backend=one))
        assert Path(f"out/{index}.wav").read_bytes() == Path(f"{index}.wav").read_bytes()
