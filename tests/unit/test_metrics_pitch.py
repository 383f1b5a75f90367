"""Tuning: known shifts of known tones."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook.metrics import tuning_10, tuning_25, tuning_50, tuning_cents, tuning_grid

RATES = [16_000, 44_100, 48_000]


def chord(rate: int, *frequencies: float, cents: float = 0.0) -> np.ndarray:
    seconds = np.arange(2 * rate) / rate
    return 0.2 * sum(np.sin(2 * np.pi * f * 2 ** (cents / 1200) * seconds + f) for f in frequencies)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("cents", [0.5, 17, -35, 120])
def test_a_shift_is_measured(rate: int, cents: float) -> None:
    notes = (131.0, 261.6, 392.0, 783.99)
    original, moved = chord(rate, *notes), chord(rate, *notes, cents=cents)
    assert tuning_cents(original, moved, sample_rate=rate) == pytest.approx(abs(cents), abs=2.5)
    for metric, limit in ((tuning_10, 10), (tuning_25, 25), (tuning_50, 50)):
        assert metric(original, moved, sample_rate=rate) == (1.0 if abs(cents) < limit else 0.0)


def test_one_note_of_three_out_of_tune() -> None:
    original, heard = chord(16_000, 200, 330, 560), chord(16_000, 200, 345, 560)
    assert tuning_25(original, heard, sample_rate=16_000) == pytest.approx(2 / 3)


def test_what_is_drawn_to_the_frame_rate_is_noticed() -> None:
    original, heard = chord(16_000, 170, 320, 630), chord(16_000, 150, 300, 650)
    assert tuning_grid(original, heard, sample_rate=16_000) == 1.0
    assert tuning_grid(heard, original, sample_rate=16_000) == 0.0


@pytest.mark.parametrize("metric", [tuning_10, tuning_25, tuning_50])
def test_silence_and_short_sounds(metric) -> None:
    tone = chord(16_000, 440)
    assert metric(tone, np.zeros_like(tone), sample_rate=16_000) == 0
    assert metric(np.zeros_like(tone), tone, sample_rate=16_000) == 0
    assert metric(tone[:3000], -tone[:3000], sample_rate=16_000) == 0  # shorter than a window
    assert metric(tone[:3000], tone[:3000], sample_rate=16_000) == 1
    assert tuning_cents(tone, np.zeros_like(tone), sample_rate=16_000) == 250
    assert tuning_grid(tone, np.zeros_like(tone), sample_rate=16_000) == 1
