"""The verdict: what it calls related, what it does not, and what it cannot tell."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import noisebook
from noisebook.audio.io import read
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.verification.controls import bundled_clips, control_sounds, levelled, pink_noise, shuffled
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, at_every_shift, features, similarity
from noisebook.verification.sounds import verify_sounds
from noisebook.verification.verdict import LEVEL, judge, other_sounds

CLIPS = bundled_clips()
ASSETS = Path(noisebook.__file__).parent / "assets"
SOUNDS = ASSETS / "demo-speech.flac", Path(__file__).parents[1] / "sounds" / "music-16k.flac"
SPEECH, MUSIC = (read(path).samples[0][: 4 * SAMPLE_RATE] for path in SOUNDS)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))


def modulated(seconds: float, seed: int) -> np.ndarray:
    """Noise with a random envelope in each of four bands: a sound that moves, and unlike every other seed."""
    count, rng = round(seconds * SAMPLE_RATE), np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    edges = np.linspace(0, len(spectrum), 5).astype(int)
    sound = np.zeros(count)
    for low, high in pairwise(edges):
        band = np.where((np.arange(len(spectrum)) >= low) & (np.arange(len(spectrum)) < high), spectrum, 0)
        places = np.sort(rng.uniform(0, 1, max(2, round(6 * seconds))))
        envelope = np.interp(np.linspace(0, 1, count), places, rng.uniform(0.02, 1, len(places)))
        sound += np.fft.irfft(band, n=count) * envelope
    return 0.1 * sound


def verdict(reference: np.ndarray, estimate: np.ndarray):  # type: ignore[no-untyped-def]
    return judge(features(reference), features(estimate))


def test_a_sound_is_related_to_itself_and_to_itself_in_noise():
    same = verdict(SPEECH, SPEECH)
    assert same.related
    assert same.score == pytest.approx(1)
    noisy = verdict(SPEECH, SPEECH + 0.3 * levelled(noise(4), SPEECH))
    assert noisy.related
    assert 0.3 < noisy.score < 0.99


def test_level_polarity_and_colour_change_nothing_or_little():
    found = features(SPEECH)
    assert similarity(found.movement, features(-0.01 * SPEECH).movement) == pytest.approx(1, abs=1e-3)
    brighter = np.diff(SPEECH, prepend=0)
    assert verdict(SPEECH, brighter).score > 0.8


def test_another_clip_a_shuffle_and_noise_are_not_related():
    for name, sound in control_sounds(SPEECH).items():
        assert not verdict(SPEECH, sound).related, name


@pytest.mark.parametrize("seconds", [1.0, 4.0, 7.0])
def test_unrelated_sounds_are_called_related_no_oftener_than_the_level_says(seconds):
    heard = [features(modulated(seconds, seed)) for seed in range(14)]
    others = [other_sounds(sound) for sound in heard]
    wrong = [judge(a, b, others=c).related for a, c in zip(heard, others, strict=True) for b in heard if a is not b]
    assert np.mean(wrong) <= 0.08  # 5 % and what 182 pairs leave to chance


@pytest.mark.parametrize("seconds", [1.0, 4.0, 7.0])
def test_a_degraded_copy_is_found(seconds):
    for seed in range(6):
        sound = modulated(seconds, seed)
        assert verdict(sound, sound + levelled(noise(seconds, seed + 50), sound)).related


def test_the_verdict_agrees_with_its_own_numbers():
    for estimate in (SPEECH, MUSIC, SPEECH + 3 * levelled(noise(4), SPEECH)):
        found = verdict(SPEECH, estimate)
        assert found.related == (found.p_value <= LEVEL) == (found.score > found.threshold)
        assert found.n_controls == sum(family.count for family in found.families) >= 60
        assert {family.name for family in found.families} == {
            "other music", "other speech", "other effects", "other times", "other pitches"
        }  # fmt: skip
        assert found.p_value == max(family.p_value for family in found.families)


def test_silence_is_never_related():
    silence = np.zeros(4 * SAMPLE_RATE)
    for pair, name in (((silence, SPEECH), "reference"), ((SPEECH, silence), "estimate"), ((silence, silence), "ref")):
        found = verdict(*pair)
        assert (found.related, found.score, found.p_value, found.families) == (False, 0.0, 1.0, ())
        assert name in found.reason
        assert "silent" in found.reason


def test_what_is_too_short_is_not_judged():
    found = verdict(SPEECH[:2000], SPEECH[:2000])
    assert not found.related
    assert "too short" in found.reason
    assert verdict(SPEECH[: SAMPLE_RATE // 2], SPEECH[: SAMPLE_RATE // 2]).related  # half a second can be


def test_a_constant_tone_is_judged_by_its_spectrum():
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    low, high = (0.3 * np.sin(2 * np.pi * frequency * time) for frequency in (440, 1500))
    assert features(low).steady
    same = verdict(low, 0.5 * low)
    assert same.related
    assert "steady" in same.reason
    assert not verdict(low, high).related
    assert not verdict(low, MUSIC[: len(low)]).related


def beats(colour: float, period: float = 0.45) -> np.ndarray:
    """Five seconds of beats in phase, each a short noise around a frequency in Hz."""
    spectrum = np.fft.rfft(noise(0.1, 3))
    spectrum *= np.exp(-(((np.fft.rfftfreq(1600, 1 / SAMPLE_RATE) - colour) / (colour / 3)) ** 2))
    beat = np.fft.irfft(spectrum, n=1600) * np.exp(-np.arange(1600) / 400)
    loop = np.resize(np.pad(beat / np.abs(beat).max(), (0, round(period * SAMPLE_RATE) - 1600)), 5 * SAMPLE_RATE)
    return loop + 1e-3 * noise(5, 1)


def test_a_loop_is_related_to_its_copy_and_not_to_another_of_the_same_beat():
    loop = beats(500)
    assert verdict(loop, 0.5 * loop + 3e-3 * noise(5, 2)).related
    assert not verdict(loop, beats(3000)).related
    assert not verdict(loop, beats(500, period=0.57)).related
    assert not verdict(loop, np.roll(loop, round(0.2 * SAMPLE_RATE))).related


def test_a_buzz_is_related_to_its_copy():
    buzz = np.resize(np.concatenate([modulated(0.05, 4), np.zeros(800)]), 4 * SAMPLE_RATE)  # ten a second
    assert verdict(buzz, buzz + 1e-3 * noise(4)).related


@settings(max_examples=20)
@given(st.integers(3, 60), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_shifts_by_transform_are_shifts_one_by_one(frames, width, seed):
    a, b = np.random.default_rng(seed).standard_normal((2, frames, width))
    slow = [similarity(a, np.roll(b, shift, axis=0)) for shift in range(frames)]
    np.testing.assert_allclose(at_every_shift(a, b), slow, atol=1e-9)


def test_the_bundle_is_balanced_and_audible():
    kinds = [clip.kind for clip in CLIPS]
    assert {kind: kinds.count(kind) for kind in kinds} == {"music": 10, "speech": 10, "effects": 10}
    assert len({clip.name for clip in CLIPS}) == 30
    for clip in CLIPS:
        assert clip.samples.shape == (4 * SAMPLE_RATE,)
        assert 0.2 < np.abs(clip.samples).max() < 1
        assert np.sqrt(np.square(clip.samples).mean()) > 0.01


def test_control_sounds_are_as_loud_as_the_reference():
    sounds = control_sounds(MUSIC.astype(np.float64))
    assert list(sounds) == ["another clip", "shuffled", "pink noise", "silence"]
    level = np.sqrt(np.square(MUSIC).mean())
    for name, sound in sounds.items():
        assert sound.shape == MUSIC.shape
        assert np.sqrt(np.square(sound).mean()) == pytest.approx(0 if name == "silence" else level, rel=1e-3)
    assert not np.abs(sounds["silence"]).any()


@given(st.integers(1, 30_000))
@settings(max_examples=30)
def test_a_shuffle_keeps_the_samples_and_no_piece_its_place(count):
    samples = np.arange(count, dtype=float)
    mixed = shuffled(samples)
    assert sorted(mixed) == sorted(samples)
    if count >= 2 * SAMPLE_RATE // 4:
        assert (mixed != samples).mean() > 0.9


def test_pink_noise_falls_by_three_decibels_an_octave():
    power = np.abs(np.fft.rfft(pink_noise(160_000))) ** 2
    octaves = [10 * np.log10(power[low : 2 * low].mean()) for low in (200, 400, 800, 1600, 3200, 6400)]
    assert np.diff(octaves) == pytest.approx(-3.01, abs=0.5)


def test_two_files_of_different_rates_lengths_and_channels():
    rate = 44_100
    time = np.arange(3 * rate) / rate
    left = np.sin(2 * np.pi * 300 * time) * (np.sin(2 * np.pi * 1.7 * time) > 0)
    stereo = Waveform.of(0.3 * np.stack([left, np.roll(left, 9)]), rate)
    mono = Waveform.of(np.resize(MUSIC, 2 * SAMPLE_RATE), SAMPLE_RATE)
    found = verify_sounds(stereo, mono, lag=0, metrics=["mel_db_mae"])
    assert found.alignment.seconds == 2
    assert found.alignment.reference.cut_seconds == pytest.approx(1)
    assert found.alignment.estimate.cut_seconds == 0
    assert not found.verdict.related


@pytest.mark.parametrize("late", [3000, -1200])
def test_a_lag_is_found_and_every_control_has_the_same_choice(late):
    reference = np.concatenate([SPEECH, MUSIC]).astype(np.float64)
    estimate = np.pad(reference, (late, 0)) if late > 0 else reference[-late:]
    found = verify_sounds(*(Waveform.of(s, SAMPLE_RATE) for s in (reference, estimate)), metrics=["si_sdr_db"])
    assert found.alignment.lag == late
    assert found.verdict.related
    assert found.metrics[1].value > 60
    unmoved = verify_sounds(*(Waveform.of(s, SAMPLE_RATE) for s in (reference, estimate)), lag=0, metrics=[])
    assert unmoved.alignment.lag == 0
    assert unmoved.verdict.score < found.verdict.score


def test_lagging_controls_score_at_least_as_much_as_fixed_ones():
    found = features(SPEECH)
    for kind, free in other_sounds(found, lag=FRAME_RATE // 5).items():
        assert (free >= other_sounds(found)[kind] - 1e-12).all()


def test_every_number_stands_beside_its_controls():
    sound, estimate = Waveform.of(SPEECH, SAMPLE_RATE), Waveform.of(0.5 * SPEECH, SAMPLE_RATE)
    further, ceilings = {"random indices": Waveform.of(MUSIC, SAMPLE_RATE)}, {"autoencoder": estimate}
    steps: list[tuple[int, int]] = []
    found = verify_sounds(
        sound, estimate, lag=0, metrics=["snr_db", "mel_db_mae", "summary"],
        further_controls=further, ceilings=ceilings,
        on_step=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert [row.name for row in found.metrics] == ["similarity", "snr_db", "mel_db_mae"]
    assert steps == [(i, 7) for i in range(1, 8)]
    names = ["another clip", "shuffled", "pink noise", "silence", "random indices"]
    for row in found.metrics:
        assert list(row.controls) == names
        assert found.ceilings["autoencoder"][row.name] == pytest.approx(row.value)
    assert found.alignment.gain_db == pytest.approx(-6.02, abs=0.01)
    values = found.to_dict()
    assert values["verdict"]["n_controls"] == found.verdict.n_controls
    assert set(values) == {"alignment", "metrics", "composites", "verdict", "ceilings", "notes", "image"}
    summary = found.composites["summary"]
    assert list(summary.controls) == names
    assert summary.score > max(summary.controls.values())
    assert summary.ceilings == {"autoencoder": pytest.approx(summary.score)}


def test_controls_can_be_left_out_of_the_table():
    sound = Waveform.of(SPEECH, SAMPLE_RATE)
    found = verify_sounds(sound, sound, metrics=["snr_db"], controls=False)
    assert found.metrics[1].controls == {}
    assert found.to_dict()["metrics"][1]["value"] is None  # infinite
    assert found.verdict.related


def test_without_a_choice_all_that_can_run_is_shown_and_what_cannot_is_named(monkeypatch):
    from noisebook.verification import sounds

    monkeypatch.setattr(sounds, "available", lambda *, speech: ("snr_db", "estoi") if speech else ("snr_db",))
    monkeypatch.setattr(sounds, "find_spec", lambda name: None)
    monkeypatch.setattr(sounds, "evaluate", lambda *_, names, **__: dict.fromkeys(names, 0.5))
    speech, music = (Waveform.of(sound, SAMPLE_RATE) for sound in (SPEECH, MUSIC))
    found = verify_sounds(speech, speech, controls=False)
    assert [row.name for row in found.metrics] == ["similarity", "snr_db", "estoi"]
    assert "summary, verify; pip install 'noisebook[" in found.notes[0]
    assert [row.name for row in verify_sounds(music, music, controls=False).metrics] == ["similarity", "snr_db"]


def test_wrong_requests_are_refused():
    sound = Waveform.of(SPEECH, SAMPLE_RATE)
    with pytest.raises(ConfigError, match="no metric"):
        verify_sounds(sound, sound, metrics=["loudnes"])
    with pytest.raises(ConfigError, match="lag"):
        verify_sounds(sound, sound, lag=10**7, metrics=[])


def test_level_and_offset_are_told():
    def notes(reference: np.ndarray, estimate: np.ndarray) -> tuple[str, ...]:
        sounds = (Waveform.of(samples.astype(np.float32), SAMPLE_RATE) for samples in (reference, estimate))
        return verify_sounds(*sounds, metrics=["snr_db"], controls=False).notes

    assert notes(SPEECH, 0.95 * SPEECH) == ()
    assert notes(SPEECH, 0.5 * SPEECH) == ("EST is 6.0 LU quieter than REF",)
    assert notes(0.5 * SPEECH, SPEECH) == ("EST is 6.0 LU louder than REF",)
    assert notes(SPEECH + 0.1, SPEECH)[0].startswith("REF has an offset of 0.1")


def test_an_offset_counts_neither_as_level_nor_as_sound():
    speech = (SPEECH - SPEECH.mean()).astype(np.float32)
    shifted, plain = Waveform.of(speech + np.float32(0.3), SAMPLE_RATE), Waveform.of(speech, SAMPLE_RATE)
    found = verify_sounds(shifted, plain, metrics=["snr_db"], controls=False)
    assert found.alignment.gain_db == pytest.approx(0, abs=0.01)
    assert found.metrics[0].value > 0.999, "similarity"
    assert found.metrics[1].value > 60


@pytest.mark.parametrize("samples", [np.full((2, SAMPLE_RATE), 0.25), np.full((2, SAMPLE_RATE), 1e-7)])
def test_a_stereo_original_without_sound_is_silence_and_does_not_cancel(samples):
    samples[1] *= -1
    sound = Waveform.of(samples.astype(np.float32), SAMPLE_RATE)
    found = verify_sounds(sound, sound, metrics=["snr_db"], controls=False)
    assert found.notes == ("the original is silence: there is nothing to compare, and no metric",)
