"""The pitch of a voice: found where there is one, and nothing is called a voice that is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt

from noisebook.audio.band_synthesis import synthesise_bands
from noisebook.audio.bands import BANKS, SAMPLE_RATE, log_bands
from noisebook.audio.voicing import Pitch, find_pitch

RATE = SAMPLE_RATE
INSIDE = slice(20, -20)  # frames


def voice(pitch: float, seconds: float = 1.0, glide: float = 0.0) -> np.ndarray:
    """Harmonics up to 6 kHz, 12 dB an octave down, whose pitch rises by `glide` of itself."""
    time = np.arange(round(seconds * RATE)) / RATE
    cycles = pitch * (time + glide * time**2 / (2 * seconds))
    return 0.2 * sum(np.sin(2 * np.pi * k * cycles + k) / k**1.5 for k in range(1, int(6000 / pitch) + 1))


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=RATE)


def bands_of(sound: np.ndarray) -> torch.Tensor:
    return log_bands(torch.from_numpy(sound).float()[None])


def pitch_of(sound: np.ndarray) -> Pitch:
    hertz, voicing = find_pitch(bands_of(sound)[:, 0, :, : BANKS[0].count])
    return Pitch(hertz[0, INSIDE, 0], voicing[0, INSIDE, 0])


@pytest.mark.parametrize("hertz", [90.0, 131.0, 207.0, 333.0])
def test_the_pitch_of_a_voice(hertz: float) -> None:
    found = pitch_of(voice(hertz))
    assert float(found.voicing.min()) > 0.7  # harmonics 90 Hz apart are barely resolved at 1.4 kHz
    assert float((found.hertz / hertz).log2().abs().max()) < 10 / 1200


@pytest.mark.parametrize("hertz", [66.0, 74.0, 78.0, 425.0])
def test_a_voice_out_of_range_is_no_voice_of_another_pitch(hertz: float) -> None:
    assert float(pitch_of(voice(hertz)).voicing.max()) < 0.05


def test_sounds_of_a_batch_and_of_one_frame() -> None:
    bands = bands_of(voice(131.0))[:, 0, :, : BANKS[0].count]
    both = find_pitch(torch.cat([bands, torch.full_like(bands, -11.5)]))
    alone = find_pitch(bands[:, 40:41])
    assert float((both.hertz[0] / find_pitch(bands).hertz[0] - 1).abs().max()) < 1e-6
    assert float(both.voicing[1].max()) == 0
    assert float(alone.hertz) == pytest.approx(float(both.hertz[0, 40]))
    assert synthesise_bands(bands_of(voice(131.0))[:, :, 40:41]).shape == (1, 480)


def test_a_gliding_voice_is_followed() -> None:
    found = pitch_of(voice(180.0, glide=0.2))
    wanted = 180 * (1 + 0.2 * (torch.arange(100)[INSIDE] + 0.5) / 100)
    assert float((found.hertz / wanted).log2().abs().max()) < 15 / 1200


@pytest.mark.parametrize(
    "sound",
    [
        0.1 * noise(),
        np.zeros(RATE),
        0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE),
        sosfilt(butter(4, 400, fs=RATE, output="sos"), voice(82.0))
        + 0.05 * sosfilt(butter(4, 1800, "high", fs=RATE, output="sos"), noise()),
    ],
    ids=["noise", "silence", "a pure tone", "a bass with cymbals"],
)
def test_what_is_no_voice(sound: np.ndarray) -> None:
    assert float(pitch_of(sound).voicing.mean()) < 0.05


def contrast_db(sound: np.ndarray, pitch: float, low: float, high: float) -> float:
    """Mean level of the harmonics over what lies half-way between them."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.arange(len(power)) * RATE / len(sound)
    inside = (hertz > low) & (hertz < high)
    away = np.abs(hertz / pitch - np.round(hertz / pitch))
    on, between = (power[inside & mask].mean() for mask in (away < 0.1, away > 0.4))
    return 10 * np.log10(on / between)


@pytest.mark.parametrize("hertz", [110.0, 220.0])
def test_a_voice_has_harmonics_above_the_fine_bands(hertz: float) -> None:
    made = synthesise_bands(bands_of(voice(hertz)))[0].numpy()[RATE // 5 : -RATE // 5]
    assert contrast_db(made, hertz, 1600, 3000) > 8


def test_noise_has_none() -> None:
    made = synthesise_bands(bands_of(0.1 * noise()))[0].numpy()[RATE // 5 : -RATE // 5]
    assert abs(contrast_db(made, 110.0, 1600, 3000)) < 1.5
