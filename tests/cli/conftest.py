"""The command run inside the test's process, and sounds for it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from noisebook.audio.features import BAND_FEATURES
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.cli import main
from tests.mels import Bursts


class Ran(NamedTuple):
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def told(self, status: int = 1) -> str:
        """The one line of a failure that wrote nothing to standard output."""
        assert (self.status, self.out) == (status, b""), self
        assert self.err.startswith("noisebook: "), self.err
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        return self.err.removeprefix("noisebook: ").rstrip("\n")


Command = Callable[..., Ran]


def run_main(*arguments: object, stdin: bytes = b"") -> Ran:
    """`main` as in a process of its own, but for the imports."""
    policies = {"stdout": "strict", "stderr": "backslashreplace"}  # as in a process
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8", policy) for name, policy in policies.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
    for stream in streams.values():
        stream.flush()
    out, err = (stream.buffer.getvalue() for stream in streams.values())  # type: ignore[attr-defined]
    return Ran(int(end.value.code or 0), out, err.decode())


@pytest.fixture(scope="session")
def noisebook() -> Command:
    return run_main


@pytest.fixture
def fails() -> Callable[..., str]:
    """Run a command that must fail: its one line, without a file more or less afterwards."""

    def run(*arguments: object, status: int = 1, stdin: bytes = b"") -> str:
        before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
        told = run_main(*arguments, stdin=stdin).told(status)
        assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
        return told

    return run


@pytest.fixture(scope="session")
def engine(tiny_model: Path) -> list[object]:
    """The options that every coding command of these tests needs."""
    return ["--model", tiny_model, "--device", "cpu"]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_vocoder: None) -> None:
    """Every test works in an empty folder of its own, and the small model of bands has a quick vocoder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """song.wav: 0.25 s at 16 kHz, mono."""
    write(tmp_path / "song.wav", tone(1))
    return Path("song.wav")


@pytest.fixture(scope="session")
def stream_bytes(engine: list[object], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The stream of that sound at the default preset."""
    folder = tmp_path_factory.mktemp("stream")
    write(folder / "song.wav", tone(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisebook.backends.mini.synthesise_bands", Bursts(BAND_FEATURES))
        assert run_main("compress", folder / "song.wav", *engine).status == 0
    return (folder / "song.ddcm").read_bytes()


@pytest.fixture
def stream(stream_bytes: bytes) -> Path:
    """song.ddcm, without song.wav beside it."""
    path = Path("song.ddcm")
    path.write_bytes(stream_bytes)
    return path


def tone(channels: int, count: int = 4000, sample_rate: int = 16000) -> Waveform:
    phase = np.arange(channels * count).reshape(channels, count) * 0.2
    return Waveform((0.3 * np.sin(phase)).astype(np.float32), sample_rate)
