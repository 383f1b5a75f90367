"""Sound from bands without weights: in tune, at its level, the same from any piece, silent where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio.band_synthesis import synthesise_bands
from noisebook.audio.bands import BAND_FLOOR, HOP_LENGTH, PHASE_BLOCK, SAMPLE_RATE, SYNTHESIS_REACH, log_bands
from noisebook.audio.features import BAND_FEATURES

RATE, HOP = SAMPLE_RATE, HOP_LENGTH


def tones(*hertz: float, seconds: float = 3.0, level: float = 0.2) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return sum((level * torch.sin(2 * np.pi * f * time + f) for f in hertz), torch.zeros(())).float()[None]


def loudest_hertz(sound: np.ndarray, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    hertz = np.arange(len(spectrum)) * RATE / (8 * len(sound))
    inside = (hertz > low) & (hertz < high)
    return float(hertz[inside][spectrum[inside].argmax()])


@pytest.mark.parametrize("hertz", [55.0, 110.0, 440.0, 1600.0, 8000.0])
def test_a_tone_stays_in_tune_and_at_its_level(hertz: float) -> None:
    sound = tones(hertz)
    made = synthesise_bands(log_bands(sound))[0].numpy()
    inside = slice(RATE // 2, -RATE // 2)
    cents = 1200 * np.log2(loudest_hertz(made[inside], 0.7 * hertz, 1.4 * hertz) / hertz)
    assert abs(cents) < 8  # 0.2 Hz at most is lent to the blocks: 6 cents at 55 Hz
    assert abs(20 * np.log10(made[inside].std() / sound[0].numpy()[inside].std())) < 1


def test_a_chord_keeps_its_notes() -> None:
    notes = (130.81, 164.81, 196.0, 261.63, 392.0)
    made = synthesise_bands(log_bands(tones(*notes, level=0.08)))[0].numpy()[RATE // 2 : -RATE // 2]
    for note in notes:
        assert abs(1200 * np.log2(loudest_hertz(made, 0.96 * note, 1.04 * note) / note)) < 10


def test_a_piece_sounds_as_the_whole_does() -> None:
    generator = torch.Generator().manual_seed(0)
    sound = tones(220.0, 331.0, seconds=11.0) + 0.02 * torch.randn(1, 11 * RATE, generator=generator)
    bands = log_bands(sound)
    whole = synthesise_bands(bands)
    first, last = 90, 1000  # not of a block
    piece = synthesise_bands(bands[:, :, first:last], first_frame=first)
    start, end = (first + SYNTHESIS_REACH) * HOP, (last - SYNTHESIS_REACH) * HOP
    assert end - start > 2 * PHASE_BLOCK * HOP // 2
    assert torch.allclose(whole[:, start:end], piece[:, start - first * HOP : end - first * HOP], atol=2e-6)


def test_the_bands_of_the_sound_are_the_bands() -> None:
    """What consistency is for: a burst of noise keeps its envelope, which long windows alone would smear."""
    noise = torch.randn(1, RATE, generator=torch.Generator().manual_seed(1))
    burst = 0.1 * noise * (torch.arange(RATE) // 4800 % 2)
    wanted = log_bands(burst)
    rough, fine = (log_bands(synthesise_bands(wanted, rounds=rounds)) for rounds in (0, 7))
    heard = wanted[..., 120:] > BAND_FLOOR + 3
    errors = [float((made - wanted)[..., 120:][heard].abs().mean()) for made in (rough, fine)]
    assert errors[1] < 0.5 * errors[0]


def test_silence_is_silent_and_two_sounds_do_not_mix() -> None:
    silence = torch.full((1, 1, 50, BAND_FEATURES.bins), BAND_FLOOR)
    assert float(synthesise_bands(silence).abs().max()) < 1e-3
    loud = log_bands(tones(440.0, seconds=0.5))
    both = synthesise_bands(torch.cat((loud, silence)))
    assert torch.allclose(both[:1], synthesise_bands(loud), atol=1e-6)
    assert float(both[1].abs().max()) < 1e-3


def test_the_shortest_piece() -> None:
    assert synthesise_bands(torch.full((1, 1, 4, BAND_FEATURES.bins), -5.0)).shape == (1, 4 * HOP)
