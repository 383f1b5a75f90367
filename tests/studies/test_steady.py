"""The judge of steady tones, on tones whose faults are known."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.steady import steadiness, tones, worst

TIME = np.arange(4 * 48_000) / 48_000


def test_originals_are_steady() -> None:
    names = []
    for tone in tones():
        found = steadiness(tone, tone.samples)
        assert abs(found.cents) < 3
        assert found.level_db == pytest.approx(0, abs=1e-4)
        if tone.name.startswith("sine"):  # harmonics beat with each other
            assert max(found.ripple_db) < -60
        names.append(tone.name)
    assert len(names) == len(set(names)) == 18


def test_the_worst_of_all_tones() -> None:
    found = worst(lambda tone: tone.samples * (0.5 if tone.name == "sine 3000 Hz" else 1.1))
    assert found["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert found["median_cents"] <= found["cents"] < 3


def test_faults_are_measured() -> None:
    tone = next(one for one in tones() if one.name == "sine 220 Hz")
    sharp = 0.2 * np.sin(2 * np.pi * 220 * 2 ** (30 / 1200) * TIME)
    found = steadiness(tone, sharp)
    assert found.cents == pytest.approx(30, abs=2)
    assert found.level_db == pytest.approx(-6.02, abs=0.05)
    pulsing = tone.samples * (1 + 0.1 * np.sin(2 * np.pi * 50 * TIME))
    found = steadiness(tone, pulsing)
    assert found.ripple_db[1] == pytest.approx(-20, abs=1)
    assert max(found.ripple_db[0], found.ripple_db[2]) < -50
