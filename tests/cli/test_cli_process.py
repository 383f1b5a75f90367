"""The command as a process of its own: imports, round trips, pipes and signals."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import noisebook as package
from noisebook.audio.band_synthesis import synthesise_bands

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(package.__file__).parents[1]), os.environ.get("PYTHONPATH")])),
    "OMP_NUM_THREADS": "1",
}
COMMAND = [sys.executable, "-m", "noisebook"]
HEAVY = ("torch", "soundfile", "soxr", "safetensors", "rich", "matplotlib", "scipy", "librosa")
LOADED = f"import sys; print(*sorted(sys.modules.keys() & set({HEAVY})))"


def python(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return ran.stdout


def command(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(words, env=ENVIRONMENT, capture_output=True, timeout=120, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_the_package_imports_nothing_heavy():
    assert python(f"import noisebook\nimport sys\nassert 'numpy' not in sys.modules\n{LOADED}") == "\n"


def test_help_imports_no_command():
    loaded = "import sys; print(*sorted(name for name in sys.modules if name.startswith('noisebook.cli.')))"
    code = f"from noisebook.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    {loaded}"
    assert python(code).splitlines()[-1] == "noisebook.cli._shared noisebook.cli.main"


def test_help_and_usage_errors_import_nothing_heavy():
    code = """
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from noisebook.cli import main
for arguments in (["--help"], ["compress", "--help"], ["--version"], ["compress", "no.wav"], ["decompress", "no.ddcm"]):
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            main(arguments)
        except SystemExit:
            pass
"""
    assert python(code + LOADED) == "\n"


def test_the_doctor_starts_without_what_it_looks_for():
    """Where a library is missing or broken the doctor has to say so, and the help of batch needs none."""
    python(f"import sys\nsys.modules |= dict.fromkeys({HEAVY})\nimport noisebook.cli.machine, noisebook.cli.batch")


def test_help_is_quick():
    """In seconds of CPU, which do not depend on what else the machine does; the best of three."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert command("--help").stdout.startswith(b"Usage: noisebook ")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.5


def test_version_and_bare_command(noisebook):
    assert noisebook("--version").text == noisebook("-V").text == f"noisebook, version {package.__version__}\n"
    ran = noisebook()
    assert (ran.status, ran.out) == (2, b"")
    assert ran.err.startswith("Usage: noisebook ")


def test_round_trip_across_processes_is_reproducible(noisebook, engine, sound, monkeypatch):
    """A pipe between two processes gives the sound that files and this process give."""
    monkeypatch.setattr("noisebook.backends.mini.synthesise_bands", synthesise_bands)  # as other processes have it
    assert noisebook("compress", sound, *engine).status == 0
    assert noisebook("decompress", "song.ddcm", "back.wav", *engine).status == 0
    words = [[*COMMAND, verb, "-", "--quiet", *map(str, engine)] for verb in ("compress", "decompress")]
    with (
        sound.open("rb") as file,
        subprocess.Popen(words[0], env=ENVIRONMENT, stdin=file, stdout=subprocess.PIPE) as first,
        subprocess.Popen(words[1], env=ENVIRONMENT, stdin=first.stdout, stdout=subprocess.PIPE) as second,
    ):
        piped = second.communicate(timeout=120)[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert piped == Path("back.wav").read_bytes()
    assert sorted(os.listdir()) == ["back.wav", "song.ddcm", "song.wav"]


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody_reads:
        ran = subprocess.run(
            [*COMMAND, "--help"], env=ENVIRONMENT, stdout=nobody_reads, stderr=subprocess.PIPE, check=False
        )
    assert (ran.returncode, ran.stderr) == (1, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_standard_output_is_one_line():
    with open("/dev/full", "wb") as full:
        ran = subprocess.run([*COMMAND, "--help"], env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 1
    assert ran.stderr == b"noisebook: cannot write to standard output: No space left on device\n"


def test_a_closed_pipe_stops_a_stream(noisebook, engine, sound, monkeypatch):
    def refuse(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("noisebook.cli._files.Output.write", lambda *_, **__: refuse())
    assert noisebook("compress", sound, "-", *engine) == (1, b"", "")


def test_interrupt():
    """While the command waits for its input, a pipe that nobody fills."""
    os.mkfifo("pipe.wav")
    # Whoever started the tests may ignore or block the signal, and children inherit that.
    listen = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})"
    )
    code = f"{listen}; from noisebook.cli import main; main()"
    words = [sys.executable, "-c", code, "compress", "pipe.wav"]
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            pipe = open_pipe("pipe.wav", process)
            # Just before a read, Python may note a signal and yet wait for the data: hence more than one.
            for _ in range(50):
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
                    break
            os.close(pipe)
        finally:
            process.kill()
        out, err = process.communicate()
    assert (process.returncode, out, err.strip()) == (130, b"", b"noisebook: interrupted")
    assert os.listdir() == ["pipe.wav"]


def open_pipe(name: str, reader: subprocess.Popen[bytes]) -> int:
    """The writing end, as soon as the reader has opened the other one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and reader.poll() is None:
        try:
            return os.open(name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.02)
    raise AssertionError(f"nobody opened {name}: {reader.poll()}")


@pytest.mark.parametrize("where", ["noisebook.api.compress", "os.replace"])
def test_interrupt_leaves_no_file(noisebook, engine, sound, monkeypatch, where):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupt)
    ran = noisebook("compress", sound, *engine)
    assert (ran.status, ran.out, ran.err.strip()) == (130, b"", "noisebook: interrupted")
    assert os.listdir() == ["song.wav"]


def test_a_bug_shows_its_trace(noisebook, engine, sound, monkeypatch):
    monkeypatch.setattr("noisebook.api.compress", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        noisebook("compress", sound, *engine)
