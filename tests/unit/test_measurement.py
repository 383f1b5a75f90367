"""Measurements: fitted estimates agree with what is reliable, and weights say what that is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio.damage import clip, low_pass, silence
from noisebook.audio.features import BAND_FEATURES, MEL_FEATURES, amplified
from noisebook.audio.mel import LOG_FLOOR, log_mel
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.measurement import Measurement
from noisebook.errors import ConfigError
from noisebook.synthesis.damage import Damage, damage_of, examined
from noisebook.synthesis.options import DamageOptions
from noisebook.synthesis.sound import AudioFormat


class Linear:
    """An autoencoder without loss: the latent is half of the mel."""

    def posterior(self, mel):
        return mel / 2, torch.ones_like(mel)

    def decode(self, latent):
        return latent * 2


def noise(count: int = 16000, channels: int = 1, rate: int = 16000) -> Waveform:
    drawn = np.random.default_rng(3).normal(0, 0.1, (channels, count)).astype("f4")
    return Waveform(drawn * np.float32(0.5) / np.abs(drawn).max(), rate)


def test_a_fitted_estimate_is_the_measurement_where_that_is_reliable():
    generator = torch.Generator().manual_seed(0)
    mel, x0_hat = (torch.randn(1, 1, 8, 64, generator=generator) for _ in range(2))
    weight = torch.zeros_like(mel)
    weight[:, :, :4] = 1
    weight[:, :, 4:6] = 0.25
    got = Measurement(mel, weight).fitted(x0_hat, Linear())
    assert torch.allclose(got[:, :, :4], mel[:, :, :4] / 2, atol=1e-6)
    assert torch.allclose(got[:, :, 4:6], 0.25 * mel[:, :, 4:6] / 2 + 0.75 * x0_hat[:, :, 4:6], atol=1e-6)
    assert torch.equal(got[:, :, 6:], x0_hat[:, :, 6:])
    part = Measurement(mel, weight).part(3, 5)
    assert torch.equal(part.features, mel[:, :, 3:5])
    assert torch.equal(part.weight, weight[:, :, 3:5])


def test_fitting_in_a_real_autoencoder_leaves_the_reliable_alone(backend):
    mel = backend.features(torch.from_numpy(noise().samples))
    x0_hat = backend.encode(mel)
    everything, nothing = torch.ones_like(mel), torch.zeros_like(mel)
    own = Measurement(backend.decode(x0_hat), everything)
    assert torch.allclose(own.fitted(x0_hat, backend), x0_hat, atol=1e-5)
    assert torch.equal(Measurement(mel + 5, nothing).fitted(x0_hat, backend), x0_hat)
    assert not torch.allclose(Measurement(mel + 5, everything).fitted(x0_hat, backend), x0_hat, atol=0.1)


def measurement_of(damaged: Waveform, backend, task: str, **options):
    sound, _, known, guess = examined(
        damaged, damage_of(damaged, task, DamageOptions(**options), backend.info), backend
    )
    return known, guess, sound


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (8000, 1)])
def test_frames_that_see_a_gap_are_lost_and_bridged(backend, rate, channels):
    truth = noise(2 * rate, channels, rate)
    damaged = silence(truth, ((rate, rate + rate // 5),))
    measurement, guess, sound = measurement_of(damaged, backend, "inpaint", gaps=((1.0, 1.2),))
    weight = measurement.weight[:, 0]
    assert set(weight.unique().tolist()) == {0.0, 1.0}
    lost = torch.nonzero(weight[0, :, 0] == 0)[:, 0]
    assert (int(lost[0]), int(lost[-1])) in {(97, 122), (98, 122), (97, 121), (98, 121)}
    assert torch.equal(weight, weight[:1, :, :1].expand_as(weight))
    true = AudioFormat.of(sound, backend.info).features(truth, backend)
    assert (guess - measurement.features)[weight[:, None] == 1].abs().max() == 0
    before, after = ((m - true)[0, :, lost].abs().mean() for m in (measurement.features, guess))
    assert after < 0.3 * before


def test_an_edge_of_the_sound_is_held(backend):
    damaged = silence(noise(), ((0, 4000),))
    measurement, guess, _ = measurement_of(damaged, backend, "inpaint", gaps=((0, 0.25),))
    first = int(torch.nonzero(measurement.weight[0, 0, :, 0])[0])
    assert torch.equal(guess[0, 0, 0], measurement.features[0, 0, first])


def test_a_long_window_sees_a_gap_from_further_away(bands):
    truth = noise(2 * 48000, rate=48000)
    measurement, guess, sound = measurement_of(silence(truth, ((48000, 57600),)), bands, "inpaint", gaps=((1.0, 1.2),))
    weight, windows = measurement.weight[0, 0], torch.from_numpy(BAND_FEATURES.windows)
    for window, first, last in ((6144, 94, 125), (1536, 99, 120)):  # 7/16 of a window before the gap, and behind it
        lost = torch.nonzero(weight[:, windows == window] == 0)
        assert (int(lost[:, 0].min()), int(lost[:, 0].max())) == (first, last)
        assert len(lost) == (last - first + 1) * int((windows == window).sum())
    true = AudioFormat.of(sound, bands.info).features(truth, bands)
    assert (guess - measurement.features)[0, 0][weight == 1].abs().max() == 0
    before, after = ((m - true)[0, 0][weight == 0].abs().mean() for m in (measurement.features, guess))
    assert after < 0.4 * before


@pytest.mark.parametrize("cutoff", [800, 6000])
def test_bands_above_a_cutoff_are_lost_in_each_bank(bands, cutoff):
    truth = noise(48000, rate=48000)
    measurement, guess, sound = measurement_of(low_pass(truth, cutoff), bands, "bandwidth", cutoff=cutoff)
    true = AudioFormat.of(sound, bands.info).features(truth, bands)
    lost = measurement.weight[0, 0, 0] == 0
    assert np.array_equal(lost.numpy(), BAND_FEATURES.edges[:, 2] > 0.97 * cutoff) or cutoff == 800
    known, missing = ((measurement.features - true)[..., part].abs().mean() for part in (~lost, lost))
    assert known < 0.1
    assert missing > 2
    assert (guess - true)[..., lost].abs().mean() < 0.5 * missing


def test_bins_above_a_cutoff_are_lost_and_guessed(backend):
    truth = noise()
    measurement, guess, sound = measurement_of(low_pass(truth, 3000), backend, "bandwidth")
    true = AudioFormat.of(sound, backend.info).features(truth, backend)
    first = int(torch.nonzero(measurement.weight[0, 0, 0] == 0)[0])
    assert first == 43  # of which the upper edge is at 2960 Hz
    assert measurement.weight[..., :first].min() == 1
    assert measurement.weight[..., first:].max() == 0
    known, lost = (
        (measurement.features - true)[..., part].abs().mean() for part in (slice(first), slice(first + 2, None))
    )
    assert known < 0.05
    assert lost > 3
    assert (guess - true)[..., first:].abs().mean() < 0.4 * lost  # it falls, as most sound and no white noise does


def test_a_lower_rate_is_raised_to_the_model_s(backend):
    sound = noise(8000, rate=8000)
    damage = damage_of(sound, "bandwidth", DamageOptions(), backend.info)
    assert damage.cutoff == pytest.approx(3760)
    assert examined(sound, damage, backend).sound.sample_rate == 16000


def test_clipping_is_the_less_reliable_the_louder_its_distortion(backend):
    time = np.arange(16000) / 16000
    truth = Waveform((0.5 * np.sin(2 * np.pi * 500 * time) * (time < 0.5))[None].astype("f4"), 16000)
    measurement, guess, _ = measurement_of(clip(truth, 0.2), backend, "declip")
    weight = measurement.weight[0, 0]
    assert weight[10:40, 9:11].min() > 0.8  # the tone
    assert weight[10:40, 34:].min() < 0.5  # where there are harmonics
    assert weight[60:].min() == 1  # not clipped
    assert torch.equal(guess, measurement.features)


def test_gain_in_mel_bins_changes_the_mel_by_it():
    samples = torch.from_numpy(noise(48000).samples)
    gain = torch.zeros(1, 1, 300, 64)
    assert torch.allclose(amplified(samples, gain, MEL_FEATURES), samples, atol=1e-5)
    gain[:, :, 100:200, :30] = -2.0
    change = (log_mel(amplified(samples, gain, MEL_FEATURES)) - log_mel(samples))[0, 0]
    assert change[110:190, 2:27].mean() == pytest.approx(-2, abs=0.05)
    assert change[110:190, 33:].abs().max() < 0.1
    assert change[:90].abs().max() < 0.01


def test_gain_in_bands_changes_what_the_short_window_hears_by_it():
    samples = torch.from_numpy(noise(3 * 48000, rate=48000).samples)
    gain = torch.zeros(1, 1, 300, BAND_FEATURES.bins)
    high = torch.from_numpy(BAND_FEATURES.centres > 4000)
    gain[:, :, 100:200, high] = -2.0
    change = (BAND_FEATURES.analyse(amplified(samples, gain, BAND_FEATURES)) - BAND_FEATURES.analyse(samples))[0, 0]
    assert change[110:190, high][:, 3:].mean() == pytest.approx(-2, abs=0.05)
    assert change[110:190, ~high][:, :-3].abs().max() < 0.1
    assert change[:90].abs().max() < 0.01


def test_gain_is_in_time_with_the_mel():
    frames = torch.arange(200.0)
    gain = (-0.1 * frames).view(1, 1, 200, 1).expand(1, 1, 200, 64)
    time = torch.arange(32000.0)
    tone = torch.sin(time)[None]
    wanted = tone * torch.exp(-0.1 * (time - 79.5) / 160)
    assert torch.allclose(amplified(tone, gain, MEL_FEATURES)[:, 2000:12000], wanted[:, 2000:12000], rtol=0, atol=3e-3)


def test_gain_in_blocks_leaves_no_joint(monkeypatch):
    from noisebook.audio import features

    samples = torch.from_numpy(noise(32000).samples)
    gain = torch.randn(1, 1, 200, 64, generator=torch.Generator().manual_seed(0))
    whole = amplified(samples, gain, MEL_FEATURES)
    monkeypatch.setattr(features, "_BLOCK", 30)
    assert torch.allclose(amplified(samples, gain, MEL_FEATURES), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("task", "options", "word"),
    [("polish", {}, "inpaint"), ("inpaint", {"cutoff": 3000.0}, "bandwidth"),
     ("declip", {"gaps": ((0, 1),)}, "inpaint"), ("bandwidth", {"threshold": 0.2}, "declip"),
     ("inpaint", {}, "nothing to restore"),
     ("bandwidth", {}, "nothing to restore"), ("declip", {}, "nothing to restore"),
     ("inpaint", {"gaps": ((0.5, 1.5),)}, "within"), ("inpaint", {"gaps": ((0.5, 0.5),)}, "before"),
     ("inpaint", {"gaps": ((-0.1, 0.5),)}, "within"), ("inpaint", {"gaps": ((0.1, float("nan")),)}, "within"),
     ("inpaint", {"gaps": ((0, 1),)}, "whole"), ("bandwidth", {"cutoff": 8000.0}, "8000"),
     ("bandwidth", {"cutoff": 0.0}, "500"), ("bandwidth", {"cutoff": 7900.0}, "7760"),
     ("declip", {"threshold": 0.0}, "above 0"), ("declip", {"threshold": 0.9}, "peak")],
)  # fmt: skip
def test_damage_that_cannot_be(backend, task, options, word):
    with pytest.raises(ConfigError, match=word):
        damage_of(noise(), task, DamageOptions(**options), backend.info)


def test_gaps_are_merged_and_in_order(backend):
    got = damage_of(noise(), "inpaint", DamageOptions(gaps=((0.5, 0.6), (0.1, 0.2), (0.15, 0.3))), backend.info)
    assert got == Damage("inpaint", gaps=((1600, 4800), (8000, 9600)))


def test_silence_everywhere_has_a_floor(backend):
    silent = Waveform(np.zeros((1, 8000), "f4"), 16000)
    measurement, guess, _ = measurement_of(silent, backend, "bandwidth", cutoff=2000.0)
    assert torch.isfinite(guess).all()
    assert guess.min() >= LOG_FLOOR
    assert torch.isfinite(measurement.features).all()
