"""The stereo image: what is measured, and what becomes of a mono sound."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.image import (
    COHERENCES,
    FRAME_SECONDS,
    LEVELS,
    SPREAD_MARGIN_SECONDS,
    StereoImage,
    image_bands,
    image_frames,
    measure_image,
    spread,
)
from noisebook.errors import AudioError, ConfigError

RATES = [8000, 16000, 44100, 48000]


def noise(count: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, count))).astype(np.float32)


def db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-30))


def constant(bands: int, frames: int, level: int, coherence: int) -> StereoImage:
    return StereoImage(np.full((bands, frames), level, np.int8), np.full((bands, frames), coherence, np.int8))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("decibels", [-20.0, -6.0, 0.0, 4.0, 13.0])
def test_a_panned_sound_has_its_level_in_every_band_and_frame(rate: int, decibels: float) -> None:
    mono = noise(rate)[0]
    image = measure_image(np.stack([mono * np.float32(10 ** (decibels / 20)), mono]), rate)
    assert image.level.shape == (image_bands(rate), image_frames(rate, rate))
    assert np.all(image.level_db == decibels)
    assert not image.coherence.any()


@pytest.mark.parametrize("coherence", [0.84, 0.52, 0.1, -0.4, -1.0])
def test_coherence_of_noise_is_what_it_was_made_with(coherence: float) -> None:
    a, b = noise(8 * 16000, channels=2)
    right = np.float32(coherence) * a + np.float32((1 - coherence**2) ** 0.5) * b
    image = measure_image(np.stack([a, right]), 16000)
    measured = COHERENCES[image.coherence[5:].astype(int)]
    assert measured.mean() == pytest.approx(coherence, abs=0.05)


def test_one_side_alone_is_the_last_level_also_in_its_pauses_and_empty_bands() -> None:
    time = np.arange(32000) / 16000
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    tone[8000:16000] = 0
    silent = np.zeros_like(tone)
    assert np.all(measure_image(np.stack([tone, silent]), 16000).level == LEVELS)
    assert np.all(measure_image(np.stack([silent, tone]), 16000).level == -LEVELS)


@pytest.mark.parametrize("count", [0, 1, 7, 100, 2560, 2561])
def test_short_sounds_and_none_have_an_image_and_spread(count: int) -> None:
    samples = noise(count, channels=2)
    image = measure_image(samples, 16000)
    assert image.frames == image_frames(count, 16000) == max(1, -(-count // 2560))
    sides = spread(samples[0], image, 16000)
    assert sides.shape == (2, count)
    assert np.isfinite(sides).all()


def test_silence_is_equal_and_of_no_weight() -> None:
    image = measure_image(np.zeros((2, 16000), np.float32), 16000)
    assert not image.level.any()
    assert not image.coherence.any()
    assert not image.weight.any()


def test_loud_bands_weigh_more_and_hide_their_neighbours() -> None:
    time = np.arange(32000) / 16000
    loud, soft = (gain * np.sin(2 * np.pi * hz * time) for gain, hz in ((0.5, 1000.0), (0.05, 5000.0)))
    alone = measure_image(np.stack([soft, soft]).astype(np.float32), 16000).weight[:, 5]
    both = measure_image(np.stack([loud + soft, loud + soft]).astype(np.float32), 16000).weight[:, 5]
    of_loud, of_soft = int(both.argmax()), int(alone.argmax())
    assert both[of_soft] == pytest.approx(alone[of_soft], rel=0.1)  # far away nothing is hidden
    assert both[of_loud] == pytest.approx(both[of_soft] * 100**0.3, rel=0.3)
    assert both[of_loud + 1] < 0.2 * both[of_loud]


def test_blocks_measure_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(50000, channels=2)
    samples[1, 20000:] *= 0.1
    whole = measure_image(samples, 44100)
    monkeypatch.setattr("noisebook.audio.image._BLOCK", 2**12)
    parts = measure_image(samples, 44100)
    assert np.array_equal(whole.level, parts.level)
    assert np.array_equal(whole.coherence, parts.coherence)
    assert np.allclose(whole.weight, parts.weight)


@pytest.mark.parametrize("shape", [(100,), (1, 100), (3, 100)])
def test_only_two_channels_have_an_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match="not stereo"):
        measure_image(np.zeros(shape, np.float32), 16000)


@pytest.mark.parametrize(
    ("level", "coherence"),
    [(np.zeros(3), np.zeros(3)), (np.zeros((2, 3)), np.zeros((3, 2))), (np.zeros((0, 3)), np.zeros((0, 3))),
     (np.full((2, 3), LEVELS + 1), np.zeros((2, 3))), (np.zeros((2, 3)), np.full((2, 3), -1))],
)  # fmt: skip
def test_an_image_outside_its_tables_is_refused(level: np.ndarray, coherence: np.ndarray) -> None:
    with pytest.raises(ConfigError):
        StereoImage(level.astype(np.int8), coherence.astype(np.int8))


# ---------------------------------------------------------------- spread


def test_equal_channels_are_the_mono_to_the_bit() -> None:
    mono = noise(70001)[0]
    sides = spread(mono, StereoImage.equal(20, 10), 44100)
    assert np.array_equal(sides[0], mono)
    assert np.array_equal(sides[1], mono)


@pytest.mark.parametrize("side", [0, 1])
def test_a_silent_channel_is_silent_to_the_bit_and_the_other_has_the_energy_of_both(side: int) -> None:
    mono = noise(70001)[0]
    sides = spread(mono, constant(20, 10, LEVELS if side == 0 else -LEVELS, 0), 44100)
    assert not sides[1 - side].any()
    assert np.allclose(sides[side], np.sqrt(2) * mono, atol=1e-5)


def test_a_silence_that_ends_is_exact_until_shortly_before() -> None:
    image = constant(20, 20, LEVELS, 0)
    image.level[:, 10:] = 0
    mono = noise(3 * 16000)[0]
    sides = spread(mono, image, 16000)
    assert not sides[1, : int(9 * FRAME_SECONDS * 16000)].any()
    assert np.array_equal(sides[1, -16000:], mono[-16000:])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [-8, -2, 0, 3, 10])
def test_level_and_coherence_are_those_asked_for_and_energy_stays(rate: int, level: int) -> None:
    mono = noise(2 * rate)[0]
    for coherence in (0, 2, 4, 6, 8, 10):
        image = constant(image_bands(rate), image_frames(2 * rate, rate), level, coherence)
        left, right = spread(mono, image, rate)
        assert db(left) - db(right) == pytest.approx(image.level_db[0, 0], abs=0.3)
        together = float(left @ right / np.sqrt((left @ left) * (right @ right)))
        assert together == pytest.approx(COHERENCES[coherence], abs=0.03)
        assert 10 * np.log10((left @ left + right @ right) / (2 * mono @ mono)) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("hz", [60.0, 440.0, 3000.0])
def test_a_steady_tone_loses_coherence_and_keeps_its_level(hz: float) -> None:
    """A companion that is merely delayed would come in a tone's own phase as often as not."""
    tone = (0.3 * np.sin(2 * np.pi * hz / 16000 * np.arange(48000))).astype(np.float32)
    left, right = spread(tone, constant(24, 19, 0, 5), 16000)[:, 8000:-8000]
    middle = tone[8000:-8000]
    assert float(left @ right / np.sqrt((left @ left) * (right @ right))) == pytest.approx(COHERENCES[5], abs=0.15)
    assert abs(db(left) - db(middle)) < 0.5
    assert abs(db(right) - db(middle)) < 0.5


