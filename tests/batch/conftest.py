"""A tree of sounds, and batches over it with the small random model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from noisebook.api.models import ModelOptions
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.batch.planning import Batch, RunOptions
from noisebook.batch.verbs import Settings

FAST = {"preset": "300"}


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """src: five sounds in three folders, two of one name, and two files of other kinds."""
    return make_corpus(tmp_path / "src")


@pytest.fixture
def batch_of(tiny_model: Path) -> Callable[..., Batch]:
    """A batch with the small model; source and target are src and out."""

    def make(verb: str = "compress", source: Any = "src", target: Any = "out", **options: Any) -> Batch:
        verb_options = options.pop("options", FAST if verb == "compress" else {})
        suffix = options.pop("suffix", ".wav")
        engine = ModelOptions(str(options.pop("model", tiny_model)), device="cpu", threads=1)
        settings = Settings(verb, verb_options, engine, suffix)
        return Batch(str(source), str(target), settings, RunOptions(**options))

    return make


@pytest.fixture
def unprivileged(tiny_model: Path) -> Iterator[Path]:
    """A folder with the small model in it, for a user who may not do everything: root becomes nobody meanwhile."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        shutil.copytree(tiny_model, Path(folder, "model"), copy_function=shutil.copyfile)
        Path(folder, "model").chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def make_corpus(folder: Path, count: int = 5) -> Path:
    for index, name in enumerate(("a.wav", "a.flac", "x/b.wav", "x/y/c.ogg", "d.wav")[:count]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, tone(index))
    (folder / "notes.txt").write_text("of another kind")
    (folder / ".hidden.wav").write_bytes(b"of an editor")
    return folder


def tone(index: int, count: int = 3200) -> Waveform:
    """A fifth of a second at 16 kHz, each with another pitch."""
    phase = np.arange(count)[None] * (0.1 + 0.03 * index)
    return Waveform((0.3 * np.sin(phase)).astype(np.float32), 16000)


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of all files below a folder but for manifests, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def lines(folder: Path, name: str = "manifest.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def done(folder: Path, name: str = "manifest.jsonl") -> list[str]:
    """Sources of all lines that say: done."""
    return [line["source"] for line in lines(folder, name) if line["state"] == "done"]
