"""Sound from a mel in tune: tones at their pitch, the mel that was asked for, lengths, silence, blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio import mel_synthesis as module
from noisebook.audio.mel import log_mel
from noisebook.audio.mel_synthesis import griffin_lim, synthesise_mel, tones_of
from noisebook.metrics import log_mel_l1_db, tuning_10, tuning_25


def sound_of(*hertz: float, seconds: float = 1.2, rate: int = 16000) -> torch.Tensor:
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hz * time) for hz in hertz) / len(hertz)
    return torch.from_numpy((0.3 * tones)[None].astype(np.float32))


@pytest.mark.parametrize("hertz", [110.0, 233.1, 440.0, 987.8, 2637.0])
def test_a_steady_tone_keeps_its_pitch_and_its_level(hertz):
    """Where HiFi-GAN takes the nearest multiple of 100 Hz."""
    sound = sound_of(hertz)
    back = synthesise_mel(log_mel(sound))[0, 4800:-4800].numpy()
    spectrum = np.abs(np.fft.rfft(back * np.hanning(len(back)), 2**18))
    found = spectrum.argmax() * 16000 / 2**18
    assert abs(1200 * np.log2(found / hertz)) < 25
    assert 20 * np.log10(np.std(back) / np.std(sound[0, 4800:-4800].numpy())) == pytest.approx(0, abs=1.5)


def test_a_chord_is_in_tune_where_griffin_lim_is_not():
    sound = sound_of(146.8, 220.0, 349.2, 523.3, 784.0, seconds=2)
    mel = log_mel(sound)
    ours, theirs = (back[0].numpy() for back in (synthesise_mel(mel), griffin_lim(mel)))
    shares = [
        [share(sound[0].numpy(), back, sample_rate=16000) for back in (ours, theirs)]
        for share in (tuning_10, tuning_25)
    ]
    assert shares[1][0] > 0.9
    assert all(own > other for own, other in shares)
    assert log_mel_l1_db(mel.numpy(), log_mel(torch.from_numpy(ours[None])).numpy()) < 3


def test_tones_that_explain_a_mel_have_it():
    mel = log_mel(sound_of(220.0, 660.0))
    tones = tones_of(mel)
    again = (tones @ module._mel_of_tones(mel.device)).clamp_min(1e-5).log()
    assert (again - mel[:, 0]).abs()[mel[:, 0] > -6].max() < 0.35
    loudest = module._TONES[tones[0, 60].topk(1).indices]
    assert min(abs(loudest - 220), abs(loudest - 660)) <= 4


@pytest.mark.parametrize("frames", [4, 61])
def test_every_length_is_exact(frames):
    assert synthesise_mel(torch.full((2, 1, frames, 64), -4.0)).shape == (2, frames * 160)


def test_blocks_leave_no_joint(monkeypatch):
    mel = log_mel(sound_of(196.0, 392.0, seconds=2))
    whole = tones_of(mel)
    monkeypatch.setattr(module, "_TONE_BLOCK", 80)
    assert (tones_of(mel) - whole).abs().max() < 0.03 * whole.max()


def test_silence_stays_silent():
    assert float(synthesise_mel(log_mel(torch.zeros(1, 3200))).abs().max()) < 1e-4
