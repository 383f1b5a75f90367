"""The judge of a vocoder: tones against a stand-in whose answer is known, and the whole on a small model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from experiments import vocoder_quality
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform


def test_a_tone_is_heard_at_its_level_and_frequency(monkeypatch):
    answer = 0.25 * np.sin(2 * np.pi * 500 * np.arange(32000) / 16000)
    monkeypatch.setattr(vocoder_quality, "through", lambda backend, samples: answer)
    backend = SimpleNamespace(info=SimpleNamespace(sample_rate=16000))
    level, frequency = vocoder_quality.tone(backend, 1000)  # type: ignore[arg-type]
    assert level == pytest.approx(-6.02, abs=0.01)
    assert frequency == 500


def test_the_recipe_runs(tiny_model, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for kind in ("music", "speech", "sfx"):
        write(
            tmp_path / f"{kind}-noise.wav", Waveform(0.1 * rng.standard_normal((1, 160000)).astype(np.float32), 16000)
        )
    monkeypatch.setattr(vocoder_quality, "available", lambda *, speech: ("energy_ratio_db", "mel_db_mae")[: 1 + speech])
    vocoder_quality.main([str(tmp_path), "--model", str(tiny_model), "--limit", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2] for line in lines[:2]] == ["3", "1"]
    assert sum(line.startswith("tone of") for line in lines) == 9
