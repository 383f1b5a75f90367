"""A real object store: the S3 protocol, spoken over a socket of this machine with a server that keeps all in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from noisebook.batch.runs import dry_run, run
from noisebook.batch.storage import TEMPORARY, Storage
from noisebook.errors import AudioError, ConfigError
from tests.batch.conftest import contents, make_corpus

pytest.importorskip("moto", reason="no server of S3: pip install 'moto[s3]' flask flask-cors")
fsspec = pytest.importorskip("fsspec")
pytest.importorskip("s3fs")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where it listens; it ends with the tests."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system of that server, as the environment names it; the bucket `corpus` is empty."""
    credentials = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {"AWS_ENDPOINT_URL": server, **credentials}.items():
        monkeypatch.setenv(name, value)
    store = fsspec.filesystem("s3")
    store.mkdir("corpus")
    yield store
    store.rm("corpus", recursive=True)
    fsspec.filesystem("s3").clear_instance_cache()


@pytest.fixture
def sources(s3: Any) -> None:
    """s3://corpus/src: the files of `make_corpus`."""
    make_corpus(Path("src"))
    s3.put("src", "corpus/src", recursive=True)


def keys(s3: Any, folder: str) -> dict[str, bytes]:
    """What lies below a folder of the bucket, but for manifests."""
    s3.invalidate_cache()
    found = s3.find(f"corpus/{folder}")
    return {key.removeprefix(f"corpus/{folder}/"): s3.cat_file(key) for key in found if not key.endswith(".jsonl")}


def records(s3: Any, folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in s3.cat_file(f"corpus/{folder}/manifest.jsonl").splitlines()]


def test_from_store_to_store_is_as_from_folder_to_folder(s3: Any, sources: None, batch_of: Callable[..., Any]) -> None:
    run(batch_of(target="here"))
    summary = run(batch_of(source="s3://corpus/src", target="s3://corpus/out"))
    assert (summary.done, summary.failed) == (5, [])
    assert keys(s3, "out") == contents(Path("here"))
    assert not any(TEMPORARY in key for key in s3.find("corpus"))
    run(batch_of("decompress", "s3://corpus/out", "sounds"))
    run(batch_of("decompress", "here", "local"))
    assert contents(Path("sounds")) == contents(Path("local"))
    verified = run(batch_of("verify", "s3://corpus/src", "s3://corpus/out", options={"metrics": ["mel_db_mae"]}))
    assert (verified.done, verified.failed) == (5, [])


def test_resume_does_what_is_missing_and_what_has_changed(s3: Any, sources: None, batch_of: Callable[..., Any]) -> None:
    batch = batch_of(source="s3://corpus/src", target="s3://corpus/out", resume=True)
    run(batch)
    before = keys(s3, "out")
    assert run(batch).skipped == 5
    s3.rm_file("corpus/out/d.ddcm")
    s3.copy("corpus/src/d.wav", "corpus/src/x/b.wav")  # another sound under that name
    assert [task.source for task in dry_run(batch).todo] == ["d.wav", "x/b.wav"]
    summary = run(batch)
    assert (summary.done, summary.skipped) == (2, 3)
    assert keys(s3, "out") == before | {"x/b.ddcm": before["d.ddcm"]}
    assert [line["state"] for line in records(s3, "out")].count("done") == 7
    with pytest.raises(ConfigError, match="holds a batch"):
        run(batch_of(source="s3://corpus/src", target="s3://corpus/out"))


def test_a_run_that_is_killed_goes_on_from_the_store(
    s3: Any, sources: None, batch_of: Callable[..., Any], tiny_model: Path
) -> None:
    """The process ends in the middle of its third upload, without a word to anybody."""
    code = (
        "import os; from s3fs import S3FileSystem as S; put, count = S._pipe_file, []\n"
        "async def pipe(self, path, *more, **options):\n"
        "    count.append(path.endswith('.ddcm'))\n"
        "    if sum(count) == 3: os._exit(9)\n"
        "    return await put(self, path, *more, **options)\n"
        "S._pipe_file = pipe\n"
        "from noisebook.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "batch", "compress", "s3://corpus/src", "s3://corpus/out", "-p", "300"]
    command += ["--model", str(tiny_model), "--device", "cpu", "--threads", "1"]
    ran = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert ran.returncode == 9, ran.stderr
    assert len(keys(s3, "out")) == 2
    batch = batch_of(source="s3://corpus/src", target="s3://corpus/out", resume=True, force=True)
    assert run(batch).failed == []
    run(batch_of(target="here"))
    assert keys(s3, "out") == contents(Path("here"))


def test_what_the_store_refuses_is_a_sentence(s3: Any, sources: None, batch_of: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="there is no folder s3://corpus/nothing"):
        run(batch_of(source="s3://corpus/nothing", target="out"))
    with pytest.raises(ConfigError, match="there is no folder s3://nowhere/src"):
        run(batch_of(source="s3://nowhere/src", target="out"))
    with pytest.raises(AudioError, match=r"cannot read s3://corpus/src/no\.wav"):
        Storage("s3://corpus/src").read("no.wav")
    with pytest.raises(AudioError, match=r"cannot write s3://nowhere/out/a\.ddcm"):
        Storage("s3://nowhere/out").write("a.ddcm", b"x")
    with pytest.raises(AudioError, match=r"cannot write s3://nowhere/out/manifest\.jsonl"):
        run(batch_of(source="src", target="s3://nowhere/out"))
    assert not s3.exists("nowhere"), "a bucket was made of a name that was mistyped"
