"""The pages of docs/howto and the quickstart: every command runs, in its order, on a short sound and a small model."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import noisebook
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.batch import executors
from noisebook.cli.main import cli

DOCS = Path(__file__).parents[2] / "docs"
MACHINE = ("device", "threads", "cores", "processor", "torch")
PAGES = [DOCS / "index.md", *sorted((DOCS / "howto").glob("*.md"))]


def commands(page: Path) -> list[list[str]]:
    """The words after `noisebook` of each command line of a page."""
    lines = [
        line.strip() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("    noisebook ")
    ]
    return [shlex.split(re.split(r"\s#", line)[0])[1:] for line in lines]


def with_engine(words: list[str], model: Path) -> list[str]:
    """The command with the small model and the CPU, where it has a say in them."""
    command = cli.commands[words[0]]
    if isinstance(command, click.Group):
        command = command.commands[words[1]]
    if "--target-mel-db" in words:
        words[words.index("--target-mel-db") + 1] = "30"  # random weights do not come nearer
    options = {parameter.name for parameter in command.params}
    chosen = [*words, "--model", str(model)] if "model" in options and "--no-model" not in words else words
    return [*chosen, "--device", "cpu"] if "device" in options else chosen


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """song.wav, talk.wav and a folder of sounds, half a second each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sounds").mkdir()
    time = np.arange(8000) / 16000
    for seed, name in enumerate(("song.wav", "talk.wav", "sounds/a.wav", "sounds/b.wav")):
        noise = np.random.default_rng(seed).standard_normal(8000)
        sound = 0.3 * np.sin(2 * np.pi * (200 + 100 * seed) * time) + 0.05 * noise
        write(tmp_path / name, Waveform(sound[None].astype(np.float32), 16000))
    return tmp_path


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_vocoder: None) -> None:
    """A studio that ends at once, a benchmark without measurements, nothing to hear, workers in this process, and
    another home: all of it is tested elsewhere."""
    monkeypatch.setattr(executors, "Processes", executors.InProcess)
    monkeypatch.setattr("noisebook.audio.speakers.speakers", lambda: lambda blocks, *_: list(blocks))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    empty: dict[str, object] = {"presets": [], "durations": [], "rivals": [], "checks": [], "runs": 1}
    model, machine = {"name": "tiny", "fingerprint": "00"}, dict.fromkeys(MACHINE, "")
    monkeypatch.setattr("noisebook.studio.server.application", lambda *args, **options: None)
    monkeypatch.setattr("noisebook.studio.server.serve", lambda *args: None)
    monkeypatch.setattr("noisebook.cli.machine._corpus", lambda *args: [])
    monkeypatch.setattr("webbrowser.open", lambda url: None)
    monkeypatch.setattr(
        "noisebook.benchmark.runs.benchmark",
        lambda *args, **options: {**empty, "model": model, "machine": dict(machine)},
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_runs(page: Path, folder: Path, tiny_model: Path, served: None) -> None:
    assert commands(page)
    for words in commands(page):
        force = ["-f"] if words[0] == "decompress" and "-o" not in words else []
        ran = CliRunner().invoke(cli, [*with_engine(words, tiny_model), *force])
        allowed = (0, 1) if words[0] == "verify" else (0,)  # 1: not related, as it should be with random weights
        assert ran.exit_code in allowed, f"{words}: {ran.output} {ran.exception!r}"


def test_every_verb_has_a_page() -> None:
    shown = {words[0] for page in PAGES for words in commands(page)}
    elsewhere = {"doctor", "models", "calibrate", "tally"}  # shown elsewhere, or in need of more than one sound
    assert set(cli.commands) - elsewhere <= shown


@pytest.mark.parametrize("page", ["index.md", "howto/compress.md"])
def test_python_examples_run(page: str, folder: Path, backend, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    monkeypatch.setattr(noisebook, "load_backend", lambda: backend)
    data = noisebook.compress(soundfile.read("song.wav", dtype="float32")[0], sample_rate=16000, backend=backend)
    code = re.search(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.S)
    assert code is not None
    names: dict[str, object] = {"data": data, "backend": backend}
    exec(code[1], names)
    assert names["sound"].samples.shape == (1, 8000)  # type: ignore[attr-defined]
