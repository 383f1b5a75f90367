"""Left and right of verified sounds: what is warned of, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.verification.sounds import verify_sounds

RATE = 16000


def noise(seed: int, seconds: float = 3.0) -> np.ndarray:
    """`[N]`, in bursts."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return samples * (1 + np.sin(2 * np.pi * 3 * np.arange(len(samples)) / RATE))


def panned(left: float, right: float, seed: int = 0) -> np.ndarray:
    return np.stack([left * noise(seed), right * noise(seed)])


def compared(reference: np.ndarray, estimate: np.ndarray, rate: int = RATE, **options):  # type: ignore[no-untyped-def]
    sounds = (Waveform.of(sound.astype(np.float32), rate) for sound in (reference, estimate))
    return verify_sounds(*sounds, metrics=["snr_db"], controls=False, **options)


WIDE = np.stack([noise(0) + noise(1), noise(0) - noise(1)]) / 2


@pytest.mark.parametrize(
    ("reference", "estimate", "told"),
    [
        (panned(1, 0.3), panned(0.5, 0.15), None),
        (panned(1, 0.3), panned(1, 0.35), None),
        (WIDE, WIDE * 0.7, None),
        (panned(1, 1), panned(1, 1), None),
        (panned(1, 0.3), panned(0.7, 0.7), "those of EST are alike"),
        (panned(1, 0.3), panned(0.3, 1), "exchanged, EST is nearer"),
        (panned(1, 1), panned(1, 0.2), "by 14.0 dB"),
        (WIDE, panned(1, 1), "those of EST are alike"),
        (panned(1, 1), panned(1, -1), "EST is wider"),
        (panned(1, -1), panned(1, 1), "EST is narrower"),
    ],
)
def test_a_lost_or_exchanged_image_is_warned_of(reference, estimate, told):
    found = compared(reference, estimate)
    assert found.image is not None
    assert (found.image.warning is None) == (told is None)
    if told:
        assert found.image.warning in found.notes
        assert found.image.warning.startswith("left and right differ: ")
        assert told in found.image.warning
    else:
        assert not any("left" in note for note in found.notes)


def test_channels_that_cancel_are_no_silence_and_silent_ones_are():
    cancels, silence = compared(panned(1, -1), panned(1, -1)), compared(0 * WIDE, WIDE)
    assert cancels.image.image_level_db == 0
    assert cancels.notes[0].startswith("left and right of the original cancel")
    assert silence.image is None
    assert silence.notes[0].startswith("the original is silence")


def test_a_mono_estimate_of_stereo_has_lost_its_image():
    found = compared(panned(1, 0.2), noise(0)[None])
    assert "alike" in found.notes[-1]
    assert found.image.image_level_db == pytest.approx(found.image.alike_level_db)
    assert compared(noise(0)[None], noise(0)[None]).image is None


def test_the_image_is_compared_in_time_and_at_one_rate():
    left, right = noise(0), np.roll(noise(1), 5000) * np.linspace(1, 0.05, len(noise(1)))
    reference = np.stack([left, right])
    late = np.pad(reference, ((0, 0), (800, 0)))
    found = compared(reference, late, lag=800)
    assert found.image.image_level_db == pytest.approx(0, abs=0.01)
    assert found.to_dict()["image"]["image_level_db"] == found.image.image_level_db
    assert compared(reference, late, lag=0).image.image_level_db > 0.5


def test_metrics_of_stereo_need_a_stereo_sound():
    sound = Waveform.of(noise(0).astype(np.float32), RATE)
    with pytest.raises(ConfigError, match="image_level_db compares left and right"):
        verify_sounds(sound, sound, metrics=["image_level_db"], controls=False)
    stereo = Waveform.of(panned(1, 0.5).astype(np.float32), RATE)
    assert verify_sounds(stereo, stereo, metrics=["image_level_db"], controls=False).image.image_level_db == 0
