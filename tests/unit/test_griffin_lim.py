from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio import mel_synthesis as module
from noisebook.audio.mel import log_mel
from noisebook.audio.mel_synthesis import griffin_lim
from noisebook.metrics import energy_ratio_db, log_mel_l1_db


def chord(seconds: float) -> torch.Tensor:
    time = np.arange(int(seconds * 16000)) / 16000
    tones = sum(np.sin(2 * np.pi * hz * time) for hz in (220, 554, 1318, 3520))
    return torch.from_numpy((0.1 * tones * (1 + 0.5 * np.sin(2 * np.pi * 3 * time)))[None].astype(np.float32))


def test_the_sound_has_the_mel_it_was_made_from():
    sound = chord(1)
    mel = log_mel(sound)
    back = griffin_lim(mel)
    assert back.shape == sound.shape
    assert log_mel_l1_db(mel.numpy(), log_mel(back).numpy()) < 5
    assert abs(energy_ratio_db(sound[0].numpy(), back[0].numpy(), sample_rate=16000)) < 3
    assert torch.equal(back, griffin_lim(mel))
    rough = griffin_lim(mel, iterations=1)
    assert log_mel_l1_db(mel.numpy(), log_mel(rough).numpy()) > log_mel_l1_db(mel.numpy(), log_mel(back).numpy())


def test_sound_is_where_the_mel_has_it():
    """Half a hop of displacement would be seen: an impulse comes back within a fifth of one."""
    sound = torch.zeros(1, 16000)
    sound[0, 8000:8032] = torch.hann_window(32)
    back = griffin_lim(log_mel(sound))[0].square()
    centre = float((back * torch.arange(16000)).sum() / back.sum())
    assert centre == pytest.approx(8016, abs=32)


@pytest.mark.parametrize("frames", [4, 60, 99])
def test_every_length_is_exact(frames):
    assert griffin_lim(torch.full((2, 1, frames, 64), -4.0), iterations=2).shape == (2, frames * 160)


def test_blocks_meet_without_a_dip(monkeypatch):
    """A steady tone is as loud across the joints of blocks as elsewhere; two phases that disagree would leave a dip."""
    sound = torch.sin(2 * torch.pi * 440 / 16000 * torch.arange(3 * 16000))[None]
    monkeypatch.setattr(module, "_BLOCK", 120)
    back = griffin_lim(log_mel(sound), iterations=24)[0, 4000:-4000]
    level = back.view(-1, 400).square().mean(dim=1).sqrt()
    assert float(level.min() / level.median()) > 0.8
    assert float(level.max() / level.median()) < 1.2


def test_silence_stays_silent():
    assert float(griffin_lim(log_mel(torch.zeros(1, 3200))).abs().max()) == 0
