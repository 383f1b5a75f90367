"""A runner on the tiny model, and sounds to bring to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform


@pytest.fixture(scope="session")
def sound() -> Waveform:
    """1 s at 16 kHz: a chord that fades."""
    time = np.arange(16000) / 16000
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220, 277, 330, 1760))
    return Waveform((0.1 * chord * np.exp(-2 * time))[None].astype(np.float32), 16000)


@pytest.fixture
def song(sound: Waveform, tmp_path: Path) -> Path:
    """That sound as a file."""
    write(tmp_path / "song.wav", sound)
    return tmp_path / "song.wav"


@pytest.fixture(autouse=True)
def few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """One metric of many, which are tested elsewhere, and no other codec beside them."""
    monkeypatch.setattr("noisebook.studio.jobs.YARDSTICK", "")
    monkeypatch.setattr("noisebook.studio.jobs.METRICS", ("mel_db_mae",))
