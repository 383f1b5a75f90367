"""Kills, closed pipes, locked folders, a disk that fills up: nothing is lost, doubled or half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from noisebook.audio.io import write
from noisebook.batch.runs import run
from tests.batch.conftest import contents, done, lines, make_corpus, tone

HERE = Path(__file__).parent
KILLS = 6


@pytest.fixture
def killing(tiny_model):
    """Run `killing.py` over a command with the small model; what it printed."""

    def kill(seed, probe, arguments, again, seconds):
        engine = ["--model", str(tiny_model), "--device", "cpu", "--quiet"]
        command = [sys.executable, HERE / "killing.py", KILLS, seed, probe, "--", *arguments, *engine, "--", *again]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "WITHIN_SECONDS": str(seconds)}
        ran = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, cwd=Path.cwd(), timeout=280
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return kill


def test_a_batch_that_is_killed_again_and_again_ends_as_an_undisturbed_one(corpus, batch_of, killing):
    for index in range(3):
        write(f"src/more{index}.wav", tone(index, 1600))
    began = time.perf_counter()
    run(batch_of(target="undisturbed"))
    seconds = (time.perf_counter() - began) / 2  # the last kills find work too
    expected = contents(Path("undisturbed"))
    # Whatever has a result's name is a whole result, after every kill.
    probe = (
        "from pathlib import Path\n"
        "for path in sorted(Path('out').rglob('*.ddcm')):\n"
        "    whole = Path('undisturbed', path.relative_to('out')).read_bytes()\n"
        "    print('whole' if path.read_bytes() == whole else f'partial: {path}')\n"
    )
    arguments = ["batch", "compress", "src", "out", "-p", "300"]
    out = killing(5, probe, arguments, ["--resume"], seconds)
    assert set(out.split("\n")) <= {"whole", ""}
    assert contents(Path("out")) == expected  # no temporary file either
    assert sorted(done(Path("out"))) == sorted(done(Path("undisturbed")))
    runs = [line["state"] for line in lines(Path("out"))].count("run")
    assert runs > 3, "the kills came too late, or too early, to mean anything"
    assert run(batch_of(resume=True)).skipped == len(expected)


def test_a_single_compress_that_is_killed_leaves_its_target_whole_or_absent(killing):
    write("song.wav", tone(0))
    probe = "from pathlib import Path\nfor path in Path().glob('song.ddcm'): print(path.read_bytes().hex())"
    out = killing(6, probe, ["compress", "song.wav", "song.ddcm", "-p", "300"], ["-f"], 0.4)
    assert set(out.split()) <= {Path("song.ddcm").read_bytes().hex()}


def test_a_disk_that_fills_up_under_a_result_ends_the_run(corpus, batch_of, monkeypatch):
    import errno

    from fsspec.implementations.local import LocalFileSystem

    from noisebook.batch.storage import OutOfSpace

    def fill(self, path, value, **options):
        if "b.ddcm" in path or len(written) == 2:
            with open(path, "wb") as file:
                file.write(value[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        return pipe(self, path, value, **options)

    written: list[str] = []
    pipe = LocalFileSystem.pipe_file
    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, "pipe_file", fill)
        with pytest.raises(OutOfSpace, match=r"cannot write out/.*: No space left on device; make room, and --resume"):
            run(batch_of())
    assert len(contents(Path("out"))) == len(done(Path("out"))) == 2
    assert run(batch_of(resume=True)).done == 3


def test_a_locked_target_is_one_sentence(corpus, batch_of, unprivileged):
    from noisebook.errors import AudioError

    locked = unprivileged / "locked"
    locked.mkdir(0o500)
    source = make_corpus(unprivileged / "src")
    with pytest.raises(AudioError, match=r"cannot write .*locked/manifest\.jsonl: Permission denied"):
        run(batch_of(source=source, target=locked, model=unprivileged / "model"))
    with pytest.raises(AudioError, match=r"cannot make the folder .*locked/out: Permission denied"):
        run(batch_of(source=source, target=locked / "out", model=unprivileged / "model"))


def test_a_closed_pipe_ends_without_a_trace(corpus, tiny_model):
    command = [sys.executable, "-m", "noisebook", "batch", "compress", "src", "out", "-p", "300", "--json"]
    command += ["--model", str(tiny_model), "--device", "cpu"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    ran = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert len(done(Path("out"))) == 5  # what was asked for is done


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_or_a_kill_ends_all_workers_and_resume_goes_on(end, tiny_model, batch_of):
    make_corpus(Path("src"))
    for index in range(6):
        write(f"src/more{index}.wav", tone(index, 8000))
    command = [sys.executable, "-m", "noisebook", "batch", "compress", "src", "out", "-p", "300", "--workers", "2"]
    command += ["--model", str(tiny_model), "--device", "cpu"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=_listen_to_interrupts
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (Path("out/manifest.jsonl").exists() and done(Path("out"))):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    if end == signal.SIGINT:
        os.killpg(process.pid, end)  # as a terminal does: all processes of the group
    else:
        process.kill()  # workers notice that they are alone
    assert process.communicate(timeout=60)[1].strip() == ("noisebook: interrupted" if end == signal.SIGINT else "")
    assert process.returncode == (130 if end == signal.SIGINT else -end)
    while _lives(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = len(done(Path("out")))
    assert 0 < before < 11
    if end == signal.SIGINT:
        assert all(name.endswith(".ddcm") for name in contents(Path("out")))
    summary = run(batch_of(resume=True))
    assert (summary.done, summary.skipped) == (11 - before, before)
    assert len(contents(Path("out"))) == 11
    assert all(name.endswith(".ddcm") for name in contents(Path("out")))


def _listen_to_interrupts() -> None:
    """Whoever started the tests may ignore or block the signal, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _lives(group: int) -> bool:
    """Whether a process of that group is left; the last to go is the one that tidies up after the others."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
