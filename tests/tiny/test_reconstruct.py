"""Reconstruction on a small random model: every preset and axis, fallbacks, lengths, long sounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.coding.container import ChannelMode
from noisebook.errors import AudioError, ConfigError, ModelError
from noisebook.synthesis import reconstruct as reconstructing
from noisebook.synthesis import sound as between
from noisebook.synthesis.reconstruct import Original, finished
from noisebook.synthesis.reconstruction_presets import PRESETS, Post
from noisebook.synthesis.sound import AudioFormat, Vocoder, from_latent, to_latent


class Faulty:
    """A backend whose vocoder gives `broken(its output)` until its mel is within -10..2."""

    def __init__(self, backend, broken, *, until_clamped: bool = False) -> None:
        self._backend, self._broken, self._until_clamped = backend, broken, until_clamped

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def decode(self, latent):
        return self._backend.decode(latent) - 8  # below what clamping leaves

    def vocode(self, mel, first_frame=0):
        sound = self._backend.vocode(mel)
        healed = self._until_clamped and float(mel.min()) >= -10
        return sound if healed else self._broken(sound)


@pytest.mark.parametrize("front_end", ["matched", "historical"])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_runs_and_tells_what_ran(preset, front_end, backend, chirp):
    result = api.reconstruct(chirp, sample_rate=16000, backend=backend, preset=preset.name, front_end=front_end)
    assert result.waveform.samples.shape == chirp.shape
    assert result.ran.front_end == ("matched" if front_end == "matched" else preset.front_end)
    assert result.ran.posterior == preset.posterior
    assert result.ran.latent_limit.startswith(f"{preset.latent_limit}: ")
    assert result.ran.vocoder in ("model", "griffin-lim") or "after" in result.ran.vocoder
    assert ("loudness" in result.ran.post) == (preset.post.loudness is not None)
    assert np.isfinite([*result.measures.values()]).all()
    assert result.silence["energy_ratio_db"] == -np.inf
    assert result.silence["snr_db"] == 0


def test_matched_is_the_latent_and_back(backend, chirp):
    sound = Waveform(chirp, 16000)
    latent, frame = to_latent(sound, backend=backend)
    direct = from_latent(latent, frame, backend=backend)
    assert np.array_equal(api.reconstruct(sound, backend=backend).waveform.samples, direct.samples)


@pytest.mark.parametrize(
    ("rate", "count", "channels"), [(16000, 1, 1), (16000, 641, 2), (44100, 5001, 1), (8000, 3, 2)]
)
def test_rate_length_and_channels_are_kept(rate, count, channels, backend, chirp):
    sound = Waveform(np.repeat(chirp[:, :count], channels, 0), rate)
    for preset in ("matched", "v3-balanced", "v5-high-freq-strong"):
        result = api.reconstruct(sound, backend=backend, preset=preset, front_end="historical").waveform
        assert (result.sample_rate, result.samples.shape) == (rate, (channels, count))
    latent, form = to_latent(sound, backend=backend)
    mode = ChannelMode.MONO if channels == 1 else ChannelMode.IMAGE
    assert form == AudioFormat(rate, count, mode, form.gain_half_db)
    assert (form.image is not None) == (channels == 2)
    assert from_latent(latent, form, backend=backend).samples.shape == (channels, count)


def test_a_latent_of_another_sound_is_refused(backend, chirp):
    latent, frame = to_latent(Waveform(chirp, 16000), backend=backend)
    with pytest.raises(ConfigError, match="latent"):
        from_latent(latent[:, :, :-1], frame, backend=backend)
    with pytest.raises(AudioError, match="3 channels"):
        to_latent(Waveform(np.repeat(chirp, 3, 0), 16000), backend=backend)
    with pytest.raises(ConfigError):
        AudioFormat(16000, 0)


def test_posterior_is_around_the_mode_and_samples_are_of_the_seed(backend, chirp):
    mel = backend.features(torch.from_numpy(chirp[:, :23040]))
    mean, std = backend.posterior(mel)
    assert torch.equal(mean, backend.encode(mel))
    assert mean.shape == std.shape
    assert float(std.min()) > 0
    sounds = {
        (posterior, seed): api.reconstruct(
            chirp, sample_rate=16000, backend=backend, posterior=posterior, seed=seed
        ).waveform.samples
        for posterior in ("mode", "blend", "sample")
        for seed in (0, 1)
    }
    assert np.array_equal(sounds["mode", 0], sounds["mode", 1])
    assert not np.array_equal(sounds["sample", 0], sounds["sample", 1])
    again = api.reconstruct(chirp, sample_rate=16000, backend=backend, posterior="sample", seed=1)
    assert np.array_equal(sounds["sample", 1], again.waveform.samples)
    apart = {name: np.square(sounds[name, 0] - sounds["mode", 0]).sum() for name in ("blend", "sample")}
    assert 0 < apart["blend"] < apart["sample"]


def test_the_chain_falls_back_in_order_and_says_why(backend, chirp, caplog):
    def ran(vocoder: str, broken, **options) -> str:
        faulty = Faulty(backend, broken, **options)
        return api.reconstruct(chirp, sample_rate=16000, backend=faulty, vocoder=vocoder).ran.vocoder

    def nothing(sound):
        return sound * 0

    def broken(sound):
        return sound * float("nan")

    assert ran("chain", lambda sound: sound) == "model"
    assert not caplog.records
    assert ran("chain", broken, until_clamped=True) == "model-clamped (after model: output that is not finite)"
    assert ran("chain", broken).startswith("griffin-lim (after model: ")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert "model-clamped fails: output that is not finite" in caplog.text
    with pytest.raises(ModelError, match="model: output that is not finite"):
        ran("model", broken)
    loud = Faulty(backend, nothing)
    loud.decode = lambda latent: backend.decode(latent) + 4
    assert "model: silence" in api.reconstruct(chirp, sample_rate=16000, backend=loud, vocoder="chain").ran.vocoder


def test_a_mel_can_be_played_without_its_network(backend, chirp, monkeypatch):
    monkeypatch.setattr(backend, "vocode", None)
    made = [
        api.reconstruct(chirp, sample_rate=16000, backend=backend, vocoder=name) for name in ("tones", "griffin-lim")
    ]
    assert [one.ran.vocoder for one in made] == ["tones", "griffin-lim"]
    sounds = [one.waveform.samples for one in made]
    assert sounds[0].shape == sounds[1].shape == (1, chirp.shape[-1])
    assert not np.allclose(*sounds, atol=0.01)
    assert all(one.measures["features_error_db"] < one.silence["features_error_db"] for one in made)


def test_a_vocoder_that_breaks_is_passed_over_by_name(backend, chirp):
    def breaks(sound):
        raise RuntimeError("shapes cannot be multiplied\nand more")

    faulty = Faulty(backend, breaks)
    ran = api.reconstruct(chirp, sample_rate=16000, backend=faulty, vocoder="model+griffin-lim").ran.vocoder
    assert ran == "griffin-lim (after model: RuntimeError: shapes cannot be multiplied)"
    with pytest.raises(ModelError, match="no vocoder gave sound: model: RuntimeError: shapes cannot be multiplied"):
        api.reconstruct(chirp, sample_rate=16000, backend=faulty, vocoder="model")


def test_silence_of_a_silent_mel_is_no_failure(backend):
    quiet = Faulty(backend, lambda sound: sound * 0)
    quiet.decode = lambda latent: backend.decode(latent) * 0 - 11.5
    assert api.reconstruct(np.zeros(8000), sample_rate=16000, backend=quiet).ran.vocoder == "model"


def test_nothing_falls_back_to_noise(backend, chirp, monkeypatch):
    monkeypatch.setitem(between._WEIGHTLESS, "griffin-lim", lambda mel: torch.full((1, 24000), torch.inf))
    with pytest.raises(ModelError, match="griffin-lim"):
        api.reconstruct(chirp, sample_rate=16000, backend=Faulty(backend, lambda sound: sound / 0 * 0), vocoder="chain")


@pytest.mark.parametrize("preset", ["ultimate-fix", "final-optimized", "v4-high-freq"])
def test_the_level_is_that_of_the_input(preset, backend, chirp):
    # The random model plays quietly; the match reaches the input unless its limit binds.
    result = api.reconstruct(0.2 * chirp, sample_rate=16000, backend=backend, preset=preset)
    ratio = float(result.ran.post.split("loudness x")[1].split(",")[0])
    least, most = next(row for row in PRESETS if row.name == preset).post.loudness
    assert least <= ratio <= most
    if least < ratio < most:
        assert abs(result.measures["energy_ratio_db"]) < 0.05


def test_the_peak_guard_holds(backend, chirp):
    loud = np.sign(chirp)
    result = api.reconstruct(loud, sample_rate=16000, backend=backend, post="loudness=1:100,peak-guard")
    assert np.abs(result.waveform.samples).max() <= 1
    assert "peak-guard x" in result.ran.post


def highs(scale: float) -> np.ndarray:
    """A low tone with noise above 4.5 kHz."""
    generator = np.random.default_rng(0)
    spectrum = np.fft.rfft(generator.standard_normal(32000))
    spectrum[: 9000 * 1] = 0
    low = 0.3 * np.sin(2 * np.pi * 300 / 16000 * np.arange(32000))
    return (low + scale * np.fft.irfft(spectrum, 32000))[None].astype(np.float32)


def lifted_by(found: np.ndarray, wanted: np.ndarray, post: Post, backend) -> tuple[np.ndarray, str]:
    form = AudioFormat(16000, 32000)
    original = Original(wanted, form.gain_half_db, form.timeline(backend.info))
    mel = torch.zeros(1, 1, 200, 64)

    def run(lifted_mel: torch.Tensor) -> np.ndarray:
        """A vocoder that does to the high band what was done to the mel."""
        gain = float(lifted_mel[0, 0, 0, 60].exp())
        return (found - highs(0) + highs(0) * 0) * gain + highs(0) if gain != 1 else found

    return finished(mel, Vocoder(run, found, "test"), post, original)


@pytest.mark.parametrize(("post", "expected_db"), [
    (Post(mel_lift_db=6), 5.1), (Post(mel_lift_db=3), 3.0), (Post(band_lift=2), 5.1), (Post(band_lift=1.5), 3.52),
])  # fmt: skip
def test_a_lift_is_what_was_lost_up_to_its_limit(post, expected_db, backend):
    wanted, found = highs(0.1), highs(0.1 * 10 ** (-5.1 / 20))
    samples, told = lifted_by(found, wanted, post, backend)
    assert f"{expected_db:.2f} dB of 5.10 lost" in told
    before, after = (np.square(wanted - sound).sum() for sound in (found, samples))
    assert after < before


@pytest.mark.parametrize("post", [Post(mel_lift_db=6), Post(band_lift=2)], ids=str)
def test_no_lift_where_nothing_is_lost(post, backend):
    wanted = highs(0.1)
    for found in (wanted, highs(0.15)):
        samples, told = lifted_by(found, wanted, post, backend)
        assert "lift 0 dB" in told
        assert np.array_equal(samples, found)


def test_a_lift_that_makes_the_spectrum_worse_is_declined(backend, monkeypatch):
    wanted, found = highs(0.1), highs(0.06)
    distances = iter([10.0, 10.5, 10.2, 9.9])
    monkeypatch.setattr(reconstructing, "_distance_db", lambda *_: next(distances))
    told = lifted_by(found, wanted, Post(band_lift=2), backend)[1]
    assert f"band-lift {20 * np.log10(0.1 / 0.06) / 4:.2f} dB of" in told  # only the last share made nothing worse
    distances = iter([1.0, 2.0, 2.0, 2.0])
    assert "band-lift 0 dB" in lifted_by(found, wanted, Post(band_lift=2), backend)[1]


def test_stereo_is_judged_as_it_is_heard(backend, chirp):
    stereo = np.concatenate([chirp, 0 * chirp])
    result = api.reconstruct(stereo, sample_rate=16000, backend=backend)
    left, right = result.waveform.samples
    assert left.any()
    assert not right.any()
    swapped = api.reconstruct(stereo[::-1], sample_rate=16000, backend=backend)
    np.testing.assert_allclose(swapped.waveform.samples[::-1], result.waveform.samples, atol=1e-6)
    assert swapped.measures == pytest.approx(result.measures, abs=1e-3)


@pytest.mark.parametrize("preset", ["simple", "v3-balanced", "v5-high-freq"])
@pytest.mark.parametrize("front_end", ["matched", "historical"])
def test_long_sounds_are_done_in_segments_without_seams(preset, front_end, backend, chirp, monkeypatch):
    sound = np.tile(chirp, 2) + 0.01 * np.random.default_rng(0).standard_normal((1, 48000)).astype(np.float32)

    def run() -> np.ndarray:
        result = api.reconstruct(sound, sample_rate=16000, backend=backend, preset=preset, front_end=front_end)
        return result.waveform.samples

    whole = run()
    monkeypatch.setattr("noisebook.codec.timeline.SEGMENT_FRAMES", 20)
    monkeypatch.setattr("noisebook.codec.timeline._SHORTEST_SEGMENT", 8)
    monkeypatch.setattr(reconstructing, "_BLOCK_SECONDS", 1)
    scale = np.abs(whole).max()
    assert np.abs(run() - whole).max() < 2e-3 * scale
