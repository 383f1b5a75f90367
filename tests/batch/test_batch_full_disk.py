"""Disks that are full: a file system of a few pages, and a limit on the size of a file where one cannot be mounted."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from noisebook.batch.runs import run
from noisebook.batch.storage import OutOfSpace
from tests.batch.conftest import contents, done, lines, make_corpus, tone

TESTS = Path(__file__).parents[1]
run_main = run_path(str(TESTS / "cli" / "conftest.py"))["run_main"]
PAGE = 4096

pytestmark = pytest.mark.usefixtures("quick_vocoder")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, with a file that nobody may lose."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={16 * PAGE}", "noisebook", disk)
    if mounted:
        pytest.skip(f"no file system can be mounted here: {mounted}")
    (disk / "precious.ddcm").write_bytes(b"of somebody else")
    yield disk
    subprocess.run(["umount", disk], check=True)


def _mount(*arguments: object) -> str:
    """What is wrong; "" where nothing is."""
    try:
        return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False).stderr
    except FileNotFoundError as error:
        return str(error)


def fill(disk: Path, leave: int = 0) -> None:
    """Until at most so many bytes are left."""
    with (disk / "filling").open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(bytes(PAGE)):
                pass
        file.truncate(file.tell() // PAGE * PAGE - leave)


@contextmanager
def files_of(size: int) -> Iterator[None]:
    """No file may become larger than that; the system says EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def engine(tiny_model: Path) -> list[object]:
    return ["--model", tiny_model, "--device", "cpu", "--quiet"]


@pytest.fixture
def song_and_stream(engine: list[object]) -> None:
    """song.wav and song.ddcm."""
    from noisebook.audio.io import write

    write("song.wav", tone(0, 16000))
    assert run_main("compress", "song.wav", "song.ddcm", *engine).status == 0


VERBS = {"compress": ("song.wav", "new.ddcm"), "decompress": ("song.ddcm", "new.wav")}


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    verb: str, small_disk: Path, song_and_stream: None, engine: list[object]
) -> None:
    source, name = VERBS[verb]
    fill(small_disk)
    before = contents(small_disk)
    told = run_main(verb, source, small_disk / name, *engine).told()
    assert told == f"cannot write {small_disk / name}: No space left on device"
    assert contents(small_disk) == before
    precious = small_disk / "precious.ddcm" if verb == "compress" else small_disk / "precious.wav"
    (small_disk / "precious.ddcm").replace(precious)
    told = run_main(verb, source, precious, "-f", *engine).told()  # not even what was to be overwritten is lost
    assert told == f"cannot write {precious}: No space left on device"
    assert precious.read_bytes() == b"of somebody else"


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_that_may_not_grow_is_one_sentence_and_leaves_nothing(
    verb: str, song_and_stream: None, engine: list[object]
) -> None:
    source, name = VERBS[verb]
    before = contents(Path())
    with files_of(64):
        told = run_main(verb, source, name, *engine).told()
    assert told == f"cannot write {name}: File too large"
    assert contents(Path()) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_batch_onto_a_small_disk_ends_and_goes_on_when_there_is_room(
    verb: str, small_disk: Path, batch_of: Callable[..., Any]
) -> None:
    make_corpus(Path("src"))
    source = "src"
    if verb == "decompress":
        run(batch_of(target="streams"))
        source = "streams"
    run(batch_of(verb, source, "undisturbed"))
    expected = contents(Path("undisturbed"))
    fill(small_disk, leave=3 * PAGE)  # for the manifest, and what comes first
    out = small_disk / "out"
    with pytest.raises(OutOfSpace, match=r"cannot (write|make the folder) .*No space left on device"):
        run(batch_of(verb, source, out))
    assert all(expected[name] == data for name, data in contents(out).items()), "a partial file"
    assert all(line["state"] in ("run", "started", "done") for line in lines(out))
    assert (small_disk / "precious.ddcm").read_bytes() == b"of somebody else"
    before = len(done(out))
    assert len(contents(out)) >= before
    (small_disk / "filling").unlink()
    assert run(batch_of(verb, source, out, resume=True)).skipped == before
    assert contents(out) == expected
    assert sorted(done(out)) == sorted(done(Path("undisturbed")))


def test_a_manifest_that_may_not_grow_ends_the_run_in_a_sentence_and_resume_goes_on(
    corpus: Path, batch_of: Callable[..., Any], tiny_model: Path
) -> None:
    with files_of(1500):  # bytes: the manifest meets it after a few lines
        ran = run_main("batch", "compress", "src", "out", "-p", "300", "--model", tiny_model, "--device", "cpu")
    assert ran == (1, b"", "noisebook: cannot write out/manifest.jsonl: No space left on device\n")
    assert all(line["state"] in ("run", "started", "done") for line in lines(Path("out")))
    before = len(done(Path("out")))
    assert run(batch_of(resume=True)).skipped == before > 0
    run(batch_of(target="undisturbed"))
    assert contents(Path("out")) == contents(Path("undisturbed"))
    assert sorted(done(Path("out"))) == sorted(done(Path("undisturbed")))
