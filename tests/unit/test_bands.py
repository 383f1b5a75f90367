"""The front end of bands: levels, pitch, stereo."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio.bands import BAND_FLOOR, log_bands
from noisebook.audio.features import BAND_FEATURES


def sine(hertz: float, seconds: float = 0.5, level: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(seconds * 48_000), dtype=torch.float64) / 48_000
    return (level * torch.sin(2 * torch.pi * hertz * time)).float()[None]


def test_shape_and_silence() -> None:
    bands = log_bands(torch.zeros(2, 4800))
    assert bands.shape == (2, 1, 10, BAND_FEATURES.bins)
    assert torch.all(bands == BAND_FLOOR)


@pytest.mark.parametrize("number", [3, 40, 90, 130, 160, 185])
def test_a_sine_is_strongest_in_its_band_and_levels_are_decibels(number: int) -> None:
    centre = BAND_FEATURES.centres[number]
    loud, soft = (log_bands(sine(centre, level=level))[0, 0, 25] for level in (1.0, 0.1))
    bank = slice(0, 120) if number < 120 else slice(120, None)
    assert int(loud[bank].argmax()) + bank.start == number
    assert -25 < 20 / np.log(10) * float(loud[number]) <= 0.1  # a wide band holds bins beside the sine's
    assert float(loud[number] - soft[number]) == pytest.approx(np.log(10), abs=1e-3)


def test_a_semitone_in_the_bass_moves_the_bands() -> None:
    low, high = (log_bands(sine(hertz))[0, 0, 25, :120] for hertz in (65.41, 69.30))
    assert float((low - high).abs().max()) > 1


def test_left_and_right_do_not_cancel() -> None:
    left = 0.3 * torch.randn(1, 9600, generator=torch.Generator().manual_seed(0))
    mono = log_bands(left)
    assert torch.allclose(log_bands(torch.stack((left, -left), 1)), mono, atol=1e-5)
    one_side = log_bands(torch.stack((left, torch.zeros_like(left)), 1))
    assert float((mono - one_side).mean()) == pytest.approx(np.log(2) / 2, abs=1e-3)
