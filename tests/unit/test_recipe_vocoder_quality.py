"""The judge of a vocoder: tones against a stand-in whose answer is known, and the whole on a small model."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.recipes import vocoder_quality


def test_a_tone_is_heard_at_its_level_and_frequency():
    seconds = torch.arange(32000) / 16000
    answer = 0.25 * torch.sin(2 * torch.pi * 500 * seconds)[None]
    level, frequency = vocoder_quality.tone(lambda _: answer, 1000)  # type: ignore[arg-type]
    assert level == pytest.approx(-6.02, abs=0.01)
    assert frequency == 500


def test_the_recipe_runs(tiny_model, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for kind in ("music", "speech", "sfx"):
        write(
            tmp_path / f"{kind}-noise.wav", Waveform(0.1 * rng.standard_normal((1, 160000)).astype(np.float32), 16000)
        )
    monkeypatch.setattr(vocoder_quality, "available", lambda *, speech: ("energy_ratio_db", "mel_db_mae")[: 1 + speech])
    weights = tiny_model / "vocoder.safetensors"
    monkeypatch.setattr(sys, "argv", ["vocoder_quality", str(weights), str(tmp_path), "--limit", "1"])
    vocoder_quality.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2] for line in lines[:2]] == ["3", "1"]
    assert sum(line.startswith("tone of") for line in lines) == 9