def test_opposite_channels_are_the_mono_and_its_negative() -> None:
    mono = noise(32000)[0]
    left, right = spread(mono, constant(24, 13, 0, len(COHERENCES) - 1), 16000)
    assert np.allclose(left, mono, atol=1e-5)
    assert np.allclose(right, -mono, atol=1e-5)


def test_an_attack_does_not_ring_on_longer_than_the_companion() -> None:
    click = np.zeros(32000, np.float32)
    click[16000] = 1
    sides = spread(click, constant(24, 13, 0, 6), 16000)
    energy = np.square(sides).sum(0)
    assert energy[15000:17000].sum() > 0.999 * energy.sum()
    assert energy.sum() == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("start", [1, 3000, 15999])
def test_a_cut_is_not_noticed_beyond_the_margin(rate: int, start: int) -> None:
    rng = np.random.default_rng(1)
    count, margin = 3 * rate, round(SPREAD_MARGIN_SECONDS * rate)
    mono = noise(count)[0] * np.repeat(rng.random(30), count // 30).astype(np.float32)
    shape = image_bands(rate), image_frames(count, rate)
    image = StereoImage(rng.integers(-LEVELS, LEVELS + 1, shape).astype(np.int8),
                        rng.integers(0, len(COHERENCES), shape).astype(np.int8))  # fmt: skip
    whole = spread(mono, image, rate)
    part = spread(mono[start : start + rate], image, rate, start=start)
    kept = slice(start + margin, start + rate - margin)
    assert np.abs(whole[:, kept] - part[:, margin:-margin]).max() < 1e-6


def test_long_sounds_have_no_seam_where_blocks_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    mono = noise(100000)[0]
    image = constant(24, 40, 4, 5)
    whole = spread(mono, image, 16000)
    monkeypatch.setattr("noisebook.audio.image._BLOCK", 2**14)
    assert np.abs(spread(mono, image, 16000) - whole).max() < 1e-6


def test_what_was_measured_comes_back_measured() -> None:
    a, b, c = noise(4 * 16000, channels=3)
    swell = np.linspace(0.1, 1, 64000, dtype=np.float32)
    samples = np.stack([a + 0.5 * b * swell, a * swell + 0.5 * c])
    image = measure_image(samples, 16000)
    again = measure_image(spread(noise(4 * 16000, seed=1)[0], image, 16000), 16000)
    assert np.abs(image.level_db - again.level_db)[3:].mean() < 1
    assert np.abs(COHERENCES[image.coherence.astype(int)] - COHERENCES[again.coherence.astype(int)])[3:].mean() < 0.1
